from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from sagitta_compiler.model.resolved import Refresh
from sagitta_server.cache import CacheSettings, HeartbeatStore, NoopCache
from sagitta_server.cache.file_cache import FileCache
from sagitta_server.cache.index import FILE_NAME
from sagitta_server.execution.source import SourceError
from sagitta_server.state.database import Database

from .conftest import NOON, ManualClock, Statement, answer, numbers, request


def test_a_repeated_statement_is_answered_without_running(cache: FileCache, clock: ManualClock) -> None:
    statement = Statement(numbers(5))
    first, rows = answer(cache, request(), statement)
    cache.stats()
    clock.advance(60)
    second, again = answer(cache, request(), statement)
    assert first.hit is None
    assert first.freshness.ttl_seconds == 3600
    assert second.hit is not None
    assert (second.hit.cached_at, second.hit.rows) == (NOON, 5)
    assert again == rows == statement.table
    assert (statement.runs, statement.closed) == (1, 1)


def test_a_result_is_served_before_it_is_on_the_disk(cache: FileCache) -> None:
    """The client that asks twice in a row must not run twice because a file is still being written."""
    gate = threading.Event()
    cache._writer.submit(gate.wait)
    try:
        answer(cache, request(), Statement(numbers(5)))
        lookup, rows = answer(cache, request(), Statement(numbers(0)))
        assert lookup.hit is not None
        assert rows == numbers(5)
    finally:
        gate.set()


def test_every_type_comes_back_as_it_was(cache: FileCache) -> None:
    table = pa.table(
        {
            "d": pa.array([None, 1], pa.decimal128(38, 6)),
            "t": pa.array([None, dt.datetime(2024, 1, 1, tzinfo=dt.UTC)], pa.timestamp("us", "Europe/Berlin")),
            "s": pa.array(["a", "a"]).dictionary_encode(),
            "l": pa.array([[1], None], pa.list_(pa.int32())),
            "n": pa.nulls(2),
        }
    ).replace_schema_metadata({"origin": "warehouse"})
    answer(cache, request(), Statement(table))
    cache.stats()
    lookup, again = answer(cache, request(), Statement(numbers(0)))
    assert lookup.hit is not None
    assert again.equals(table, check_metadata=True)


def test_an_empty_result_keeps_its_schema(cache: FileCache) -> None:
    answer(cache, request(), Statement(numbers(0)))
    cache.stats()
    lookup, again = answer(cache, request(), Statement(numbers(3)))
    assert lookup.hit is not None
    assert (again.schema, again.num_rows) == (numbers(0).schema, 0)


def test_batches_pass_one_at_a_time(cache: FileCache) -> None:
    """Recording must not read ahead of its reader, or a large answer waits for its last row."""
    statement = Statement(numbers(10), chunk=2)
    stream = cache.store(cache.lookup(request()), statement.run())
    stream.reader.read_next_batch()
    assert statement.asked == [0]


def test_what_was_not_read_to_its_end_is_not_kept(cache: FileCache) -> None:
    statement = Statement(numbers(10))
    stream = cache.store(cache.lookup(request()), statement.run())
    stream.reader.read_next_batch()
    stream.reader.close()
    stream.close()
    assert cache.stats().entry_count == 0


def test_what_failed_is_not_kept_and_the_error_is_the_sources(cache: FileCache) -> None:
    statement = Statement(numbers(4), failure=SourceError("the warehouse stopped"))
    with pytest.raises(SourceError, match="the warehouse stopped"):
        answer(cache, request(), statement)
    assert cache.stats().entry_count == 0


def test_a_result_over_the_limit_passes_unkept(tmp_path: Path, state: Database, clock: ManualClock) -> None:
    settings = CacheSettings(backend="file", max_value_bytes=80)
    cache = FileCache(settings, tmp_path / "c", HeartbeatStore(state), clock)
    try:
        _, small = answer(cache, request("SELECT 1"), Statement(numbers(10)))
        _, large = answer(cache, request("SELECT 2"), Statement(numbers(11)))
        assert (small.num_rows, large.num_rows) == (10, 11)
        assert cache.stats().entry_count == 1
    finally:
        cache.close()


def test_an_entry_ends_with_its_ttl(cache: FileCache, clock: ManualClock) -> None:
    answer(cache, request(), Statement(numbers(1)))
    cache.stats()
    clock.advance(3599)
    assert cache.lookup(request()).hit is not None
    clock.advance(1)
    assert cache.lookup(request()).hit is None
    assert list((tmp := cache._results).glob("*/*.arrow")) == [], tmp


@pytest.mark.parametrize(
    "changes",
    [{"datasource": "other"}, {"model": "m2"}, {"dialect": "postgres"}, {"sql": "SELECT 'a  b'"}],
    ids=["source", "model", "dialect", "sql"],
)
def test_each_part_of_the_key_tells_results_apart(cache: FileCache, changes: dict[str, str]) -> None:
    answer(cache, request("SELECT 'a b'"), Statement(numbers(1)))
    cache.stats()
    assert cache.lookup(request(**({"sql": "SELECT 'a b'"} | changes))).hit is None
    assert cache.lookup(request(" SELECT 'a b' ;\n")).hit is not None


def test_a_heartbeat_drops_what_depends_on_its_table(cache: FileCache, clock: ManualClock) -> None:
    both = {**request().contracts, "db.s.returns": Refresh("static")}
    orders = request("SELECT 1")
    returns = request("SELECT 2", tables=("db.s.returns",), contracts=both)
    joined = request("SELECT 3", tables=("db.s.orders", "db.s.returns"), contracts=both)
    for wanted in (orders, returns, joined):
        answer(cache, wanted, Statement(numbers(1)))
    clock.advance(10)
    receipt = cache.heartbeat("db", "S", "Orders")
    assert (receipt.table_ref, receipt.invalidated_cache_entries) == ("db.S.Orders", 2)
    assert receipt.recorded_at == clock()
    assert [cache.lookup(wanted).hit is not None for wanted in (orders, returns, joined)] == [False, True, False]
    stats = cache.stats()
    assert (stats.heartbeat_invalidations_total, stats.entry_count, stats.tracked_physical_tables) == (2, 1, 1)


def test_a_heartbeat_while_a_statement_runs_makes_its_result_old(cache: FileCache, clock: ManualClock) -> None:
    """The rows may be from before or after the refresh; only a new statement can tell."""
    lookup = cache.lookup(request())
    stream = cache.store(lookup, Statement(numbers(2)).run())
    clock.advance(1)
    cache.heartbeat("db", "s", "orders")
    stream.reader.read_all()
    assert cache.lookup(request()).hit is None


def test_an_old_heartbeat_changes_nothing_and_a_future_one_is_now(cache: FileCache, clock: ManualClock) -> None:
    assert cache.heartbeat("db", "s", "orders", NOON + dt.timedelta(days=1)).recorded_at == NOON
    answer(cache, request(), Statement(numbers(1)))
    assert cache.heartbeat("db", "s", "orders", NOON - dt.timedelta(hours=1)).invalidated_cache_entries == 0
    assert cache.lookup(request()).hit is not None


def test_a_heartbeat_of_another_replica_is_seen(
    cache: FileCache, settings: CacheSettings, tmp_path: Path, state: Database, clock: ManualClock
) -> None:
    """Replicas share the state database, not the directory."""
    answer(cache, request(), Statement(numbers(1)))
    cache.stats()
    sibling = FileCache(settings, tmp_path / "other", HeartbeatStore(state), clock)
    try:
        clock.advance(1)
        assert sibling.heartbeat("db", "s", "orders").invalidated_cache_entries == 0
    finally:
        sibling.close()
    assert cache.lookup(request()).hit is None
    assert cache.stats().heartbeat_invalidations_total == 1


def test_results_survive_a_restart(
    cache: FileCache, settings: CacheSettings, tmp_path: Path, state: Database, clock: ManualClock
) -> None:
    answer(cache, request(), Statement(numbers(3)))
    cache.lookup(request())
    cache.close()
    reopened = FileCache(settings, tmp_path / "cache", HeartbeatStore(state), clock)
    try:
        lookup, rows = answer(reopened, request(), Statement(numbers(0)))
        assert lookup.hit is not None
        assert rows == numbers(3)
        assert (reopened.stats().hit_count_total, reopened.stats().miss_count_total) == (2, 1)
    finally:
        reopened.close()


def test_the_longest_unused_goes_first(tmp_path: Path, state: Database, clock: ManualClock) -> None:
    cache = FileCache(CacheSettings(backend="file"), tmp_path / "probe", HeartbeatStore(state), clock)
    answer(cache, request(), Statement(numbers(100)))
    size = cache.stats().total_size_bytes
    cache.close()
    settings = CacheSettings(backend="file", max_disk_bytes=3 * size)
    cache = FileCache(settings, tmp_path / "cache", HeartbeatStore(state), clock)
    try:
        for number in range(3):
            answer(cache, request(f"SELECT {number}"), Statement(numbers(100)))
            clock.advance(1)
        assert cache.lookup(request("SELECT 0")).hit is not None
        clock.advance(1)
        answer(cache, request("SELECT 3"), Statement(numbers(100)))
        assert cache.stats().entry_count == 3
        assert [cache.lookup(request(f"SELECT {n}")).hit is not None for n in range(4)] == [True, False, True, True]
    finally:
        cache.close()


def test_a_sweep_removes_what_expired_and_files_that_nobody_knows(cache: FileCache, clock: ManualClock) -> None:
    answer(cache, request(), Statement(numbers(1)))
    cache.stats()
    orphan = cache._results / "ab" / "abc.part"
    orphan.parent.mkdir(parents=True, exist_ok=True)
    orphan.write_bytes(b"left by a killed process")
    clock.advance(3600)
    clock.now = max(clock.now, dt.datetime.now(dt.UTC) + dt.timedelta(hours=1))
    swept = cache.sweep()
    assert (swept.ttl_evicted, swept.capacity_evicted) == (1, 0)
    assert [path for path in cache._results.glob("*/*") if path.is_file()] == []
    stats = cache.stats()
    assert stats.next_sweep_at == clock() + dt.timedelta(hours=1)


def test_clear_keeps_the_counters(cache: FileCache) -> None:
    answer(cache, request(), Statement(numbers(1)))
    answer(cache, request(), Statement(numbers(1)))
    assert cache.clear().entries_cleared == 1
    stats = cache.stats()
    assert (stats.entry_count, stats.total_size_bytes, stats.oldest_entry) == (0, 0, None)
    assert (stats.hit_count_total, stats.miss_count_total, stats.hit_rate) == (1, 1, 0.5)
    assert cache.lookup(request()).hit is None


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [_truncate, _flip, Path.unlink], ids=["truncated", "changed", "missing"])
def test_a_damaged_result_is_a_miss(cache: FileCache, damage: Callable[[Path], None]) -> None:
    """A wrong number is worse than a slow one."""
    answer(cache, request(), Statement(numbers(1000)))
    cache.stats()
    (file,) = cache._results.glob("*/*.arrow")
    damage(file)
    lookup, rows = answer(cache, request(), Statement(numbers(7)))
    assert lookup.hit is None
    assert rows == numbers(7)
    cache.stats()
    assert cache.lookup(request()).hit is not None


def test_a_broken_state_database_means_no_cache_and_no_error(cache: FileCache, state: Database) -> None:
    answer(cache, request(), Statement(numbers(1)))
    with state.write() as connection:
        connection.exec_driver_sql("DROP TABLE table_heartbeats")
    lookup, rows = answer(cache, request(), Statement(numbers(2)))
    assert lookup.freshness.source == "no_cache:storage_error"
    assert rows == numbers(2)


def test_a_damaged_index_starts_an_empty_cache(
    cache: FileCache, settings: CacheSettings, tmp_path: Path, state: Database, clock: ManualClock
) -> None:
    answer(cache, request(), Statement(numbers(1)))
    cache.close()
    index = tmp_path / "cache" / FILE_NAME
    index.write_bytes(b"this is no database, but it is as long as one" * 200)
    reopened = FileCache(settings, tmp_path / "cache", HeartbeatStore(state), clock)
    try:
        assert reopened.lookup(request()).hit is None
        answer(reopened, request(), Statement(numbers(1)))
        assert reopened.stats().entry_count == 1
    finally:
        reopened.close()


def test_a_reader_outlives_the_removal_of_its_file(cache: FileCache) -> None:
    answer(cache, request(), Statement(numbers(1000)))
    cache.stats()
    lookup = cache.lookup(request())
    assert lookup.hit is not None
    cache.clear()
    assert lookup.hit.stream.reader.read_all() == numbers(1000)


def test_an_age_cap_refuses_older_results_and_zero_goes_around_the_cache(cache: FileCache, clock: ManualClock) -> None:
    answer(cache, request(), Statement(numbers(1)))
    cache.stats()
    clock.advance(30)
    accepted = cache.lookup(request(cap_seconds=60))
    assert accepted.hit is not None
    assert (accepted.freshness.ttl_seconds, accepted.freshness.source) == (60, "caller_capped")
    assert cache.lookup(request(cap_seconds=30)).hit is None
    bypass = cache.lookup(request(cap_seconds=0))
    assert (bypass.hit, bypass.ticket, bypass.freshness.source) == (None, None, "no_cache:caller_bypass")


def test_a_varying_statement_is_never_kept(cache: FileCache) -> None:
    lookup, _ = answer(cache, request("SELECT now()"), Statement(numbers(1)))
    assert lookup.freshness.source == "no_cache:non_deterministic_sql"
    assert cache.stats().entry_count == 0


def test_a_table_that_nobody_named_forbids_keeping(cache: FileCache) -> None:
    """A heartbeat could not find the result, so it would outlive its rows."""
    lookup, _ = answer(cache, request("SELECT 1 FROM db.s.orders, db.s.forgotten"), Statement(numbers(1)))
    assert (lookup.freshness.source, lookup.freshness.limiting_table) == ("no_cache:unknown_tables", "db.s.forgotten")
    assert lookup.ticket is None


def test_many_threads_agree(cache: FileCache) -> None:
    failures: list[object] = []

    def ask(number: int) -> None:
        for turn in range(20):
            wanted = number % 3 + turn % 2
            _, rows = answer(cache, request(f"SELECT {wanted}"), Statement(numbers(50, wanted)))
            if rows != numbers(50, wanted):
                failures.append((number, turn))
            if turn == 10:
                cache.heartbeat("db", "s", "orders")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    stats = cache.stats()
    assert stats.hit_count_total + stats.miss_count_total == 120


def test_the_noop_backend_takes_heartbeats_and_reports_zeros(state: Database, clock: ManualClock) -> None:
    cache = NoopCache(HeartbeatStore(state), clock)
    assert cache.lookup(request()).freshness.source is None
    receipt = cache.heartbeat("", "", "orders", dt.datetime(2026, 1, 1))  # noqa: DTZ001 - clients send naive ones
    assert receipt.recorded_at == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    assert HeartbeatStore(state).read(["ORDERS"])["orders"].generation == 1
    assert (cache.stats().backend, cache.stats().entry_count) == ("noop", 0)
    assert (cache.sweep().ttl_evicted, cache.clear().entries_cleared) == (0, 0)
