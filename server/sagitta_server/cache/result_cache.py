"""What the rest of the server knows of the cache: one question before a statement runs, one wrapper after."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sagitta_server.cache.freshness import OFF, Contract, Freshness
from sagitta_server.cache.heartbeats import HeartbeatStore
from sagitta_server.cache.key import table_reference
from sagitta_server.execution.stream import ResultStream

Clock = Callable[[], dt.datetime]
"""Returns the present moment, aware."""


def utc_now() -> dt.datetime:
    """The clock of a running server."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class CacheRequest:
    """A statement that is about to run.

    `model` is a digest of the model's content, `datasource` the name of the source (two sources with equal SQL have
    different rows). `cap_seconds` is the age up to which the caller accepts a stored result.
    """

    datasource: str
    model: str
    dialect: str
    sql: str
    tables: tuple[str, ...]
    contracts: Mapping[str, Contract]
    cap_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class CachedResult:
    """A stored result; the stream is lazy and single use, like that of a source."""

    stream: ResultStream
    cached_at: dt.datetime
    rows: int


@dataclass(frozen=True, slots=True)
class StoreTicket:
    """The right to store the result of one statement, with the state of its tables from before it ran."""

    key: str
    started_at: dt.datetime
    ttl_seconds: int
    generations: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Lookup:
    """The cache's answer: a hit, or a miss with or without the right to store the result."""

    freshness: Freshness
    hit: CachedResult | None = None
    ticket: StoreTicket | None = None


@dataclass(frozen=True, slots=True)
class CacheStats:
    """The counters of `GET /v1/cache/stats`; sizes in bytes."""

    backend: str
    entry_count: int = 0
    total_size_bytes: int = 0
    max_size_bytes: int = 0
    hit_count_total: int = 0
    miss_count_total: int = 0
    hit_rate: float = 0.0
    oldest_entry: dt.datetime | None = None
    next_sweep_at: dt.datetime | None = None
    tracked_physical_tables: int = 0
    heartbeat_invalidations_total: int = 0


@dataclass(frozen=True, slots=True)
class SweepResult:
    """How many entries a sweep removed."""

    backend: str
    ttl_evicted: int = 0
    capacity_evicted: int = 0


@dataclass(frozen=True, slots=True)
class ClearResult:
    """How many entries were dropped."""

    backend: str
    entries_cleared: int = 0


@dataclass(frozen=True, slots=True)
class HeartbeatReceipt:
    """What a heartbeat did. `recorded_at` is the refresh that counts: never later than now."""

    table_ref: str
    recorded_at: dt.datetime
    invalidated_cache_entries: int


class ResultCache(Protocol):
    """A cache of results; every method may be called from any thread and blocks for about a millisecond."""

    @property
    def backend(self) -> str:
        """`noop` or `file`."""
        ...

    def lookup(self, request: CacheRequest) -> Lookup:
        """Looks for a stored result; a broken store is a miss, never an error."""
        ...

    def store(self, lookup: Lookup, stream: ResultStream) -> ResultStream:
        """Returns a stream to use in place of the given one; it stores the result once it was read to its end."""
        ...

    def heartbeat(
        self, database: str, schema: str, table: str, timestamp: dt.datetime | None = None
    ) -> HeartbeatReceipt:
        """Notes that a table was refreshed (default: now) and drops every result that depends on it."""
        ...

    def stats(self) -> CacheStats: ...

    def sweep(self) -> SweepResult:
        """Removes what has expired, then what does not fit."""
        ...

    def clear(self) -> ClearResult:
        """Removes everything but the counters."""
        ...

    def close(self) -> None:
        """Finishes pending writes."""
        ...


@dataclass(frozen=True, slots=True)
class NoopCache:
    """Keeps nothing, but takes heartbeats: another replica may have a cache."""

    heartbeats: HeartbeatStore
    clock: Clock = field(default=utc_now)
    backend: str = "noop"

    def lookup(self, request: CacheRequest) -> Lookup:
        return Lookup(OFF)

    def store(self, lookup: Lookup, stream: ResultStream) -> ResultStream:
        return stream

    def heartbeat(
        self, database: str, schema: str, table: str, timestamp: dt.datetime | None = None
    ) -> HeartbeatReceipt:
        reference, moment = table_reference(database, schema, table), refresh_moment(timestamp, self.clock())
        self.heartbeats.record(reference, moment)
        return HeartbeatReceipt(reference, moment, 0)

    def stats(self) -> CacheStats:
        return CacheStats(self.backend)

    def sweep(self) -> SweepResult:
        return SweepResult(self.backend)

    def clear(self) -> ClearResult:
        return ClearResult(self.backend)

    def close(self) -> None:
        """Has nothing to finish."""


def refresh_moment(timestamp: dt.datetime | None, now: dt.datetime) -> dt.datetime:
    """Returns the moment that a heartbeat stands for: naive ones are UTC, future ones are now."""
    if timestamp is None:
        return now
    aware = timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=dt.UTC)
    return min(aware.astimezone(dt.UTC), now)
