"""`sagitta.semantic.v1.CacheService`."""

from __future__ import annotations

import datetime as dt
import hmac
from typing import TYPE_CHECKING

import grpc
from sagitta.semantic.v1 import cache_service_pb2 as pb
from sagitta.semantic.v1 import cache_service_pb2_grpc as pb_grpc

from sagitta_server.cache import objects_on_table
from sagitta_server.errors import Reason, ServiceError
from sagitta_server.rpc.access import metadata_of
from sagitta_server.rpc.convert import timestamp

if TYPE_CHECKING:
    from sagitta_server.app import Engine

NAME = pb.DESCRIPTOR.services_by_name["CacheService"].full_name
MAX_NAME = 255
"""Characters of a database, schema or table."""


def register(server: grpc.Server, engine: Engine) -> tuple[str, ...]:
    """Adds the service to a server."""
    pb_grpc.add_CacheServiceServicer_to_server(CacheServicer(engine), server)
    return (NAME,)


class CacheServicer(pb_grpc.CacheServiceServicer):
    """Answers whether or not there is a cache: heartbeats are shared with replicas that have one."""

    def __init__(self, engine: Engine) -> None:
        self._cache = engine.cache
        self._models = engine.models
        token = engine.settings.access.heartbeat_token
        self._token = None if token is None else token.get_secret_value().encode()

    def GetCacheStats(
        self, request: pb.GetCacheStatsRequest, context: grpc.ServicerContext
    ) -> pb.GetCacheStatsResponse:
        stats = self._cache.stats()
        return pb.GetCacheStatsResponse(
            backend=stats.backend,
            entry_count=stats.entry_count,
            total_size_bytes=stats.total_size_bytes,
            max_size_bytes=stats.max_size_bytes,
            hit_count_total=stats.hit_count_total,
            miss_count_total=stats.miss_count_total,
            hit_rate=stats.hit_rate,
            oldest_entry=timestamp(stats.oldest_entry),
            next_sweep_at=timestamp(stats.next_sweep_at),
            tracked_physical_tables=stats.tracked_physical_tables,
            heartbeat_invalidations_total=stats.heartbeat_invalidations_total,
        )

    def SweepCache(self, request: pb.SweepCacheRequest, context: grpc.ServicerContext) -> pb.SweepCacheResponse:
        swept = self._cache.sweep()
        return pb.SweepCacheResponse(
            backend=swept.backend, ttl_evicted=swept.ttl_evicted, capacity_evicted=swept.capacity_evicted
        )

    def ClearCache(self, request: pb.ClearCacheRequest, context: grpc.ServicerContext) -> pb.ClearCacheResponse:
        cleared = self._cache.clear()
        return pb.ClearCacheResponse(backend=cleared.backend, entries_cleared=cleared.entries_cleared)

    def RecordHeartbeat(
        self, request: pb.RecordHeartbeatRequest, context: grpc.ServicerContext
    ) -> pb.RecordHeartbeatResponse:
        self._authorise(context)
        _check_names(request)
        receipt = self._cache.heartbeat(request.database, request.schema, request.table, _moment(request))
        models = {handle.content_key: handle.model for handle in self._models.served()}
        affected = [name for model in models.values() for name in objects_on_table(model, receipt.table_ref)]
        return pb.RecordHeartbeatResponse(
            table_ref=receipt.table_ref,
            recorded_at=timestamp(receipt.recorded_at),
            invalidated_cache_entries=receipt.invalidated_cache_entries,
            affected_data_objects=dict.fromkeys(affected),
        )

    def _authorise(self, context: grpc.ServicerContext) -> None:
        if self._token is None:
            raise ServiceError(Reason.HEARTBEAT_DISABLED, "Not found")
        scheme, _, given = metadata_of(context).get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
            raise ServiceError(Reason.UNAUTHENTICATED, "A heartbeat needs its bearer token.")


def _check_names(request: pb.RecordHeartbeatRequest) -> None:
    for field, name in (("database", request.database), ("schema", request.schema), ("table", request.table)):
        if len(name) > MAX_NAME or (field == "table" and not name):
            raise ServiceError(
                Reason.INVALID_REQUEST, f"{field} must have 1 to {MAX_NAME} characters.", metadata={"field": field}
            )


def _moment(request: pb.RecordHeartbeatRequest) -> dt.datetime | None:
    if not request.HasField("timestamp"):
        return None
    try:
        return request.timestamp.ToDatetime(dt.UTC)
    except (ValueError, OverflowError):
        raise ServiceError(
            Reason.INVALID_REQUEST, "timestamp is out of range.", metadata={"field": "timestamp"}
        ) from None
