"""The file backend: Arrow files in a directory of this machine, with their index beside them."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from sqlalchemy.exc import SQLAlchemyError

from sagitta_server.cache.dependencies import dependencies
from sagitta_server.cache.freshness import cap, resolve_freshness, uncacheable
from sagitta_server.cache.heartbeats import HeartbeatStore, TableState, from_micros, to_micros
from sagitta_server.cache.index import Entry, EntryIndex
from sagitta_server.cache.key import folded, result_key, table_reference
from sagitta_server.cache.payload import PayloadError, PayloadInfo, read_payload, write_payload
from sagitta_server.cache.recorder import Batches, record
from sagitta_server.cache.result_cache import (
    CachedResult,
    CacheRequest,
    CacheStats,
    ClearResult,
    Clock,
    HeartbeatReceipt,
    Lookup,
    StoreTicket,
    SweepResult,
    refresh_moment,
    utc_now,
)
from sagitta_server.cache.settings import CacheSettings
from sagitta_server.execution.cancel import CancelToken
from sagitta_server.execution.source import RecordBatchReader, Schema, SourceError
from sagitta_server.execution.stream import ResultStream

RESULTS = "results"
_FLUSH_SECONDS = 1.0
_ORPHAN_SECONDS = 600
_PENDING_VALUES = 4
_SECOND = 1_000_000
_STORAGE_ERRORS = (OSError, SQLAlchemyError, pa.ArrowException, PayloadError)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Pending:
    """A result that waits to be written; it is served from memory meanwhile."""

    ticket: StoreTicket
    schema: Schema
    batches: Batches
    size: int


class FileCache:
    """Stores results in the background, serves them from mapped files, and removes the least recently used."""

    backend = "file"

    def __init__(
        self, settings: CacheSettings, directory: Path, heartbeats: HeartbeatStore, clock: Clock = utc_now
    ) -> None:
        self._settings = settings
        self._results = directory / RESULTS
        self._heartbeats = heartbeats
        self._clock = clock
        self._index = EntryIndex(directory)
        self._lock = threading.Lock()
        self._pending: dict[str, _Pending] = {}
        self._hits: dict[str, tuple[int, int]] = {}
        self._counts: Counter[str] = Counter()
        self._flushed_at = clock()
        self._closing = threading.Event()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="cache-writer")
        self._sweeper = threading.Thread(target=self._sweep_until_closed, name="cache-sweeper", daemon=True)
        self._sweeper.start()

    def lookup(self, request: CacheRequest) -> Lookup:
        found = dependencies(request.sql, request.dialect)
        if not found.deterministic:
            return Lookup(uncacheable("non_deterministic_sql"))
        if untold := found.tables - {folded(table) for table in request.tables}:
            return Lookup(uncacheable("unknown_tables", min(untold)))
        now = self._clock()
        try:
            tables = self._heartbeats.read(request.tables)
            return self._answer(request, tables, now)
        except _STORAGE_ERRORS:
            _log.warning("the cache cannot be read; the statement runs", exc_info=True)
            return Lookup(uncacheable("storage_error"))

    def _answer(self, request: CacheRequest, tables: Mapping[str, TableState], now: dt.datetime) -> Lookup:
        refreshed = {table: state.refreshed_at for table, state in tables.items()}
        full = resolve_freshness(request.tables, request.contracts, refreshed, self._settings, now)
        freshness = cap(full, request.cap_seconds)
        if freshness.ttl_seconds is None or full.ttl_seconds is None:
            return Lookup(freshness)
        generations = {name: tables[name].generation if name in tables else 0 for name in map(folded, request.tables)}
        key = result_key(datasource=request.datasource, model=request.model, dialect=request.dialect, sql=request.sql)
        hit = self._find(key, generations, now, request.cap_seconds)
        self._note_use(key if hit else None, now)
        return Lookup(freshness, hit, None if hit else StoreTicket(key, now, full.ttl_seconds, generations))

    def _find(
        self, key: str, generations: Mapping[str, int], now: dt.datetime, cap_seconds: int | None
    ) -> CachedResult | None:
        with self._lock:
            pending = self._pending.get(key)
        if (
            pending is not None
            and pending.ticket.generations == generations
            and _young(pending.ticket, now, cap_seconds)
        ):
            return _from_memory(pending)
        entry = self._index.find(key)
        if entry is None:
            return None
        if entry.tables != generations:
            self._discard(self._index.remove(key, entry.file), refreshed=True)
            return None
        if entry.expires_at <= to_micros(now):
            self._discard(self._index.remove(key, entry.file))
            return None
        if cap_seconds is not None and to_micros(now) - entry.created_at >= cap_seconds * _SECOND:
            return None
        return self._open(entry)

    def _open(self, entry: Entry) -> CachedResult | None:
        try:
            reader = read_payload(self._results / entry.file, PayloadInfo(entry.size_bytes, entry.checksum))
        except (FileNotFoundError, PayloadError, pa.ArrowException) as error:
            _log.warning("a stored result cannot be used and is dropped: %s", error)
            self._discard(self._index.remove(entry.key, entry.file))
            return None
        return CachedResult(_stream(reader), from_micros(entry.created_at), entry.rows)

    def store(self, lookup: Lookup, stream: ResultStream) -> ResultStream:
        ticket = lookup.ticket
        if ticket is None:
            return stream
        schema = stream.schema
        return record(stream, self._settings.max_value_bytes, lambda batches: self._enqueue(ticket, schema, batches))

    def _enqueue(self, ticket: StoreTicket, schema: Schema, batches: Batches) -> None:
        size = sum(batch.nbytes for batch in batches)
        pending = _Pending(ticket, schema, batches, size)
        with self._lock:
            waiting = sum(other.size for other in self._pending.values())
            if self._closing.is_set() or waiting + size > _PENDING_VALUES * self._settings.max_value_bytes:
                return
            self._pending[ticket.key] = pending
            self._writer.submit(self._persist, pending)

    def _persist(self, pending: _Pending) -> None:
        key = pending.ticket.key
        try:
            self._write(pending)
        except _STORAGE_ERRORS:
            _log.warning("a result cannot be stored", exc_info=True)
        finally:
            with self._lock:
                if self._pending.get(key) is pending:
                    del self._pending[key]

    def _write(self, pending: _Pending) -> None:
        ticket = pending.ticket
        name = f"{ticket.key[:2]}/{ticket.key}-{uuid.uuid4().hex[:8]}.arrow"
        info = write_payload(self._results / name, pending.schema, pending.batches)
        started = to_micros(ticket.started_at)
        entry = Entry(
            key=ticket.key,
            file=name,
            size_bytes=info.size_bytes,
            checksum=info.checksum,
            rows=sum(batch.num_rows for batch in pending.batches),
            created_at=started,
            expires_at=started + ticket.ttl_seconds * _SECOND,
            tables=ticket.generations,
        )
        try:
            replaced = self._index.put(entry)
        except SQLAlchemyError:
            self._discard([name])
            raise
        self._discard(replaced)
        self._flush()
        self._discard(self._index.remove_least_recently_used(self._settings.max_disk_bytes))

    def heartbeat(
        self, database: str, schema: str, table: str, timestamp: dt.datetime | None = None
    ) -> HeartbeatReceipt:
        reference, moment = table_reference(database, schema, table), refresh_moment(timestamp, self._clock())
        if not self._heartbeats.record(reference, moment):
            return HeartbeatReceipt(reference, moment, 0)
        self._drain()
        removed = self._discard(self._index.remove_table(folded(reference)), refreshed=True)
        return HeartbeatReceipt(reference, moment, removed)

    def stats(self) -> CacheStats:
        self._drain()
        self._flush()
        summary = self._index.summary()
        hits, misses = summary.counters.get("hits", 0), summary.counters.get("misses", 0)
        swept = summary.counters.get("swept_at")
        interval = dt.timedelta(seconds=self._settings.sweep_interval_seconds)
        return CacheStats(
            backend=self.backend,
            entry_count=summary.entry_count,
            total_size_bytes=summary.size_bytes,
            max_size_bytes=self._settings.max_disk_bytes,
            hit_count_total=hits,
            miss_count_total=misses,
            hit_rate=round(hits / (hits + misses), 3) if hits + misses else 0.0,
            oldest_entry=None if summary.oldest is None else from_micros(summary.oldest),
            next_sweep_at=None if swept is None else from_micros(swept) + interval,
            tracked_physical_tables=summary.tables,
            heartbeat_invalidations_total=summary.counters.get("invalidations", 0),
        )

    def sweep(self) -> SweepResult:
        now = to_micros(self._clock())
        self._index.note_sweep(now)
        return self._sweep(now)

    def _sweep(self, now: int) -> SweepResult:
        self._drain()
        self._flush()
        expired = self._discard(self._index.remove_expired(now))
        evicted = self._discard(self._index.remove_least_recently_used(self._settings.max_disk_bytes))
        self._remove_orphans(now)
        return SweepResult(self.backend, expired, evicted)

    def clear(self) -> ClearResult:
        self._drain()
        self._flush()
        return ClearResult(self.backend, self._discard(self._index.remove_all()))

    def close(self) -> None:
        if self._closing.is_set():
            return
        self._closing.set()
        self._sweeper.join()
        self._writer.shutdown()
        with _logged("the cache's counters cannot be written"):
            self._flush()
        self._index.close()

    def _drain(self) -> None:
        """Waits until the results that were complete when it was called are written."""
        if not self._closing.is_set():
            self._writer.submit(lambda: None).result()

    def _note_use(self, key: str | None, now: dt.datetime) -> None:
        with self._lock:
            self._counts["misses" if key is None else "hits"] += 1
            if key is not None:
                self._hits[key] = (self._hits.get(key, (0, 0))[0] + 1, to_micros(now))
            due = (now - self._flushed_at).total_seconds() >= _FLUSH_SECONDS and not self._closing.is_set()
            if due:
                self._flushed_at = now
                self._writer.submit(self._flush_logged)

    def _flush_logged(self) -> None:
        with _logged("the cache's counters cannot be written"):
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            hits, self._hits = self._hits, {}
            counts, self._counts = self._counts, Counter()
        if hits or counts:
            self._index.record_use(hits, counts)

    def _discard(self, files: Iterable[str], *, refreshed: bool = False) -> int:
        names = list(files)
        for name in names:
            with _logged("a stored result cannot be removed"):
                (self._results / name).unlink(missing_ok=True)
        if refreshed:
            with self._lock:
                self._counts["invalidations"] += len(names)
        return len(names)

    def _remove_orphans(self, now: int) -> None:
        """Removes files that no entry knows: a process was killed between writing and noting them."""
        limit = now / _SECOND - _ORPHAN_SECONDS
        old = {str(path.relative_to(self._results)) for path in self._results.glob("*/*") if _written_at(path) < limit}
        self._discard(old - self._index.files())

    def _sweep_until_closed(self) -> None:
        interval = self._settings.sweep_interval_seconds
        while not self._closing.is_set():
            with _logged("the cache cannot be swept"):
                now = to_micros(self._clock())
                if self._index.claim_sweep(now, interval * _SECOND):
                    self._sweep(now)
            self._closing.wait(min(interval, 60))


@contextmanager
def _logged(message: str) -> Iterator[None]:
    """Lets work that nobody waits for fail with a line in the log."""
    try:
        yield
    except _STORAGE_ERRORS:
        _log.warning(message, exc_info=True)


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process removes as well
        return float("inf")


def _young(ticket: StoreTicket, now: dt.datetime, cap_seconds: int | None) -> bool:
    age = (now - ticket.started_at).total_seconds()
    return age < (ticket.ttl_seconds if cap_seconds is None else min(ticket.ttl_seconds, cap_seconds))


def _from_memory(pending: _Pending) -> CachedResult:
    reader = pa.RecordBatchReader.from_batches(pending.schema, pending.batches)
    return CachedResult(
        _stream(reader, native=False), pending.ticket.started_at, sum(batch.num_rows for batch in pending.batches)
    )


def _stream(reader: RecordBatchReader, *, native: bool = True) -> ResultStream:
    """Wraps a stored result like the stream of a source."""
    token = CancelToken()
    return ResultStream(
        schema=reader.schema,
        raw=reader,
        cancel=token.cancel,
        close=token.finish,
        native=native,
        token=token,
        translate=_unreadable,
    )


def _unreadable(error: Exception) -> SourceError:
    return error if isinstance(error, SourceError) else SourceError("The stored result cannot be read.")
