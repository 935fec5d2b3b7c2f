"""Traces as an operator sees them: through real processes, at a receiver of OpenTelemetry's own protocol."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import adbc_driver_flightsql.dbapi as flight_sql
import duckdb
import grpc
import httpx
import pyarrow as pa
import pytest
from adbc_driver_flightsql import DatabaseOptions
from harness.collector import Collector, SeenSpan, collecting
from harness.ports import free_port
from harness.server import Server, serving
from harness.waiting import LONG_SECONDS, until
from sagitta.semantic.v1 import query_service_pb2 as pb
from sagitta.semantic.v1 import query_service_pb2_grpc as pb_grpc

pytestmark = pytest.mark.xdist_group("tracing")

MODEL = """
version: 1.0
name: numbers
dataObjects:
  Number: {code: numbers, columns: {Value: {code: range, abstractType: int}}}
  Gone: {code: no_such_table, columns: {Value: {code: range, abstractType: int}}}
  Endless: {code: endless, columns: {Value: {code: range, abstractType: int}}}
dimensions:
  Value: {dataObject: Number, column: Value, resultType: int}
measures:
  Total: {aggregation: sum, columns: [{dataObject: Number, column: Value}]}
  Lost: {aggregation: sum, columns: [{dataObject: Gone, column: Value}]}
  Endless: {aggregation: sum, columns: [{dataObject: Endless, column: Value}]}
"""
ROWS = 1_000_000
SECRET = "key-of-0123456789-abcdefghijklmnop"
VALUE = 73_519
"""A value in a filter: it is in the statement, and has no business in a trace."""
PARENT = "b7ad6b7169203331"


@dataclass(frozen=True, slots=True)
class Traced:
    """A server and where its spans arrive."""

    server: Server
    collector: Collector
    metrics: str
    """The page of the engine's metrics."""

    def post(self, trace_id: str, path: str, body: Any, **headers: str) -> httpx.Response:
        sent = {"traceparent": f"00-{trace_id}-{PARENT}-01", "X-API-Key": SECRET, **headers}
        return httpx.post(self.server.http + path, json=body, headers=sent, timeout=60)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.server.http + path, headers={"X-API-Key": SECRET})

    def wait(self, trace_id: str, *names: str) -> dict[str, list[SeenSpan]]:
        """The spans of a trace by name, once every name is there, as often as it is given."""

        def enough(spans: Sequence[SeenSpan]) -> bool:
            return Counter(names) <= Counter(span.name for span in spans if span.trace_id == trace_id)

        self.collector.wait(enough)
        return self.seen(trace_id)

    def seen(self, trace_id: str) -> dict[str, list[SeenSpan]]:
        """The spans of a trace that have arrived, by name."""
        found: dict[str, list[SeenSpan]] = {}
        for span in self.collector.of_trace(trace_id):
            found.setdefault(span.name, []).append(span)
        return found

    def until_running(self) -> None:
        """Waits for a statement to run: until then, nobody would see that it is ended."""
        until(lambda: 'sagitta_source_running{source="default"} 1.0' in httpx.get(self.metrics).text)

    def once_running(self, act: Callable[[], object]) -> Future[object]:
        """Does something as soon as a statement runs."""
        done: Future[object] = Future()

        def watch() -> None:
            try:
                self.until_running()
                done.set_result(act())
            except BaseException as error:  # noqa: BLE001 - whoever asks for the result is told
                done.set_exception(error)

        threading.Thread(target=watch, daemon=True).start()
        return done


def write_model(folder: Path) -> list[str]:
    (folder / "numbers.yaml").write_text(MODEL)
    with duckdb.connect(str(folder / "numbers.duckdb")) as database:
        database.execute(f"CREATE TABLE numbers AS FROM range({ROWS})")
        database.execute("CREATE VIEW endless AS FROM range(1000000000000)")
    return [f"--model={folder / 'numbers.yaml'}", f"--source=duckdb:///{folder / 'numbers.duckdb'}"]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    folder = tmp_path_factory.mktemp("traced")
    access = {"AUTH_MODE": "api_key", "API_KEYS": SECRET, "LOG_LEVEL": "DEBUG", "LOG_FORMAT": "json"}
    metrics = f"127.0.0.1:{free_port()}"
    surfaces = {"SAGITTA_GATEWAY_MAX_BUFFERED_BYTES": "65536", "SAGITTA_METRICS__ADDRESS": metrics}
    with (
        collecting() as collector,
        serving(folder, write_model(folder), environment={**collector.environment, **access, **surfaces}) as server,
    ):
        yield Traced(server, collector, f"http://{metrics}/metrics")


@pytest.fixture
def trace_id() -> str:
    return secrets.token_hex(16)


def connect(traced: Traced, trace_id: str) -> Any:
    header = DatabaseOptions.RPC_CALL_HEADER_PREFIX.value
    options = {
        f"{header}traceparent": f"00-{trace_id}-{PARENT}-01",
        f"{header}x-api-key": SECRET,
    }
    return flight_sql.connect(traced.server.flight, db_kwargs=options, autocommit=True)


GATEWAY = "POST /v1/query/execute"
CALL = "sagitta.semantic.v1.QueryService/ExecuteQuery"
BATCH = "sagitta.semantic.v1.BatchService/RunBatch"
DO_GET = "arrow.flight.protocol.FlightService/DoGet"
PREPARE = "arrow.flight.protocol.FlightService/DoAction"
TOTAL = {"select": {"measures": ["Total"]}}
EVERY_VALUE = {"select": {"dimensions": ["Value"], "measures": ["Total"]}}
ENDLESS = {"select": {"measures": ["Endless"]}}


def ok(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


def by_kind(spans: Sequence[SeenSpan], kind: str) -> SeenSpan:
    (found,) = [span for span in spans if span.kind == kind]
    return found


def test_a_rest_query_is_one_tree_across_both_processes(traced: Traced, trace_id: str) -> None:
    new = {**TOTAL, "limit": 17}  # no plan of it is kept yet
    assert traced.post(trace_id, "/v1/query/execute", new).status_code == 200
    spans = traced.wait(trace_id, GATEWAY, CALL, CALL, "compile", "SELECT default")
    (request,) = spans[GATEWAY]
    asked, answered = by_kind(spans[CALL], "client"), by_kind(spans[CALL], "server")
    assert request.parent_id == PARENT
    assert request.kind == "server"
    assert asked.parent_id == request.span_id
    assert answered.parent_id == asked.span_id
    assert {span.parent_id for name in ("compile", "SELECT default") for span in spans[name]} == {answered.span_id}
    assert (request.service, answered.service) == ("sagitta-gateway", "sagitta-engine")
    assert request.instance != answered.instance
    assert request.attributes["http.route"] == "/v1/query/execute"
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["sagitta.request_id"] == answered.attributes["sagitta.request_id"]
    assert asked.attributes["rpc.response.status_code"] == answered.attributes["rpc.response.status_code"] == "OK"
    statement = spans["SELECT default"][-1]
    assert statement.kind == "client"
    assert statement.attributes["db.system.name"] == "duckdb"
    assert statement.attributes["db.response.returned_rows"] == 1
    assert spans["compile"][0].attributes["sagitta.model"] == "numbers"
    assert not any(span.is_error for found in spans.values() for span in found)
    assert request.started <= asked.started <= answered.started <= statement.started
    assert statement.started <= request.ended, "the request waits for the rows"
    assert statement.ended <= answered.ended


def test_a_flight_sql_query_continues_the_trace_of_its_header(traced: Traced, trace_id: str) -> None:
    with connect(traced, trace_id) as connection, connection.cursor() as cursor:
        cursor.execute('SELECT "Value", Total FROM numbers')
        assert cursor.fetch_arrow_table().num_rows == ROWS
    spans = traced.wait(trace_id, "SELECT default", "compile")
    statement = spans["SELECT default"][-1]
    (streamed,) = [span for span in spans[DO_GET] if span.span_id == statement.parent_id]
    assert streamed.parent_id == PARENT
    assert streamed.attributes["rpc.response.status_code"] == "OK"
    assert statement.attributes["db.response.returned_rows"] == ROWS
    assert statement.attributes["sagitta.complete"] is True


def test_each_execution_of_bound_rows_is_a_statement_of_its_call(traced: Traced, trace_id: str) -> None:
    with connect(traced, trace_id) as connection, connection.cursor() as cursor:
        rows = pa.RecordBatch.from_pydict({"Value": pa.array([1, 2, 3], pa.int64())})
        cursor.execute('SELECT Total FROM numbers WHERE "Value" = ?', rows)
        assert len(cursor.fetchall()) == 3
    spans = traced.wait(trace_id, *["SELECT default"] * 3, DO_GET)
    calls = {span.span_id for span in spans[DO_GET]}
    assert len(spans["SELECT default"]) == 3
    assert {span.parent_id for span in spans["SELECT default"]} <= calls


def test_statements_of_a_batch_are_below_its_call(traced: Traced, trace_id: str) -> None:
    (model,) = ok(traced.get("/v1/sessions/numbers/models"))
    body = {
        "session_id": "numbers",
        "model_id": model["model_id"],
        "queries": [{"id": f"q{number}", "query": TOTAL} for number in range(3)],
        "execute": True,
    }
    answer = traced.post(trace_id, "/v1/oneshot/batch", body)
    assert answer.status_code == 200, answer.text
    spans = traced.wait(trace_id, "POST /v1/oneshot/batch", BATCH, BATCH, *["SELECT default"] * 3)
    call = by_kind(spans[BATCH], "server")
    assert {span.parent_id for span in spans["SELECT default"]} == {call.span_id}
    assert len(spans["SELECT default"]) >= 3


def test_a_mistake_in_a_query_is_told_by_its_codes_and_is_no_error_of_the_server(traced: Traced, trace_id: str) -> None:
    wrong = {"select": {"measures": ["Totl"]}, "where": [{"field": "Value", "op": "=", "value": VALUE}]}
    assert traced.post(trace_id, "/v1/query/execute", wrong).status_code == 422
    spans = traced.wait(trace_id, GATEWAY, CALL, CALL, "compile")
    answered = by_kind(spans[CALL], "server")
    assert answered.attributes["rpc.response.status_code"] == "INVALID_ARGUMENT"
    assert answered.attributes["sagitta.reason"] == "QUERY_INVALID"
    assert not answered.is_error
    assert not spans[GATEWAY][0].is_error
    assert "UNKNOWN_MEASURE" in spans["compile"][0].attributes["sagitta.diagnostics"]


def test_a_failing_statement_is_an_error_without_its_text(traced: Traced, trace_id: str) -> None:
    failing = {"select": {"measures": ["Lost"]}}
    assert traced.post(trace_id, "/v1/query/execute", failing).status_code == 502
    spans = traced.wait(trace_id, GATEWAY, CALL, CALL, "SELECT default")
    statement = spans["SELECT default"][-1]
    assert statement.is_error
    assert statement.attributes["error.type"] == "EXECUTION_FAILED"
    assert by_kind(spans[CALL], "server").attributes["sagitta.reason"] == "EXECUTION_FAILED"
    assert spans[GATEWAY][0].is_error
    with (
        connect(traced, trace_id) as connection,
        connection.cursor() as cursor,
        pytest.raises(Exception, match="no_such"),
    ):
        cursor.execute("SELECT Lost FROM numbers")
    described = traced.wait(trace_id, "DESCRIBE default")["DESCRIBE default"][0]
    assert described.attributes["error.type"] == "EXECUTION_FAILED"


def test_no_statement_no_value_and_no_secret_is_in_what_was_exported(traced: Traced, trace_id: str) -> None:
    asked = {**TOTAL, "where": [{"field": "Value", "op": "=", "value": VALUE}]}
    assert traced.post(trace_id, "/v1/query/execute", asked).status_code == 200
    traced.wait(trace_id, GATEWAY, CALL, CALL, "SELECT default")
    for secret in (SECRET, str(VALUE), "SUM(", "FROM ", "no_such_table"):
        assert not any(secret.encode() in exported for exported in traced.collector.raw), secret


def test_a_rest_client_that_goes_away_is_seen_in_every_span(traced: Traced, trace_id: str) -> None:
    headers = {"traceparent": f"00-{trace_id}-{PARENT}-01", "X-API-Key": SECRET, "Content-Type": "application/json"}
    place = httpx.URL(traced.server.http)
    with closing(HTTPConnection(place.host, place.port)) as client:
        client.request("POST", "/v1/query/execute", json.dumps(ENDLESS), headers)
        traced.until_running()
    spans = traced.wait(trace_id, GATEWAY, CALL, CALL, "SELECT default")
    assert spans[GATEWAY][0].attributes["error.type"] == "client_gone"
    assert "http.response.status_code" not in spans[GATEWAY][0].attributes
    assert {span.attributes["rpc.response.status_code"] for span in spans[CALL]} == {"CANCELLED"}
    statement = spans["SELECT default"][-1]
    assert (statement.is_error, statement.attributes["error.type"]) == (True, "QUERY_CANCELLED")
    assert statement.parent_id == by_kind(spans[CALL], "server").span_id


def test_a_streamed_answer_is_traced_to_its_last_byte(traced: Traced, trace_id: str) -> None:
    headers = {"traceparent": f"00-{trace_id}-{PARENT}-01", "X-API-Key": SECRET}
    asked = {**EVERY_VALUE, "limit": ROWS}
    with httpx.stream("POST", f"{traced.server.http}/v1/query/execute", json=asked, headers=headers) as answer:
        pieces = answer.iter_bytes()
        first = next(pieces)
        most_is_still_to_come = time.time_ns()
        rest = b"".join(pieces)
    assert len(rest) > 16 * 1024 * 1024, "it would fit into what the sockets hold"
    assert json.loads(first + rest)["row_count"] == ROWS
    spans = traced.wait(trace_id, GATEWAY, CALL, CALL, "SELECT default")
    (request,), answered = spans[GATEWAY], by_kind(spans[CALL], "server")
    assert not request.is_error
    assert spans["SELECT default"][-1].attributes["db.response.returned_rows"] == ROWS
    assert min(request.ended, answered.ended) > most_is_still_to_come


def test_a_client_that_leaves_amid_a_streamed_answer_is_seen(traced: Traced, trace_id: str) -> None:
    headers = {"traceparent": f"00-{trace_id}-{PARENT}-01", "X-API-Key": SECRET}
    with httpx.stream(
        "POST", f"{traced.server.http}/v1/query/execute", json={**EVERY_VALUE, "limit": ROWS}, headers=headers
    ) as answer:
        assert answer.status_code == 200
        next(answer.iter_bytes())
    spans = traced.wait(trace_id, GATEWAY, CALL, CALL, "SELECT default")
    assert spans[GATEWAY][0].attributes["error.type"] == "client_gone"
    assert {span.attributes["rpc.response.status_code"] for span in spans[CALL]} == {"CANCELLED"}
    statement = spans["SELECT default"][-1]
    assert statement.attributes["db.response.returned_rows"] < ROWS


def test_a_cancelled_grpc_call_ends_its_spans_as_cancelled(traced: Traced, trace_id: str) -> None:
    with grpc.insecure_channel(traced.server.grpc) as channel:
        call = pb_grpc.QueryServiceStub(channel).ExecuteQuery(
            pb.ExecuteQueryRequest(query_text=json.dumps(ENDLESS)),
            metadata=(("traceparent", f"00-{trace_id}-{PARENT}-01"), ("x-api-key", SECRET)),
        )
        cancelled = traced.once_running(call.cancel)
        with pytest.raises(grpc.RpcError):
            next(iter(call))
        cancelled.result(LONG_SECONDS)
    spans = traced.wait(trace_id, CALL, "SELECT default")
    assert spans[CALL][0].attributes["rpc.response.status_code"] == "CANCELLED"
    assert spans["SELECT default"][-1].attributes["error.type"] == "QUERY_CANCELLED"


def test_a_statement_that_ran_too_long_says_so(traced: Traced) -> None:
    for seconds in (0.5, 5.0, 50.0):  # a busy machine needs longer to begin it
        trace_id = secrets.token_hex(16)
        with grpc.insecure_channel(traced.server.grpc) as channel:
            call = pb_grpc.QueryServiceStub(channel).ExecuteQuery(
                pb.ExecuteQueryRequest(query_text=json.dumps(ENDLESS)),
                metadata=(("traceparent", f"00-{trace_id}-{PARENT}-01"), ("x-api-key", SECRET)),
                timeout=seconds,
            )
            with pytest.raises(grpc.RpcError):
                next(iter(call))
        if "SELECT default" in (spans := traced.wait(trace_id, CALL)):
            break
    assert spans["SELECT default"][-1].attributes["error.type"] in {"QUERY_TIMEOUT", "QUERY_CANCELLED"}


def test_a_cancelled_flight_call_ends_its_spans_as_cancelled(traced: Traced, trace_id: str) -> None:
    with connect(traced, trace_id) as connection, connection.cursor() as cursor:
        cancelled = traced.once_running(cursor.adbc_cancel)
        with pytest.raises(Exception, match=r"(?i)cancel"):
            cursor.execute("SELECT Endless FROM numbers").fetchall()
        cancelled.result(LONG_SECONDS)
    spans = traced.wait(trace_id, "SELECT default")
    statement = spans["SELECT default"][-1]
    assert statement.attributes["error.type"] == "QUERY_CANCELLED"
    streamed = {span.span_id: span for span in traced.wait(trace_id, DO_GET)[DO_GET]}[statement.parent_id]
    assert streamed.attributes["rpc.response.status_code"] == "CANCELLED"


def test_a_flight_stream_left_half_read_says_how_far_it_came(traced: Traced, trace_id: str) -> None:
    with connect(traced, trace_id) as connection, connection.cursor() as cursor:
        cursor.execute('SELECT "Endless"."Value" AS v FROM numbers')
        cursor.fetch_record_batch().read_next_batch()
        cursor.adbc_cancel()
    statement = traced.wait(trace_id, "SELECT default")["SELECT default"][-1]
    assert statement.attributes["sagitta.complete"] is False
    assert statement.attributes["db.response.returned_rows"] > 0


def test_log_lines_tell_their_trace(traced: Traced, trace_id: str) -> None:
    assert traced.post(trace_id, "/v1/query/execute", {"select": {"measures": ["Nothing"]}}).status_code == 422

    def told() -> list[str]:
        lines = traced.server.log.read_text().split("\n")[:-1]  # the last one may be half written
        return [line for line in lines if trace_id in line and "INVALID_ARGUMENT" in line]

    until(lambda: bool(told()))
    (line,) = map(json.loads, told())
    assert line["trace_id"] == trace_id
    assert re.fullmatch("[0-9a-f]{16}", line["span_id"])


def test_a_flight_call_has_one_trace_and_one_request_id_in_log_and_trace(traced: Traced, trace_id: str) -> None:
    lost = pytest.raises(Exception, match="no_such")
    with connect(traced, trace_id) as connection, connection.cursor() as cursor, lost:
        cursor.execute("SELECT Lost FROM numbers")
    (failed,) = [
        span
        for span in traced.wait(trace_id, PREPARE)[PREPARE]
        if span.attributes.get("sagitta.reason") == "EXECUTION_FAILED"
    ]
    assert failed.attributes["sagitta.flight.action"] == "CreatePreparedStatement"
    log = traced.server.log.read_text().split("\n")[:-1]
    lines = [json.loads(text) for text in log if failed.span_id in text]
    assert {line["trace_id"] for line in lines} == {trace_id}
    assert failed.attributes["sagitta.request_id"] in {line.get("request_id") for line in lines}


@pytest.mark.parametrize("header", ["", "nonsense", "00-0-0-00", "00-" + "f" * 9000, "ff-" + "0" * 32 + "-0-01"])
def test_a_header_that_is_no_trace_context_begins_a_trace(traced: Traced, header: str) -> None:
    request_id = f"asked-{secrets.token_hex(8)}"
    answer = httpx.post(
        f"{traced.server.http}/v1/query/execute",
        json=TOTAL,
        headers={"traceparent": header, "X-API-Key": SECRET, "X-Request-ID": request_id},
    )
    assert answer.status_code == 200

    def arrived(spans: Sequence[SeenSpan]) -> bool:
        return sum(span.attributes.get("sagitta.request_id") == request_id for span in spans) == 2

    spans = [s for s in traced.collector.wait(arrived) if s.attributes.get("sagitta.request_id") == request_id]
    assert len({span.trace_id for span in spans}) == 1


def test_a_trace_that_is_not_sampled_is_not_exported(traced: Traced, trace_id: str) -> None:
    headers = {"traceparent": f"00-{trace_id}-{PARENT}-00", "X-API-Key": SECRET}
    answer = httpx.post(f"{traced.server.http}/v1/query/execute", json=TOTAL, headers=headers)
    assert answer.status_code == 200
    later = secrets.token_hex(16)
    traced.post(later, "/v1/query/execute", TOTAL)
    traced.wait(later, GATEWAY, CALL, CALL)
    assert traced.collector.of_trace(trace_id) == ()


def test_many_calls_at_once_keep_their_traces_apart(traced: Traced) -> None:
    ids = [secrets.token_hex(16) for _ in range(16)]

    def ask(trace_id: str) -> None:
        assert traced.post(trace_id, "/v1/query/execute", TOTAL).status_code == 200

    threads = [threading.Thread(target=ask, args=(trace_id,)) for trace_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for trace_id in ids:
        spans = traced.wait(trace_id, GATEWAY, CALL, CALL, "SELECT default")
        assert len(spans[GATEWAY]) == 1
        assert len(spans[CALL]) == 2
        assert {s.parent_id for s in spans["SELECT default"]} == {by_kind(spans[CALL], "server").span_id}


def test_health_checks_make_no_traces_unless_they_are_part_of_one(traced: Traced, trace_id: str) -> None:
    assert traced.get("/health").status_code == 200
    headers = {"traceparent": f"00-{trace_id}-{PARENT}-01"}
    assert httpx.get(f"{traced.server.http}/livez", headers=headers).status_code == 200
    traced.wait(trace_id, "GET /livez")
    time.sleep(2.5)  # longer than the gateway rests between its looks at the engine
    assert {span.name for span in traced.collector.spans if "ealth" in span.name} == set()


def test_calls_of_every_kind_at_once_leave_nothing_in_the_log(traced: Traced) -> None:
    def stream(number: int) -> None:
        with connect(traced, secrets.token_hex(16)) as connection, connection.cursor() as cursor:
            cursor.execute('SELECT "Value", Total FROM numbers LIMIT 50000')
            if number % 2:
                cursor.fetch_record_batch().read_next_batch()
                cursor.adbc_cancel()
            else:
                assert cursor.fetch_arrow_table().num_rows == 50_000

    def ask(number: int) -> None:
        body = TOTAL if number % 3 else {"select": {"measures": ["Lost"]}}
        traced.post(secrets.token_hex(16), "/v1/query/execute", body)

    with ThreadPoolExecutor(12) as pool:
        for outcome in [pool.submit(stream if number % 4 == 0 else ask, number // 2) for number in range(80)]:
            outcome.result()
    log = traced.server.log.read_text()
    assert "Traceback" not in log
    assert "detach" not in log
