"""Questions on their way: dialects, limits, cancellation, deadlines, batches, on a real DuckDB."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest
from gateway.serving import MODEL, QUERY, make_database, settings
from sagitta_compiler import CompileError
from sagitta_server.app import Engine
from sagitta_server.errors import Reason, ServiceError
from sagitta_server.execution import ResultStream, SourceError, StatementCancelledError, StatementTimeoutError
from sagitta_server.models import ModelHandle, ModelSource
from sagitta_server.queries import Question, Run
from sagitta_server.queries.batch import BatchItem, BatchLimits, BatchRunner, Outcome
from sagitta_server.queries.timezones import RETRY_SECONDS, DatabaseZones

SLOW = MODEL.replace("code: numbers", "code: endless")
SLOW_QUERY = json.dumps({"select": {"measures": ["Total"]}})


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("queries")
    make_database(folder / "shop.duckdb")
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute("CREATE VIEW endless AS SELECT i AS n, 'x' AS t FROM range(1000000000000) r(i)")
    built = Engine(settings(folder))
    yield built
    built.stop()


def load(engine: Engine, text: str) -> ModelHandle:
    session_id = engine.models.create_session({}).session_id
    return engine.models.load(session_id, ModelSource(text)).handle


def rows(run: Run) -> int:
    try:
        return sum(batch.num_rows for batch in run.batches())
    finally:
        run.close()


def test_the_dialect_is_found_by_the_documented_chain(engine: Engine) -> None:
    plain = load(engine, MODEL).model
    stating = load(engine, f"{MODEL}settings: {{defaultDialect: snowflake}}\n").model
    assert engine.queries.dialect(plain) == "duckdb"
    assert engine.queries.dialect(stating) == "snowflake"
    assert engine.queries.dialect(stating, "postgres") == "postgres"


def test_a_dialect_without_a_source_compiles_and_does_not_execute(engine: Engine) -> None:
    with pytest.raises(ServiceError) as refused:
        engine.queries.source_for("snowflake")
    assert refused.value.reason is Reason.EXECUTION_UNAVAILABLE


def test_a_plan_is_made_once_per_content_and_question(engine: Engine) -> None:
    first, second = load(engine, MODEL), load(engine, MODEL)
    text = json.dumps(QUERY)
    assert engine.queries.compile(first, text) is engine.queries.compile(second, text)
    assert engine.queries.compile(first, text) is not engine.queries.compile(first, text, limit=3)


def test_equal_numbers_of_different_types_are_different_questions() -> None:
    from dataclasses import replace

    from sagitta_compiler.model.types import FilterOperator
    from sagitta_compiler.query.query import Filter, Query

    def asked(value: object) -> str:
        return Question(query=replace(Query(), where=(Filter("A", FilterOperator.EQUALS, (value,)),))).key  # type: ignore[arg-type]

    assert len({asked(1), asked(True), asked(1.0)}) == 3


def test_relative_dates_are_bound_to_the_day_of_the_models_zone(engine: Engine) -> None:
    handle = load(engine, f"{MODEL}settings: {{defaultTimezone: Pacific/Kiritimati}}\n")
    today = engine.queries._today(handle.model)
    assert (today.hour, today.utcoffset()) == (0, dt.timedelta(hours=14))


def test_the_default_limit_cuts_and_says_so_only_when_it_cuts(engine: Engine) -> None:
    handle = load(engine, MODEL)
    everything = json.dumps({"select": {"dimensions": ["Number"], "measures": ["Total"]}})
    run = engine.queries.run(handle, everything)
    assert rows(run) == 10_000
    assert (run.summary.truncated, run.summary.row_count) == (True, 10_000)
    exact = json.dumps({"select": {"dimensions": ["Number"], "measures": ["Total"]}, "limit": 10_000})
    run = engine.queries.run(handle, exact)
    assert rows(run) == 10_000
    assert not run.summary.truncated
    run = engine.queries.run(handle, everything, default_limit=False)
    assert rows(run) == 25_000


def test_a_cancelled_query_ends_at_once(engine: Engine) -> None:
    handle = load(engine, SLOW)
    token = engine.queries.token()
    threading.Timer(0.3, token.cancel).start()
    with pytest.raises(StatementCancelledError):
        rows(engine.queries.run(handle, SLOW_QUERY, token=token))


def test_a_query_past_its_deadline_ends(engine: Engine) -> None:
    handle = load(engine, SLOW)
    with pytest.raises(StatementTimeoutError):
        rows(engine.queries.run(handle, SLOW_QUERY, token=engine.queries.token(0.2)))


def test_one_connection_is_enough_for_the_first_query_which_asks_for_the_zone_too(tmp_path: Path) -> None:
    make_database(tmp_path / "shop.duckdb")
    base = settings(tmp_path)
    one = {name: source.model_copy(update={"pool_size": 1}) for name, source in base.sources.items()}
    engine = Engine(base.model_copy(update={"sources": one}))
    run = engine.queries.run(load(engine, MODEL), json.dumps(QUERY), token=engine.queries.token(60.0))
    assert rows(run) > 0
    assert engine.queries.zone_chain(None).database is not None
    engine.stop()


def test_a_zone_that_could_not_be_asked_for_is_asked_for_again_after_a_while() -> None:
    class Source:
        """A warehouse that comes up late."""

        name, dialect, up, asked = "late", "duckdb", False, 0

        def execute(self, sql: str, **_: object) -> ResultStream:
            self.asked += 1
            if not self.up:
                raise SourceError("The warehouse does not answer.")
            table = duckdb.sql(sql).to_arrow_table()
            return ResultStream(table.schema, table.to_reader(), cancel=lambda: None, close=lambda: None)

    clock = [1000.0]
    zones, source = DatabaseZones(now=lambda: clock[0]), Source()
    for _ in range(3):
        assert zones.learn(cast("Any", source)) is None
    assert source.asked == 1, "not with every query: it may never tell"
    source.up = True
    clock[0] += RETRY_SECONDS
    for _ in range(3):
        assert zones.learn(cast("Any", source)) is not None
    assert source.asked == 2


def test_an_overlong_text_is_refused_before_it_is_read(engine: Engine) -> None:
    with pytest.raises(CompileError) as refused:
        engine.queries.read(Question(text=" " * 1_000_001))
    assert refused.value.diagnostics[0].code == "QUERY_TOO_LARGE"


# ---------------------------------------------------------------- batches


def batch(
    engine: Engine, handle: ModelHandle, texts: list[str], **limits: Any
) -> tuple[list[Outcome], list[str], float]:
    values = {"parallelism": 4, "query_seconds": 30.0, "batch_seconds": 60.0, "fail_fast": False} | limits
    runner = BatchRunner(engine.queries, handle, BatchLimits(**values), lambda run: str(rows(run)).encode())
    items = [BatchItem(f"q{n}", Question(text=text), "", execute=True) for n, text in enumerate(texts)]
    started = time.perf_counter()
    results = runner.run(items)
    elapsed = time.perf_counter() - started
    assert [result.id for result in results] == [item.id for item in items]
    return (
        [result.outcome for result in results],
        [result.failure.code if result.failure else "" for result in results],
        elapsed,
    )


def test_a_slow_query_of_a_batch_times_out_alone(engine: Engine) -> None:
    fast = json.dumps(QUERY)
    outcomes, codes, elapsed = batch(engine, load(engine, SLOW), [fast, SLOW_QUERY, fast], query_seconds=3.0)
    assert outcomes == [Outcome.OK, Outcome.ERROR, Outcome.OK]
    assert codes[1] == "QUERY_TIMEOUT"
    assert elapsed < 20


def test_a_batch_past_its_deadline_ends_every_query(engine: Engine) -> None:
    slow = [json.dumps({"select": {"measures": ["Total"]}, "limit": n}) for n in range(1, 7)]
    outcomes, codes, elapsed = batch(engine, load(engine, SLOW), slow, batch_seconds=0.6)
    assert set(outcomes) == {Outcome.ERROR}
    assert set(codes) <= {"BATCH_TIMEOUT", "QUERY_TIMEOUT"}
    assert elapsed < 20


def test_fail_fast_cancels_what_runs_and_what_waits(engine: Engine) -> None:
    wrong = json.dumps({"select": {"measures": ["Nothing"]}})
    outcomes, _, elapsed = batch(engine, load(engine, SLOW), [SLOW_QUERY, wrong, SLOW_QUERY], fail_fast=True)
    assert outcomes == [Outcome.CANCELLED, Outcome.ERROR, Outcome.CANCELLED]
    assert elapsed < 20
