from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest
from sagitta_compiler.model.resolved import Refresh
from sagitta_server.cache import CacheRequest, CacheSettings, Contract, HeartbeatStore, Lookup
from sagitta_server.cache.file_cache import FileCache
from sagitta_server.execution.cancel import CancelToken
from sagitta_server.execution.source import SourceError
from sagitta_server.execution.stream import ResultStream
from sagitta_server.state.database import Database, open_database

NOON = dt.datetime(2026, 3, 2, 12, 0, tzinfo=dt.UTC)
HOURLY: Mapping[str, Contract] = {"db.s.orders": Refresh("interval", interval_seconds=3600)}


@dataclass
class ManualClock:
    """A clock that only moves when told."""

    now: dt.datetime = NOON

    def __call__(self) -> dt.datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)


@dataclass
class Statement:
    """A source's stream that counts how often it ran and how often it was closed."""

    table: pa.Table
    runs: int = 0
    closed: int = 0
    failure: Exception | None = None
    chunk: int = 2
    asked: list[int] = field(default_factory=list)

    def run(self) -> ResultStream:
        self.runs += 1
        token = CancelToken()
        return ResultStream(
            self.table.schema,
            pa.RecordBatchReader.from_batches(self.table.schema, self._batches()),
            cancel=token.cancel,
            close=self._close,
            native=False,
            token=token,
            translate=lambda error: SourceError(str(error)),
        )

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(self.table.to_batches(max_chunksize=self.chunk)):
            self.asked.append(number)
            yield batch
        if self.failure is not None:
            raise self.failure

    def _close(self) -> None:
        self.closed += 1


def request(sql: str = "SELECT 1 AS a FROM db.s.orders", **changes: object) -> CacheRequest:
    values: dict[str, object] = {
        "datasource": "main",
        "model": "m1",
        "dialect": "duckdb",
        "sql": sql,
        "tables": ("DB.S.ORDERS",),
        "contracts": HOURLY,
    }
    return CacheRequest(**{**values, **changes})  # type: ignore[arg-type]


def answer(cache: FileCache, wanted: CacheRequest, statement: Statement) -> tuple[Lookup, pa.Table]:
    """What the query service does: look, run on a miss, read everything, give the stream back."""
    lookup = cache.lookup(wanted)
    stream = lookup.hit.stream if lookup.hit else cache.store(lookup, statement.run())
    try:
        return lookup, stream.reader.read_all()
    finally:
        stream.close()


def numbers(rows: int, start: int = 0) -> pa.Table:
    return pa.table({"a": pa.array(range(start, start + rows), pa.int64())})


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'state.sqlite'}")
    yield database
    database.close()


@pytest.fixture
def settings() -> CacheSettings:
    return CacheSettings(backend="file", sweep_interval_seconds=3600)


@pytest.fixture
def cache(settings: CacheSettings, tmp_path: Path, state: Database, clock: ManualClock) -> Iterator[FileCache]:
    opened = FileCache(settings, tmp_path / "cache", HeartbeatStore(state), clock)
    yield opened
    opened.close()
