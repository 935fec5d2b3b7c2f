"""Tracing where it is off, where it fails, and part by part: an engine in this process, its spans in memory."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import grpc
import httpx
import psycopg
import pyarrow as pa
import pytest
from harness.collector import Collector, collecting
from harness.server import clean_environment, serving
from harness.waiting import LONG_SECONDS, until
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from pyarrow import flight
from sagitta.review.v1 import enums_pb2
from sagitta.review.v1 import preview_launch_service_pb2 as preview_pb
from sagitta.review.v1 import preview_launch_service_pb2_grpc as preview_grpc
from sagitta.review.v1 import review_sessions_service_pb2 as review_pb
from sagitta.review.v1 import review_sessions_service_pb2_grpc as review_grpc
from sagitta.semantic.v1 import polled_query_service_pb2 as polled_pb
from sagitta.semantic.v1 import polled_query_service_pb2_grpc as polled_grpc
from sagitta.semantic.v1 import query_service_pb2 as pb
from sagitta_compiler import compile_query
from sagitta_server.app import Engine
from sagitta_server.auth import TokenIssuer
from sagitta_server.auth.tokens import expand_permissions
from sagitta_server.config import LogSettings, Settings
from sagitta_server.execution import CancelToken, SnapshotSource, Source, SourceError, batches_of, open_source
from sagitta_server.execution.settings import SourceSettings
from sagitta_server.flight.service import FlightSqlServer
from sagitta_server.logs import configure_logging
from sagitta_server.observability.settings import TracingSettings
from sagitta_server.observability.tracing import open_tracing, tracing_wanted
from sagitta_server.observability.tracing.provider import Tracing, build_tracing, within
from sagitta_server.observability.tracing.requests import traced_transport
from sagitta_server.observability.tracing.statements import traced_source

from tests.server.execution.conftest import postgres  # noqa: F401 - the fixture
from tests.server.execution.postgres import PostgresServer
from tests.server.flight.test_protocol import info

MODEL = """
version: 1.0
name: shop
dataObjects:
  Orders:
    code: orders
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Amount: {code: amount, abstractType: float}
      Status: {code: status, abstractType: string}
dimensions:
  Status: {dataObject: Orders, column: Status, resultType: string}
measures:
  Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum, resultType: float}
"""
ROWS = "CREATE TABLE orders AS SELECT i AS id, i / 4.0 AS amount, 'open' AS status FROM range(50000) t(i)"
SELECTION = 'SELECT "Orders"."Id", "Orders"."Amount" FROM shop'
FREE = {"address": "127.0.0.1:0"}


class Spans:
    """The spans of an engine of this process."""

    def __init__(self, **settings: Any) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracing: Tracing = build_tracing(TracingSettings(**settings), {})
        self.tracing.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def all(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all if span.name == name]

    def wait(self, name: str, count: int = 1) -> list[ReadableSpan]:
        until(lambda: len(self.named(name)) >= count)
        return self.named(name)


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def settings(folder: Path, uri: str | None = None, **changes: Any) -> Settings:
    (folder / "shop.yaml").write_text(MODEL)
    if uri is None:
        with duckdb.connect(str(folder / "shop.duckdb")) as database:
            database.execute(ROWS)
    source = {"uri": uri or f"duckdb:///{folder / 'shop.duckdb'}"}
    given: dict[str, Any] = {"flight": FREE, "grpc": FREE, "sources": {"default": source}, **changes}
    return Settings(data_dir=folder / "data", models={"files": (str(folder / "shop.yaml"),)}, **given)


@contextmanager
def running(configured: Settings, tracing: Tracing | None) -> Iterator[Engine]:
    engine = Engine(configured, tracing=tracing)
    try:
        engine.start()
        yield engine
    finally:
        engine.stop()


# ---------------------------------------------------------------- off


def test_nothing_of_tracing_is_in_an_engine_that_is_not_traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_EXPORTER"):
        monkeypatch.delenv(name, raising=False)
    with running(settings(tmp_path), None) as engine:
        plain = open_source("plain", SourceSettings(uri="duckdb:"))
        assert engine.tracing is None
        assert type(engine.sources["default"]) is type(plain)
        assert engine.queries.compiler is compile_query
        assert engine._flight is not None
        assert type(engine._flight.server) is FlightSqlServer
        plain.close()


def test_the_sdk_is_not_even_imported_where_nobody_asked_for_traces() -> None:
    probe = (
        "import sys, tempfile\n"
        "from pathlib import Path\n"
        "from sagitta_server.app import Engine\n"
        "from sagitta_server.config import Settings\n"
        "free = {'address': '127.0.0.1:0'}\n"
        "engine = Engine(Settings(data_dir=Path(tempfile.mkdtemp()), flight=free, grpc=free))\n"
        "engine.start()\n"
        "engine.stop()\n"
        "print(sorted(name for name in sys.modules if name.startswith('opentelemetry')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], env=clean_environment(), capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}, False),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
    ],
)
def test_the_standard_variables_switch_traces_on_in_both_processes_alike(
    environment: dict[str, str], wanted: bool
) -> None:
    from sagitta_gateway import tracing as gateway

    assert tracing_wanted(environment) is wanted
    assert gateway.tracing_wanted(environment) is wanted


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"OTEL_TRACES_EXPORTER": "pigeon"}, "OTEL_TRACES_EXPORTER names 'pigeon', which is none of console"),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "smoke"}, "is 'smoke', not one of grpc, http"),
    ],
)
def test_an_exporter_that_is_not_there_is_told_and_keeps_nobody_from_serving(
    environment: dict[str, str], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    from sagitta_gateway import tracing as gateway

    for name in ("sagitta.tracing", "sagitta_gateway"):
        caplog.set_level(logging.WARNING, name)
    assert open_tracing(TracingSettings(), environment) is None
    assert gateway.open_tracing(environment) is None
    assert [told in record.getMessage() for record in caplog.records] == [True, True]


@pytest.mark.parametrize(
    "refused",
    [
        {"OTEL_EXPORTER_OTLP_COMPRESSION": "brotli"},
        {"OTEL_BSP_MAX_QUEUE_SIZE": "10"},
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"},
    ],
    ids=lambda refused: next(iter(refused)),
)
def test_variables_that_the_sdk_refuses_keep_nobody_from_serving(tmp_path: Path, refused: dict[str, str]) -> None:
    environment = {"OTEL_TRACES_EXPORTER": "otlp", **refused}
    with serving(tmp_path, serve_flags(tmp_path), environment=environment) as server:
        assert httpx.post(f"{server.http}/v1/query/execute", json=QUERY).status_code == 200
        server.stop()
        log = server.log.read_text()
    assert log.count("there are no traces: OpenTelemetry refuses its variables: ") == 2
    assert "Traceback" not in log


def test_an_installation_without_the_extra_serves_and_says_what_to_install() -> None:
    probe = (
        "import sys, logging\n"
        "sys.modules['opentelemetry.sdk'] = None\n"
        "logging.basicConfig()\n"
        "from sagitta_server.observability.settings import TracingSettings\n"
        "from sagitta_server.observability.tracing import open_tracing\n"
        "from sagitta_gateway import tracing\n"
        "wanted = {'OTEL_TRACES_EXPORTER': 'otlp'}\n"
        "assert open_tracing(TracingSettings(), wanted) is None\n"
        "assert tracing.open_tracing(wanted) is None\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], env=clean_environment(), capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr.count("pip install 'sagitta[tracing]'") == 2


# ---------------------------------------------------------------- statements


def test_the_text_of_a_statement_is_shown_where_it_is_switched_on(tmp_path: Path) -> None:
    spans = Spans(query_text=True)
    with running(settings(tmp_path), spans.tracing) as engine:
        client = flight.connect(engine.flight_location)
        client.do_get(info(client, SELECTION).endpoints[0].ticket).read_all()
        shown = [attributes(span).get("db.query.text") for span in spans.wait("SELECT default")]
    assert any("orders" in str(text) for text in shown)


def test_a_trace_that_is_not_sampled_keeps_the_native_stream() -> None:
    plain = open_source("numbers", SourceSettings(uri="duckdb:"))
    spans = Spans()
    source = traced_source(spans.tracing, plain)
    try:
        unsampled = NonRecordingSpan(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(0)))
        with within(unsampled):
            stream = source.execute("SELECT 1 AS one")
        assert stream.native
        assert stream.reader.read_all().num_rows == 1
        stream.close()
        sampled = source.execute("SELECT 1 AS one")
        assert not sampled.native
        assert sampled.reader.read_all().num_rows == 1
        sampled.close()
        sampled.close()  # a second close ends nothing twice
    finally:
        source.close()
    (seen,) = spans.all
    assert attributes(seen)["db.response.returned_rows"] == 1


def test_a_stream_that_fails_half_way_tells_how_far_it_came() -> None:
    source = traced_source((spans := Spans()).tracing, open_source("numbers", SourceSettings(uri="duckdb:")))
    failing = "SELECT CASE WHEN range < 90000 THEN 1 ELSE error('secret of a row') END AS one FROM range(200000)"
    try:
        stream = source.execute(failing)
        with pytest.raises(SourceError):
            list(batches_of(stream))
        stream.close()
    except SourceError:
        pass  # it fails before the first batch where the warehouse looks ahead
    finally:
        source.close()
    (seen,) = spans.all
    assert attributes(seen)["error.type"] == "EXECUTION_FAILED"
    assert not seen.status.is_ok
    assert "secret" not in seen.to_json()


def narrow(spans: Spans, seconds: float) -> Source:
    """A source with one connection, for which a statement waits so long."""
    one = SourceSettings(uri="duckdb:", pool_size=1, queue_timeout_seconds=seconds)
    return traced_source(spans.tracing, open_source("narrow", one))


def test_a_statement_that_waited_for_a_connection_says_how_long() -> None:
    source = narrow(spans := Spans(), LONG_SECONDS)
    first = source.execute("SELECT 1 AS one")
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(source.execute, "SELECT 2 AS two")
        until(lambda: source.load.waiting == 1)
        first.close()
        second.result(LONG_SECONDS).close()
    source.close()
    at_once, waited = (attributes(span).get("sagitta.wait_seconds") for span in spans.all)
    assert at_once is None
    assert waited > 0


def test_a_statement_that_waited_in_vain_says_how_long() -> None:
    source = narrow(spans := Spans(), 0.5)
    first = source.execute("SELECT 1 AS one")
    with pytest.raises(SourceError):
        source.execute("SELECT 2 AS two")
    first.close()
    source.close()
    (refused,) = (attributes(span) for span in spans.all if not span.status.is_ok)
    assert refused["error.type"] == "WAREHOUSE_BUSY"
    assert refused["sagitta.wait_seconds"] >= 0.5


def test_a_stream_that_nobody_reads_is_not_complete() -> None:
    source = traced_source((spans := Spans()).tracing, open_source("numbers", SourceSettings(uri="duckdb:")))
    try:
        token = CancelToken()
        stream = source.execute("SELECT range AS n FROM range(100000000)", token=token)
        next(iter(batches_of(stream)))
        token.cancel()
        stream.close()
    finally:
        source.close()
    (seen,) = spans.all
    assert attributes(seen)["sagitta.complete"] is False
    assert attributes(seen)["error.type"] == "QUERY_CANCELLED"


def test_parts_in_one_snapshot_have_a_span_each(tmp_path: Path, postgres: PostgresServer) -> None:  # noqa: F811
    with psycopg.connect(postgres.uri, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS orders CASCADE")
        connection.execute(
            "CREATE TABLE orders AS SELECT i::bigint AS id, i / 4.0::float8 AS amount, 'open' AS status "
            "FROM generate_series(1, 5000) t(i)"
        )
    spans = Spans()
    with running(settings(tmp_path, postgres.uri), spans.tracing) as engine:
        assert isinstance(engine.sources["default"], SnapshotSource)
        client = flight.connect(engine.flight_location)
        found = info(client, SELECTION, flight.FlightCallOptions(headers=[(b"x-sagitta-partitions", b"4")]))
        rows = pa.concat_tables([client.do_get(endpoint.ticket).read_all() for endpoint in found.endpoints])
        assert rows.num_rows == 5000
        streams = spans.wait("arrow.flight.protocol.FlightService/DoGet", len(found.endpoints))
    parts = {span.parent.span_id: span for span in spans.named("SELECT default") if span.parent is not None}
    read = [attributes(parts[span.context.span_id])["db.response.returned_rows"] for span in streams]
    assert len(read) > 1
    assert sum(read) == 5000
    (held,) = spans.named("BEGIN default")
    assert attributes(held)["db.system.name"] == "postgresql"


def test_a_polled_query_goes_on_in_the_trace_of_the_call_that_started_it(tmp_path: Path) -> None:
    spans = Spans()
    with running(settings(tmp_path), spans.tracing) as engine:
        assert engine._grpc is not None
        with grpc.insecure_channel(engine._grpc.address) as channel:
            stub = polled_grpc.PolledQueryServiceStub(channel)
            query = {"select": {"measures": ["Revenue"]}}
            stub.StartQuery(polled_pb.StartQueryRequest(query=pb.ExecuteQueryRequest(query_text=json.dumps(query))))
        (started,) = spans.wait("sagitta.semantic.v1.PolledQueryService/StartQuery")
        statement = spans.wait("SELECT default")[-1]
    assert statement.context.trace_id == started.context.trace_id
    assert statement.parent is not None
    assert statement.parent.span_id == started.context.span_id


# ---------------------------------------------------------------- reviews


def test_background_work_of_a_review_is_linked_to_the_call_that_asked_for_it(tmp_path: Path) -> None:
    spans = Spans()
    configured = settings(tmp_path, reviews={"mutations_per_minute": 0})
    with running(configured, spans.tracing) as engine:
        assert engine._grpc is not None
        token = TokenIssuer.for_data_dir(configured.data_dir).issue("alice", expand_permissions("all"))
        with grpc.insecure_channel(engine._grpc.address) as channel:
            review_grpc.ReviewSessionsServiceStub(channel).StartSession(
                review_pb.StartSessionRequest(
                    source_kind=enums_pb2.SOURCE_KIND_DATASET_SELECTION,
                    source_input="model:shop",
                    environment_id="local",
                ),
                metadata=(("authorization", f"Bearer {token}"),),
            )
        (work,) = spans.wait("review import")
        (call,) = spans.wait("sagitta.review.v1.ReviewSessionsService/StartSession")
    (link,) = work.links
    assert (link.context.trace_id, link.context.span_id) == (call.context.trace_id, call.context.span_id)
    assert work.parent is None
    assert work.context.trace_id != call.context.trace_id


def test_a_preview_of_a_review_has_its_compilation(tmp_path: Path) -> None:
    spans = Spans()
    configured = settings(tmp_path, reviews={"mutations_per_minute": 0})
    with running(configured, spans.tracing) as engine:
        assert engine._grpc is not None
        token = TokenIssuer.for_data_dir(configured.data_dir).issue("alice", expand_permissions("all"))
        asked = {"model": "shop", "query": {"select": {"dimensions": ["Status"], "measures": ["Revenue"]}}}
        with grpc.insecure_channel(engine._grpc.address) as channel:
            metadata = (("authorization", f"Bearer {token}"),)
            started = review_grpc.ReviewSessionsServiceStub(channel).StartSession(
                review_pb.StartSessionRequest(
                    source_kind=enums_pb2.SOURCE_KIND_DATASET_SELECTION,
                    source_input=json.dumps(asked),
                    environment_id="local",
                ),
                metadata=metadata,
            )
            preview_grpc.PreviewLaunchServiceStub(channel).RequestPreview(
                preview_pb.RequestPreviewRequest(session_id=started.session.session_id), metadata=metadata
            )
        (work,) = spans.wait("review preview")
        compiled = [span for span in spans.wait("compile") if span.parent is not None]
    assert work.context.span_id in {span.parent.span_id for span in compiled if span.parent is not None}


def test_calls_of_superset_are_spans_that_show_neither_paths_nor_secrets() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        match request.url.path:
            case "/gone":
                raise httpx.ConnectError("secret of the network")
            case "/refused":
                return httpx.Response(403, stream=httpx.ByteStream(b"no"))
        return httpx.Response(200, stream=httpx.ByteStream(b"{}"))

    spans = Spans()
    transport = traced_transport(spans.tracing, httpx.MockTransport(answer))
    with (
        httpx.Client(transport=transport, base_url="https://bi.example:8443") as client,
        spans.tracing.tracer.start_as_current_span("review import") as work,
    ):
        assert client.post("/login", json={"password": "secret"}).status_code == 200
        assert client.get("/refused").status_code == 403
        with pytest.raises(httpx.ConnectError):
            client.get("/gone")
    posted, refused, gone = spans.all[:3]
    assert {span.parent.span_id for span in spans.all[:3] if span.parent} == {work.get_span_context().span_id}
    assert attributes(posted) == {
        "http.request.method": "POST",
        "server.address": "bi.example",
        "server.port": 8443,
        "http.response.status_code": 200,
    }
    assert attributes(refused)["error.type"] == "403"
    assert attributes(gone)["error.type"] == "ConnectError"
    assert f"{posted.context.span_id:016x}" in seen[0].headers["traceparent"]
    assert not any("secret" in span.to_json() or "login" in span.to_json() for span in spans.all)


# ---------------------------------------------------------------- logs


@pytest.mark.parametrize("form", ["console", "json"])
def test_lines_of_the_log_tell_the_trace_of_their_call(form: Any, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        configure_logging(LogSettings(format=form))
        tracing = open_tracing(TracingSettings(), {"OTEL_TRACES_EXPORTER": "none,console"})
        assert tracing is not None
        with tracing.tracer.start_as_current_span("call") as span:
            logging.getLogger("sagitta.test").warning("within")
        logging.getLogger("sagitta.test").warning("without")
        shown = f"{span.get_span_context().trace_id:032x}"
        within_, without = [line for line in capsys.readouterr().err.splitlines() if "with" in line]
        assert shown in within_
        assert shown not in without
        tracing.close()
    finally:
        root.handlers[:] = before
        root.setLevel(level)


# ---------------------------------------------------------------- exporters, through real processes


@contextmanager
def collecting_over_http() -> Iterator[tuple[Collector, dict[str, str]]]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.Export(trace_service_pb2.ExportTraceServiceRequest.FromString(body), None)
            self.send_response(200 if self.path == "/v1/traces" else 404)
            self.end_headers()

        def log_message(self, *values: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield (
            collector,
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_BSP_SCHEDULE_DELAY": "100",
            },
        )
    finally:
        server.shutdown()
        server.server_close()


def serve_flags(folder: Path) -> list[str]:
    settings(folder)
    return [f"--model={folder / 'shop.yaml'}", f"--source=duckdb:///{folder / 'shop.duckdb'}"]


QUERY = {"select": {"measures": ["Revenue"]}}


def test_spans_leave_over_http_and_carry_the_names_that_the_environment_gives(tmp_path: Path) -> None:
    with collecting_over_http() as (collector, environment):
        named = {**environment, "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,service.name=shop"}
        with serving(tmp_path, serve_flags(tmp_path), environment=named) as server:
            assert httpx.post(f"{server.http}/v1/query/execute", json=QUERY).status_code == 200
            collector.wait(lambda spans: len({span.instance for span in spans}) == 2)
            assert {span.service for span in collector.spans} == {"shop"}


def test_what_was_traced_last_arrives_although_the_server_stops_at_once(tmp_path: Path) -> None:
    with collecting() as collector:
        slow = {**collector.environment, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
        with serving(tmp_path, serve_flags(tmp_path), environment=slow) as server:
            assert httpx.post(f"{server.http}/v1/query/execute", json=QUERY).status_code == 200
            assert collector.spans == ()
            assert server.stop() == 0
        services = {span.service for span in collector.spans}
    assert services == {"sagitta-gateway", "sagitta-engine"}


def test_a_collector_that_is_not_there_disturbs_neither_calls_nor_the_stop(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        place = f"http://127.0.0.1:{closed.getsockname()[1]}"
        nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": place, "OTEL_EXPORTER_OTLP_TIMEOUT": "600"}
        with serving(tmp_path, serve_flags(tmp_path), environment=nowhere) as server:
            for _ in range(3):
                assert httpx.post(f"{server.http}/v1/query/execute", json=QUERY).status_code == 200
            assert server.stop() == 0, server.log.read_text()  # which does not wait as long as the exporter would try
    assert "Traceback" not in server.log.read_text()


def test_each_process_of_gateway_and_engine_sends_its_own_spans(tmp_path: Path) -> None:
    with collecting() as collector:
        several = {**collector.environment, "SAGITTA_HTTP__WORKERS": "2", "SAGITTA_GRPC__WORKERS": "2"}
        with serving(tmp_path, serve_flags(tmp_path), environment=several) as server:

            def both(spans: Sequence[Any]) -> bool:
                return len({(span.service, span.instance) for span in spans}) == 4

            for _ in range(40):
                assert httpx.post(f"{server.http}/v1/query/execute", json=QUERY).status_code == 200
            spans = collector.wait(both)
            parents = {span.span_id for span in spans}
            calls = [s for s in spans if s.service == "sagitta-engine" and s.name.endswith("/ExecuteQuery")]
            assert calls
            collector.wait(lambda seen: {call.parent_id for call in calls} <= parents | {s.span_id for s in seen})
