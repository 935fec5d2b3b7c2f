"""`sagitta.semantic.v1.CacheService`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

import grpc
from fastapi import APIRouter, Body, Request
from fastapi.exceptions import RequestValidationError
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sagitta.semantic.v1 import cache_service_pb2 as pb
from starlette.responses import Response

from sagitta_gateway.bodies import answer_of
from sagitta_gateway.engine import metadata, stubs
from sagitta_gateway.error_schema import errors
from sagitta_gateway.openapi import answers, body_of
from sagitta_gateway.routes.large import LargeBodyRoute

router = APIRouter(tags=["cache"], default_response_class=Response)

Name = Annotated[str, Field(max_length=255)]


def _moment(value: Any) -> Any:
    """A time without a zone is in UTC; one that no calendar has is refused."""
    if value is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(value)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
        return aware.astimezone(dt.UTC)
    except (TypeError, OverflowError):
        raise ValueError("must be an ISO 8601 timestamp") from None


class Heartbeat(BaseModel):
    """A table that has new rows."""

    model_config = ConfigDict(extra="forbid")

    database: Name = Field(default="", description="The database or project.", examples=["WAREHOUSE"])
    schema_: Name = Field(default="", alias="schema", description="The schema or data set.", examples=["PUBLIC"])
    table: Name = Field(min_length=1, description="The table.", examples=["ORDERS"])
    timestamp: Annotated[dt.datetime | None, BeforeValidator(_moment)] = Field(
        default=None, description="When it was refreshed; now when omitted or in the future."
    )


class HeartbeatRoute(LargeBodyRoute):
    """Looks at the token before the body: a stranger learns nothing about it, nor whether there is an endpoint."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, which asks the engine before a body is refused."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except RequestValidationError as error:
                refused = await _refused_anyway(request)
                raise refused or error from None

        return handle


heartbeats = APIRouter(tags=["cache"], default_response_class=Response, route_class=HeartbeatRoute)


async def _refused_anyway(request: Request) -> Exception | None:
    """What the engine says to a heartbeat of no table, where that is about the caller and not the table."""
    try:
        await stubs(request).cache.RecordHeartbeat(pb.RecordHeartbeatRequest(), metadata=metadata(request))
    except grpc.aio.AioRpcError as error:
        return None if error.code() is grpc.StatusCode.INVALID_ARGUMENT else error
    return None


@router.get(
    "/v1/cache/stats",
    operation_id="get_cache_stats",
    summary="Returns the counters of the result cache",
    responses={**answers(body_of(pb.GetCacheStatsResponse), "The counters; zeros without a cache."), **errors()},
)
async def get_cache_stats(request: Request) -> Response:
    answer = await stubs(request).cache.GetCacheStats(pb.GetCacheStatsRequest(), metadata=metadata(request))
    return await answer_of(answer)


@router.post(
    "/v1/cache/sweep",
    operation_id="sweep_cache",
    summary="Removes expired results, then what does not fit",
    responses={**answers(body_of(pb.SweepCacheResponse), "What was removed."), **errors()},
)
async def sweep_cache(request: Request) -> Response:
    answer = await stubs(request).cache.SweepCache(pb.SweepCacheRequest(), metadata=metadata(request))
    return await answer_of(answer)


@router.post(
    "/v1/cache/clear",
    operation_id="clear_cache",
    summary="Removes every result; the counters stay",
    responses={**answers(body_of(pb.ClearCacheResponse), "What was removed."), **errors()},
)
async def clear_cache(request: Request) -> Response:
    answer = await stubs(request).cache.ClearCache(pb.ClearCacheRequest(), metadata=metadata(request))
    return await answer_of(answer)


@heartbeats.post(
    "/v1/heartbeat",
    operation_id="record_heartbeat",
    summary="Says that a physical table has new rows",
    description="Needs the bearer token of `HEARTBEAT_AUTH_TOKEN`; without that setting there is no such endpoint.",
    responses={
        **answers(
            body_of(pb.RecordHeartbeatResponse),
            "What it did.",
            {
                "table_ref": "WAREHOUSE.PUBLIC.ORDERS",
                "recorded_at": "2026-04-29T14:32:15Z",
                "invalidated_cache_entries": 47,
                "affected_data_objects": ["Orders", "OrderReturns"],
            },
        ),
        **errors(400, 404, 422),
    },
)
async def record_heartbeat(request: Request, body: Annotated[Heartbeat, Body()]) -> Response:
    message = pb.RecordHeartbeatRequest(database=body.database, schema=body.schema_, table=body.table)
    if body.timestamp is not None:
        moment = Timestamp()
        moment.FromDatetime(body.timestamp)
        message.timestamp.CopyFrom(moment)
    answer = await stubs(request).cache.RecordHeartbeat(message, metadata=metadata(request))
    return await answer_of(answer)


router.routes.extend(heartbeats.routes)
