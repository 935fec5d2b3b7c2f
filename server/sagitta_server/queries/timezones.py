"""The zone in which naive timestamps are meant, found by the documented chain."""

from __future__ import annotations

import logging
import time
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from babel.localtime import get_localzone
from sagitta_compiler.model.resolved import Settings as ModelSettings

from sagitta_server.errors import Reason, ServiceError
from sagitta_server.execution import Source, SourceError, batches_of

log = logging.getLogger(__name__)

SESSION_ZONE = {
    "duckdb": "SELECT current_setting('TimeZone')",
    "postgres": "SELECT current_setting('TimeZone')",
    "mysql": "SELECT @@session.time_zone",
    "clickhouse": "SELECT timezone()",
}
"""How a warehouse tells the zone of its session."""
RETRY_SECONDS = 60.0
"""How long one that did not tell is left alone."""


@dataclass(frozen=True, slots=True)
class ZoneChain:
    """The links of the chain and the zone that they give."""

    model: str | None
    host: str | None
    database: str | None
    override: bool
    effective: str


def known_zone(name: str | None) -> str | None:
    """The name, if it is an IANA zone on this machine."""
    if not name:
        return None
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None
    return name


def requested_zone(name: str) -> str:
    """The zone of a request.

    Raises:
        ServiceError: it is no IANA name.
    """
    if known_zone(name) is None:
        raise ServiceError(
            Reason.UNKNOWN_TIMEZONE,
            f"'{name}' is not an IANA time zone name, such as Europe/Berlin.",
            metadata={"timezone": name},
        )
    return name


@cache
def host_zone() -> str | None:
    """The zone of this machine; None when it cannot be named."""
    return known_zone(str(get_localzone()))


def resolve_zone(settings: ModelSettings | None, database: str | None, requested: str = "") -> ZoneChain:
    """Walks the chain: the model first when it overrides the database, else the database first."""
    model = requested or known_zone(settings.default_timezone if settings else None)
    override = settings.override_database_timezone if settings else False
    host = host_zone()
    links = (model, host) if override or requested else (database, model, host)
    effective = next((zone for zone in links if zone), "UTC")
    return ZoneChain(model, host, database, override, effective)


class DatabaseZones:
    """The session zone of each source, asked once, before its first query."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._zones: dict[str, str | None] = {}
        self._failed_at: dict[str, float] = {}

    def known(self, source: str) -> str | None:
        """The zone if a query has been asked of the source already."""
        return self._zones.get(source)

    def learn(self, source: Source) -> str | None:
        """The zone, asked for when it is not known; a warehouse that does not tell has none.

        Whoever asks must hold no statement of the source: the question takes a connection, and there may be one only.
        One that fails now is asked again after a while: it may never tell.
        """
        failed_at = self._failed_at.get(source.name, float("-inf"))
        if source.name not in self._zones and self._now() - failed_at >= RETRY_SECONDS:
            try:
                self._zones[source.name] = _ask(source)
            except SourceError as error:
                self._failed_at[source.name] = self._now()
                log.warning("the session zone of source %s is unknown: %s", source.name, error)
        return self._zones.get(source.name)


def _ask(source: Source) -> str | None:
    sql = SESSION_ZONE.get(source.dialect)
    if sql is None:
        return None
    stream = source.execute(sql, timeout_seconds=5.0)
    try:
        values = [value for batch in batches_of(stream) for value in batch.column(0).to_pylist()]
    finally:
        stream.close()
    return known_zone(values[0]) if values else None
