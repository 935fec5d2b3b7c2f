"""`sagitta.semantic.v1.BatchService`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import orjson
import pyarrow as pa
from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field
from sagitta.semantic.v1 import batch_service_pb2 as pb
from sagitta.semantic.v1 import result_pb2
from starlette.responses import Response

from sagitta_gateway.bodies import json_text
from sagitta_gateway.convert import Body as JsonBody
from sagitta_gateway.convert import to_body
from sagitta_gateway.engine import metadata, stubs
from sagitta_gateway.error_schema import errors
from sagitta_gateway.errors import HttpError
from sagitta_gateway.openapi import answers, body_of, object_of, properties_of
from sagitta_gateway.presence import while_present
from sagitta_gateway.results.rows import json_rows
from sagitta_gateway.routes.large import LargeBodyRoute
from sagitta_gateway.routes.models import MAX_TEXT
from sagitta_gateway.routes.queries import ROWS, ListedQuery
from sagitta_gateway.schemas import nullable

router = APIRouter(tags=["batch"], default_response_class=Response, route_class=LargeBodyRoute)


class BatchQuery(BaseModel):
    """A query of a batch."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(default=None, max_length=255, description="Unique in the batch; q0, q1, ... when omitted.")
    query: ListedQuery = Field(description="The question.")
    execute: bool | None = Field(default=None, description="As the batch says when omitted.")
    dialect: str | None = Field(default=None, description="As the batch says when omitted.")


class BatchRequest(BaseModel):
    """Several queries to one model."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    session_id: str | None = Field(default=None, description="A new session when omitted.")
    model_yaml: str | None = Field(default=None, max_length=MAX_TEXT, description="Excludes `model_id`.")
    model_id: str | None = Field(
        default=None, min_length=1, description="A model of the session; excludes `model_yaml`."
    )
    queries: list[BatchQuery] = Field(fail_fast=True, min_length=1)
    dialect: str | None = None
    execute: bool = False
    max_parallelism: int | None = Field(default=None, ge=1, le=1_000_000, description="Lowered to the server's limit.")
    fail_fast: bool = Field(default=False, description="Cancels the rest after the first failure.")
    persist_model: bool = Field(default=False, description="Keeps a model loaded from `model_yaml`.")
    dedup: bool = True

    def message(self) -> pb.RunBatchRequest:
        """The batch as the engine takes it."""
        message = pb.RunBatchRequest(
            session_id=self.session_id or "",
            queries=[_query(query) for query in self.queries],
            dialect=self.dialect or "",
            execute=self.execute,
            max_parallelism=self.max_parallelism,
            fail_fast=self.fail_fast,
            persist_model=self.persist_model,
            skip_dedup=not self.dedup,
        )
        if self.model_yaml is not None:
            message.model_yaml = self.model_yaml
        if self.model_id is not None:
            message.model_id = self.model_id
        return message


def _query(query: BatchQuery) -> pb.BatchQuery:
    return pb.BatchQuery(
        id=query.id or "", query_text=json_text(query.query), execute=query.execute, dialect=query.dialect or ""
    )


_RESULT = object_of(
    pb.BatchResult,
    "BatchResult",
    keys=(
        *("id", "status", "executed", "sql", "dialect", "sql_valid", "explain", "physical_tables", "columns"),
        *("row_count", "execution_time_ms", "timezone", "warnings", "error"),
    ),
    also={
        "explain": nullable(body_of(result_pb2.Explain)),
        "physical_tables": {"type": "array", "items": {"type": "string"}},
        "columns": {"type": "array", "items": body_of(result_pb2.ResultColumn)},
        "timezone": {"type": "string"},
        "rows": ROWS,
        **properties_of(result_pb2.CacheOutcome),
    },
    unset_left_out=True,
)
_SCHEMA = object_of(
    pb.RunBatchResponse,
    "BatchResults",
    also={"results": {"type": "array", "items": _RESULT}},
    required=("results",),
)


@router.post(
    "/v1/oneshot/batch",
    operation_id="run_batch",
    summary="Runs several queries on one model in parallel",
    responses={**answers(_SCHEMA, "A result for every query."), **errors(403, 404, 410, 422, 429)},
)
async def run_batch(request: Request, body: Annotated[BatchRequest, Body()]) -> Response:
    if (body.model_yaml is None) == (body.model_id is None):
        message = "Send either model_yaml or model_id, not both and not neither."
        return HttpError(422, {"detail": message, "code": "BATCH_INVALID"}).response()
    call = stubs(request).batch.RunBatch(body.message(), metadata=metadata(request))
    async with while_present(request, call):
        answer = await call
    return Response(await asyncio.to_thread(_write, answer), media_type="application/json")


def _write(answer: pb.RunBatchResponse) -> bytes:
    body: JsonBody = to_body(_without_results(answer))
    body["results"] = [_result(result) for result in answer.results]
    return orjson.dumps(body)


def _without_results(answer: pb.RunBatchResponse) -> pb.RunBatchResponse:
    return pb.RunBatchResponse(
        session_id=answer.session_id,
        model_id=answer.model_id,
        model_persisted=answer.model_persisted,
        model_load=answer.model_load,
        batch_warnings=answer.batch_warnings,
    )


_COMPILED = ("sql", "dialect", "sql_valid", "explain", "physical_tables")
_EXECUTED = ("columns", "row_count", "execution_time_ms", "timezone")


def _result(result: pb.BatchResult) -> JsonBody:
    """The documented body: keys that say nothing about this query are left out."""
    whole = to_body(result)
    body: JsonBody = {"id": result.id, "status": whole["status"], "executed": result.executed}
    if result.HasField("sql"):
        body |= {key: whole[key] for key in _COMPILED}
    if result.executed:
        body |= {key: whole[key] for key in _EXECUTED}
        body["rows"] = orjson.Fragment(_rows(result))
        body |= whole["cache"] or {}
    body["warnings"] = whole["warnings"]
    if result.HasField("error"):
        body["error"] = whole["error"]
    return body


def _rows(result: pb.BatchResult) -> bytes:
    with pa.ipc.open_stream(pa.py_buffer(result.arrow_ipc)) as reader:
        written: list[Any] = [json_rows(batch, result.timezone or "UTC") for batch in reader]
    return b"[" + b",".join(part for part in written if part) + b"]"
