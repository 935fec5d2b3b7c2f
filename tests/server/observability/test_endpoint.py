"""What an operator sees: metrics of calls and statements, whether the engine lives, and whether it is ready."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from adbc_driver_flightsql import dbapi
from prometheus_client.parser import text_string_to_metric_families
from sagitta.semantic.v1 import query_service_pb2 as pb
from sagitta.semantic.v1 import query_service_pb2_grpc as pb_grpc
from sagitta_server.app import Engine, ReadyAddresses
from sagitta_server.config import Settings
from sagitta_server.listening import ListenError, check_free
from sagitta_server.observability.endpoint import start_endpoint
from sagitta_server.observability.metrics import engine_registry

MODEL = """
version: 1.0
name: numbers
dataObjects:
  Number: {code: numbers, columns: {Value: {code: range, abstractType: int}}}
measures:
  Total: {aggregation: sum, columns: [{dataObject: Number, column: Value}]}
"""
SQL = "SELECT Total FROM numbers"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[tuple[Engine, ReadyAddresses]]:
    (tmp_path / "numbers.yaml").write_text(MODEL)
    free = {"address": "127.0.0.1:0"}
    engine = Engine(
        Settings(
            data_dir=tmp_path / "data",
            flight=free,  # type: ignore[arg-type]
            grpc=free,  # type: ignore[arg-type]
            metrics=free,  # type: ignore[arg-type]
            models={"files": [str(tmp_path / "numbers.yaml")]},  # type: ignore[arg-type]
            sources={
                "default": {
                    "uri": "duckdb:",
                    "init_sql": ["CREATE TABLE IF NOT EXISTS numbers AS FROM range(10)"],
                }
            },  # type: ignore[dict-item]
        )
    )
    try:
        yield engine, engine.start()
    finally:
        engine.stop()


def seen(engine: Engine, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{engine.metrics_address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def values(engine: Engine) -> dict[str, float]:
    """Returns every sample by its name and labels."""
    found = {}
    for family in text_string_to_metric_families(seen(engine, "/metrics")[1]):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()) if k != "le")
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_calls_and_statements_are_counted_until_their_last_byte(engine: tuple[Engine, ReadyAddresses]) -> None:
    up, places = engine
    before = values(up)
    with grpc.insecure_channel(places.grpc) as channel:
        stub = pb_grpc.QueryServiceStub(channel)
        list(stub.ExecuteQuery(pb.ExecuteQueryRequest(semantic_sql=SQL)))
        with pytest.raises(grpc.RpcError):
            stub.CompileQuery(pb.CompileQueryRequest(semantic_sql="SELECT Nothing FROM numbers"))
    assert places.flight is not None
    with dbapi.connect(places.flight, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(SQL)
        assert cursor.fetchall() == [(45,)]
    after = values(up)
    for name, times in {
        "sagitta_call_seconds_count{code=OK,method=QueryService/ExecuteQuery,surface=grpc}": 1,
        "sagitta_call_seconds_count{code=INVALID_ARGUMENT,method=QueryService/CompileQuery,surface=grpc}": 1,
    }.items():
        assert after[name] - before.get(name, 0) == times, name
    more = "drivers ask for metadata, and the zone of the warehouse is asked for"
    assert after["sagitta_call_seconds_count{code=OK,method=DO_GET,surface=flight}"] >= 1, more
    assert after["sagitta_statement_seconds_count{outcome=ended,source=default}"] >= 2, more
    assert after["sagitta_source_slots{source=default}"] == 8
    assert after["sagitta_source_running{source=default}"] == 0
    assert after["sagitta_ready{}"] == 1


def test_a_draining_engine_lives_and_is_not_ready(engine: tuple[Engine, ReadyAddresses]) -> None:
    up, _ = engine
    assert seen(up, "/livez")[0] == seen(up, "/readyz")[0] == 200
    up.drain()
    assert seen(up, "/livez")[0] == 200
    assert seen(up, "/readyz") == (503, "stopping\n")
    assert values(up)["sagitta_ready{}"] == 0


def has_ipv6() -> bool:
    try:
        check_free("A test", "[::1]:0")
    except ListenError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_it_is_served_over_ipv6_too() -> None:
    endpoint = start_endpoint("[::1]:0", engine_registry(), lambda: True)
    try:
        assert httpx.get(f"http://{endpoint.address}/readyz").text == "ready\n"
    finally:
        endpoint.stop()


def test_other_paths_say_which_there_are(engine: tuple[Engine, ReadyAddresses]) -> None:
    status, text = seen(engine[0], "/")
    assert status == 404
    assert re.search("/metrics.*/livez.*/readyz", text)
