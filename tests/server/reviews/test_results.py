"""Rows of runs: read while they are written, never cut off in silence, bounded, and found by every replica."""

import base64
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pyarrow as pa
import pytest
from pydantic import SecretStr
from sagitta_server.app import Engine
from sagitta_server.auth import TokenIssuer
from sagitta_server.errors import ServiceError
from sagitta_server.reviews.enums import LaunchStatus, SourceKind
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.run_rows import RowStream
from sagitta_server.reviews.spool import Finished, FolderSpool, SpoolFullError
from sagitta_server.reviews.spool_table import PART_BYTES, TableSpool
from sagitta_server.reviews.store import tables
from server.reviews.world import ALICE, selection, settings, world
from sqlalchemy import select, update

SCHEMA = pa.schema([("n", pa.int64())])
MIB = 1_048_576


def batch(first, rows=1000):
    return pa.record_batch([pa.array(range(first, first + rows))], SCHEMA)


@pytest.fixture(params=["folder", "database"])
def spool(request, tmp_path, engine):
    """Either store, with a run `r1`, `r2`, `r3` to write for, at most 4 MiB each and 6 MiB together."""
    if request.param == "folder":
        return FolderSpool(tmp_path / "results", 4 * MIB, 6 * MIB)
    review = engine.reviews.service.start_session(
        ALICE, SourceKind.DATASET_SELECTION, selection({"first_day": "2024-02-01"}), "local"
    ).review
    engine.reviews.service.request_preview(ALICE, review.session_id, None)
    engine.reviews.service.launch(ALICE, review.session_id, None)
    with engine.database.write() as connection:
        row = dict(connection.execute(select(tables.RUNS)).mappings().one())
        for name in ("r1", "r2", "r3"):
            connection.execute(tables.RUNS.insert().values({**row, "run_context_id": name}))
    return TableSpool(engine.database, 4 * MIB, 6 * MIB)


def write(spool, name, batches, note=None):
    with spool.write(name, SCHEMA) as writer:
        for item in batches:
            writer.write(item)
    spool.finish(name, note or Finished(sum(b.num_rows for b in batches), False))


def read(spool, name):
    rows = RowStream(spool.read(name, lambda: True))
    try:
        return pa.Table.from_batches(list(rows), rows.schema)
    finally:
        rows.close()


def write_half(spool, name):
    """Leaves a result as a writer does that fails."""
    writer = spool.write(name, SCHEMA)
    writer.write(batch(0, PART_BYTES // 8))
    writer.__exit__(ZeroDivisionError, ZeroDivisionError(), None)


def test_what_is_written_is_read(spool):
    batches = [batch(n * 1000) for n in range(300)]  # more than two parts
    write(spool, "r1", batches)
    assert spool.finished("r1") == Finished(300_000, False)
    assert read(spool, "r1").column("n").to_pylist() == list(range(300_000))


def test_a_batch_larger_than_a_part_is_cut_and_put_together(spool):
    write(spool, "r1", [batch(0, PART_BYTES // 4)])
    assert read(spool, "r1").num_rows == PART_BYTES // 4


def test_a_reader_follows_the_writer(spool):
    go_on, ended = threading.Event(), threading.Event()

    def run():
        with spool.write("r1", SCHEMA) as writer:
            writer.write(batch(0, PART_BYTES // 8))
            assert go_on.wait(20)
            writer.write(batch(7, 1))
        spool.finish("r1", Finished(PART_BYTES // 8 + 1, False))
        ended.set()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        rows = RowStream(spool.read("r1", lambda: False))
        batches = iter(rows)
        assert next(batches).num_rows == PART_BYTES // 8
        assert not ended.is_set()
        go_on.set()
        assert next(batches).column(0).to_pylist() == [7]
        assert next(batches, None) is None
        rows.close()
        running.result()


def test_a_run_that_fails_half_way_never_looks_complete(spool):
    write_half(spool, "r1")
    spool.finish("r1", Finished(0, False, "the warehouse went away"))
    with pytest.raises(ServiceError, match="the warehouse went away"):
        read(spool, "r1")


def test_a_process_that_dies_half_way_never_looks_complete(spool):
    write_half(spool, "r1")
    with pytest.raises(ServiceError, match="before all of its rows"):
        read(spool, "r1")


def test_a_second_attempt_replaces_what_the_first_one_left(spool):
    with spool.write("r1", SCHEMA) as writer:
        writer.write(batch(0, PART_BYTES // 4))
    write(spool, "r1", [batch(5, 2)])
    assert read(spool, "r1").column("n").to_pylist() == [5, 6]


def test_a_result_has_a_largest_size(spool):
    with pytest.raises(SpoolFullError), spool.write("r1", SCHEMA) as writer:
        writer.write(batch(0, MIB))


def test_the_oldest_results_go_when_all_together_are_too_large(spool):
    for name in ("r1", "r2", "r3"):
        write(spool, name, [batch(0, MIB * 3 // 8)])  # 3 MiB each
        spool.tidy(3600)
    assert [spool.exists(name) for name in ("r1", "r2", "r3")] == [False, False, True]


def test_old_results_go(spool):
    write(spool, "r1", [batch(0)])
    spool.tidy(3600)
    assert spool.exists("r1")
    spool.tidy(-1)
    assert not spool.exists("r1")
    assert spool.finished("r1") is None


def test_removed_results_are_gone(spool):
    write(spool, "r1", [batch(0)])
    spool.remove(["r1", "r2"])
    assert (spool.exists("r1"), spool.finished("r1")) == (False, None)


def launched(engine):
    """A review whose run has succeeded."""
    service = engine.reviews.service
    given = selection({"first_day": "2024-02-01"})
    review = service.start_session(ALICE, SourceKind.DATASET_SELECTION, given, "local").review
    service.request_preview(ALICE, review.session_id, None)
    run = service.launch(ALICE, review.session_id, None).run
    assert run.launch_status is LaunchStatus.SUCCESS
    return review.session_id, run


def test_removing_a_session_for_good_removes_its_rows(engine):
    session_id, run = launched(engine)
    spool = engine.reviews.spool
    assert spool.exists(run.run_context_id)
    engine.reviews.service.delete_session(ALICE, session_id, hard=True, expected=None)
    assert not spool.exists(run.run_context_id)
    with engine.database.read() as connection:
        assert connection.execute(select(tables.RESULT_PARTS.c.part)).all() == []


SECRET = "0123456789abcdef0123456789abcdef"


def bearer(user):
    return f"Bearer {TokenIssuer(SECRET).issue(user, ())}"


@pytest.fixture
def replicas(tmp_path, postgres):
    """Two engines that share nothing but PostgreSQL and their secrets; the first one works."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres.uri, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    base = settings(tmp_path, postgres.uri.removesuffix("postgres") + name)
    shared = {
        "flight": base.flight.model_copy(update={"secret": SecretStr("the same at every replica, and long enough")}),
        "auth": base.auth.model_copy(update={"mode": "hs256", "secret": SecretStr(SECRET)}),
    }
    engines = [Engine(base.model_copy(update={**shared, "data_dir": tmp_path / f"data-{n}"})) for n in "ab"]
    engines[0].models.curated.start()
    engines[0].reviews.start()
    yield engines
    for engine in engines:
        engine.stop()


def test_every_replica_serves_the_rows_of_a_run_by_its_ticket(replicas):
    first, second = replicas
    _, run = launched(first)
    ticket = base64.b64decode(run.flight_ticket)
    rows = second.run_rows.by_ticket(ticket, bearer("alice"))
    assert pa.Table.from_batches(list(rows), rows.schema).num_rows == run.row_count == 2
    with pytest.raises(ServiceError, match="somebody else"):
        second.run_rows.by_ticket(ticket, bearer("bob"))


def test_a_ticket_is_told_when_its_rows_are_not_whole(replicas):
    first, second = replicas
    _, run = launched(first)
    with first.database.write() as connection:
        connection.execute(update(tables.RESULTS).values(error="the warehouse went away"))
        held = connection.execute(select(tables.RESULT_PARTS.c.content)).scalar_one()
        connection.execute(
            update(tables.RESULT_PARTS).values(content=bytes(held)[:-8])
        )  # without the end of the stream
    rows = second.run_rows.by_ticket(base64.b64decode(run.flight_ticket), bearer("alice"))
    with pytest.raises(ServiceError, match="the warehouse went away"):
        list(rows)


def test_a_user_has_one_allowance_at_all_replicas_together(tmp_path, state_url):
    with world(tmp_path, state_url, mutations_per_minute=4) as engine:
        other = Engine(settings(tmp_path, state_url, mutations_per_minute=4))
        try:
            services = [engine.reviews.service, other.reviews.service]
            given = selection({"first_day": "2024-02-01"})
            review = services[0].start_session(ALICE, SourceKind.DATASET_SELECTION, given, "local").review
            field = review.fields[0].field_id
            for n in range(3):
                services[n % 2].lock_field(ALICE, review.session_id, field, None)
            for service in services:
                with pytest.raises(ReviewError) as refused:
                    service.lock_field(ALICE, review.session_id, field, None)
                assert refused.value.code == "rate_limited"
                assert 0 < refused.value.details["retry_after_s"] <= 15
            now = services[1].work.clock
            services[1].work.clock = lambda: now() + timedelta(seconds=16)
            services[1].lock_field(ALICE, review.session_id, field, None)
        finally:
            other.database.close()
