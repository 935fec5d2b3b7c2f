"""`sagitta.semantic.v1.SettingsService`."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING, Any

import grpc
from sagitta.semantic.v1 import settings_service_pb2 as pb
from sagitta.semantic.v1 import settings_service_pb2_grpc as pb_grpc
from sagitta_compiler.model.resolved import Settings as ModelSettings

from sagitta_server import __version__
from sagitta_server.errors import Reason, ServiceError
from sagitta_server.models import ModelHandle
from sagitta_server.queries.timezones import ZoneChain

if TYPE_CHECKING:
    from sagitta_server.app import Engine

NAME = pb.DESCRIPTOR.services_by_name["SettingsService"].full_name
API_VERSION = "v1"

MODEL_SETTINGS = {
    "defaultNumericDataType": "default_numeric_data_type",
    "defaultTimezone": "default_timezone",
    "overrideDatabaseTimezone": "override_database_timezone",
    "defaultDialect": "default_dialect",
    "defaultLocale": "default_locale",
    "queryTimezone": "query_timezone",
    "weekStart": "week_start",
    "expressionMode": "expression_mode",
    "fiscalYearStart": "fiscal_year_start",
}
"""The keys of a model's `settings:` block and the attributes that hold them."""


def register(server: grpc.Server, engine: Engine) -> tuple[str, ...]:
    """Adds the service to a server."""
    pb_grpc.add_SettingsServiceServicer_to_server(SettingsServicer(engine), server)
    return (NAME,)


class SettingsServicer(pb_grpc.SettingsServiceServicer):
    """Says what the server is and how it is set."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def GetHealth(self, request: pb.GetHealthRequest, context: grpc.ServicerContext) -> pb.GetHealthResponse:
        return pb.GetHealthResponse(status="ok", version=__version__, auth_mode=self._engine.settings.access.mode)

    def GetSettings(self, request: pb.GetSettingsRequest, context: grpc.ServicerContext) -> pb.GetSettingsResponse:
        settings, queries = self._engine.settings, self._engine.queries
        handle = self._model(request.session_id, request.model_id)
        model = handle.model if handle else None
        curated = self._engine.models.curated
        only = next(iter(curated.models.values())) if len(curated.models) == 1 else None
        return pb.GetSettingsResponse(
            version=__version__,
            api_version=API_VERSION,
            single_model_mode=curated.enabled,
            model_yaml=only.source.text if only else None,
            session_ttl_seconds=settings.sessions.ttl_seconds,
            session_max_age_seconds=settings.sessions.max_age_seconds,
            max_sessions=settings.sessions.max_sessions,
            max_models_per_session=settings.sessions.max_models_per_session,
            query_execute=settings.query.execute,
            flight=self._flight(),
            model_settings=_model_settings(model.settings) if model else None,
            timezone=_timezone(queries.zone_chain(model)),
            dialect=pb.DialectChain(
                model=model.settings.default_dialect if model else None,
                env=queries.server_dialect,
                effective=queries.dialect(model) if model else queries.server_dialect,
            ),
            oneshot_batch=pb.BatchLimits(
                max_queries=settings.batch.max_queries,
                max_parallelism=settings.batch.max_parallelism,
                default_timeout_ms=settings.batch.default_timeout_ms,
                batch_timeout_ms=settings.batch.batch_timeout_ms,
            ),
            cache=self._cache(),
        )

    def _model(self, session_id: str, model_id: str) -> ModelHandle | None:
        """The model whose settings matter: the named one, the session's only one, or the only one there is."""
        models = self._engine.models
        if model_id:
            if not session_id:
                raise ServiceError(Reason.INVALID_REQUEST, "model_id needs a session_id")
            return models.resolve(session_id, model_id)
        if session_id:
            handles = models.in_session(session_id)
            return handles[0] if len(handles) == 1 else None
        return models.only()

    def _flight(self) -> pb.FlightSurface | None:
        settings = self._engine.settings
        if not settings.flight.enabled:
            return None
        location = self._engine.flight_location or settings.flight.address
        return pb.FlightSurface(
            enabled=True,
            port=int(location.rpartition(":")[2]),
            auth_mode=settings.access.mode,
            db_vendor=self._engine.queries.server_dialect,
        )

    def _cache(self) -> pb.CacheSettings:
        settings = self._engine.settings.cache
        return pb.CacheSettings(
            backend=settings.backend,
            enabled=settings.backend != "noop",
            min_ttl_seconds=settings.min_ttl_seconds,
            max_ttl_seconds=settings.max_ttl_seconds,
            max_value_bytes=settings.max_value_bytes,
            max_disk_bytes=settings.max_disk_bytes,
            sweep_interval_seconds=settings.sweep_interval_seconds,
            unknown_freshness_policy=settings.unknown_freshness_policy,
            unknown_freshness_default_ttl=settings.unknown_freshness_default_ttl,
            heartbeat_endpoint_enabled=self._engine.settings.access.heartbeat_token is not None,
        )


def _model_settings(settings: ModelSettings) -> pb.ModelSettings:
    """The block as the model states it: what it omits is unset."""
    stated = {name: getattr(settings, name) for key, name in MODEL_SETTINGS.items() if key in settings.declared}
    plain: dict[str, Any] = {
        name: value if isinstance(value, bool | int | str) else str(value) for name, value in stated.items()
    }
    return pb.ModelSettings(**plain)


def _timezone(chain: ZoneChain) -> pb.TimezoneChain:
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    return pb.TimezoneChain(
        model=chain.model,
        host=chain.host,
        database=chain.database,
        effective=chain.effective,
        override_database_timezone=chain.override,
        now=now.astimezone(zoneinfo.ZoneInfo(chain.effective)).isoformat(),
        utc=now.isoformat().replace("+00:00", "Z"),
    )
