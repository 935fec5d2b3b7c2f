"""What the result cache costs and gives: streaming with and without recording, hits, and lookups in vain.

Limits: recording keeps half the speed of a stream without a client (a gigabyte a second; a client is slower), and a hit
of a small result takes less than 2 ms.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from sagitta_compiler.model.resolved import Refresh
from sagitta_server.cache import CacheRequest, CacheSettings, HeartbeatStore
from sagitta_server.cache.file_cache import FileCache
from sagitta_server.execution import Source, batches_of, open_source
from sagitta_server.execution.settings import SourceSettings
from sagitta_server.state.database import open_database

from benchmarks.harness import Bench, seconds

ROWS = {"small": 1_000, "large": 5_000_000}
CONTRACTS = {"main.facts": Refresh("static")}
MANY = 200
LIMIT_BYTES = 256 * 1024 * 1024


@contextmanager
def _opened(folder: Path, limit_bytes: int) -> Iterator[tuple[Source, FileCache]]:
    path = folder / "facts.duckdb"
    if not path.exists():
        with duckdb.connect(str(path)) as connection:
            connection.execute(
                "CREATE TABLE facts AS SELECT i AS id, i % 100 AS kind, i * 0.5 AS amount "
                f"FROM range({ROWS['large']}) t(i)"
            )
    state = open_database(f"sqlite:///{folder / 'state.sqlite'}")
    settings = CacheSettings(backend="file", max_value_bytes=limit_bytes)
    source = open_source("bench", SourceSettings(uri=f"duckdb:///{path}"))
    cache = FileCache(settings, folder / f"cache-{limit_bytes}", HeartbeatStore(state))
    try:
        yield source, cache
    finally:
        cache.close()
        source.close()
        state.close()


def _request(sql: str) -> CacheRequest:
    return CacheRequest("bench", "m", "duckdb", sql, ("main.facts",), CONTRACTS)


def _drain(stream: Any) -> int:
    rows = 0
    try:
        for batch in batches_of(stream):
            rows += batch.num_rows
    finally:
        stream.close()
    return rows


_numbers = itertools.count()


def _new_sql(rows: int) -> str:
    """A statement that is in no cache."""
    return f"SELECT id, kind, amount FROM main.facts WHERE id < {rows} AND amount > -{next(_numbers)} - 1"


def _recorded(source: Source, cache: FileCache, rows: int) -> int:
    sql = _new_sql(rows)
    lookup = cache.lookup(_request(sql))
    assert lookup.ticket is not None
    return _drain(cache.store(lookup, source.execute(sql)))


def _hit(cache: FileCache, sql: str) -> int:
    lookup = cache.lookup(_request(sql))
    assert lookup.hit is not None
    return _drain(lookup.hit.stream)


def run(bench: Bench) -> None:
    """Times a stream of five million rows, then small results that are there and that are not."""
    large, small = ROWS["large"], ROWS["small"]
    with tempfile.TemporaryDirectory() as folder:
        for limit, share, name in ((LIMIT_BYTES, 0.5, "recorded and kept"), (10 * 1024 * 1024, 0.5, "too large")):
            with _opened(Path(folder), limit) as (source, cache):
                base = (f"{large:,} rows from the warehouse", lambda s=source: _drain(s.execute(_new_sql(large))))
                ratios = bench.compare(base, {name: lambda s=source, c=cache: _recorded(s, c, large)})
                bench.report(f"{name}: share of the speed", ratios[name], "x", limit=share, at_least=True)
        with _opened(Path(folder), LIMIT_BYTES) as (source, cache):
            _small(bench, source, cache, small)


def _small(bench: Bench, source: Source, cache: FileCache, rows: int) -> None:
    sql = _new_sql(rows)
    lookup = cache.lookup(_request(sql))
    _drain(cache.store(lookup, source.execute(sql)))
    cache.stats()
    hits = statistics.median(seconds(lambda: [_hit(cache, sql) for _ in range(MANY)]) for _ in range(bench.rounds))
    bench.report(f"a hit of {rows:,} rows", hits / MANY * 1000, "ms", limit=2)
    statements = [[_new_sql(rows) for _ in range(MANY)] for _ in range(bench.rounds)]
    misses = statistics.median(
        seconds(lambda batch=batch: [cache.lookup(_request(each)) for each in batch])  # type: ignore[misc]
        for batch in statements
    )
    bench.report("a lookup in vain", misses / MANY * 1000, "ms", limit=4)
