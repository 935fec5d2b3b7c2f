"""One mistake, one code: the same on Flight SQL, gRPC and REST, with words for people and never a traceback."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import adbc_driver_flightsql.dbapi
import adbc_driver_manager
import grpc
import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from harness import tpch
from harness.server import Server, serving
from sagitta.semantic.v1 import (
    model_service_pb2,
    model_service_pb2_grpc,
    query_service_pb2,
    query_service_pb2_grpc,
    session_service_pb2,
    session_service_pb2_grpc,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a client learns: the code, the message, and everything that was sent with it."""

    code: str
    message: str
    everything: str


def refused_by_status(status: status_pb2.Status | None, everything: str) -> Refusal:
    assert status is not None, everything
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return Refusal(info.metadata.get("code") or info.reason, status.message, everything)
    raise AssertionError(f"no ErrorInfo in {status}")


def by_grpc(call: Callable[[grpc.Channel], Any]) -> Callable[[Server], Refusal]:
    def ask(server: Server) -> Refusal:
        with grpc.insecure_channel(server.grpc) as channel, pytest.raises(grpc.RpcError) as caught:
            for _ in call(channel):
                pass
        return refused_by_status(rpc_status.from_call(caught.value), str(caught.value))

    return ask


def by_rest(method: str, path: str, body: Any = None) -> Callable[[Server], Refusal]:
    def ask(server: Server) -> Refusal:
        answer = httpx.request(method, server.http + path, json=body, timeout=30)
        assert 400 <= answer.status_code < 500, answer.text
        document = answer.json()
        return Refusal(document["code"], json.dumps(document["detail"]), answer.text)

    return ask


def by_flight(sql: str) -> Callable[[Server], Refusal]:
    def ask(server: Server) -> Refusal:
        connect = adbc_driver_flightsql.dbapi.connect
        with (
            connect(server.flight, autocommit=True) as connection,
            connection.cursor() as cursor,
            pytest.raises(adbc_driver_manager.Error) as caught,
        ):
            cursor.execute(sql)
        status = status_pb2.Status(message=str(caught.value))
        for key, value in caught.value.details or []:
            if key in {"grpc-status-details-bin", b"grpc-status-details-bin"}:
                status.details.add().MergeFromString(value)
        return refused_by_status(status, str(caught.value))

    return ask


def by_rest_sql(sql: str) -> Callable[[Server], Refusal]:
    def ask(server: Server) -> Refusal:
        model_id = httpx.get(f"{server.http}/v1/sessions/tpch/models", timeout=60).json()[0]["model_id"]
        return by_rest("POST", "/v1/sessions/tpch/query/semantic-ql", {"model_id": model_id, "sql": sql})(server)

    return ask


def execute(**question: str) -> Callable[[grpc.Channel], Any]:
    request = query_service_pb2.ExecuteQueryRequest(**question)
    return lambda channel: query_service_pb2_grpc.QueryServiceStub(channel).ExecuteQuery(request, timeout=30)


def sql_doors(sql: str) -> dict[str, Callable[[Server], Refusal]]:
    """SQL on the virtual table, through each surface."""
    return {
        "flight": by_flight(sql),
        "grpc": by_grpc(execute(semantic_sql=sql)),
        "rest": by_rest_sql(sql),
    }


def query_doors(query: dict[str, Any]) -> dict[str, Callable[[Server], Refusal]]:
    """A query object, through each surface."""
    return {
        "flight": by_flight(json.dumps(query)),
        "grpc": by_grpc(execute(query_text=json.dumps(query))),
        "rest": by_rest("POST", "/v1/query/execute", query),
    }


def session_doors(session_id: str) -> dict[str, Callable[[Server], Refusal]]:
    request = session_service_pb2.GetSessionRequest(session_id=session_id)
    return {
        "grpc": by_grpc(lambda channel: [session_service_pb2_grpc.SessionServiceStub(channel).GetSession(request)]),
        "rest": by_rest("GET", f"/v1/sessions/{session_id}"),
    }


def select(*dimensions: str, measures: tuple[str, ...] = ("Revenue",), **rest: Any) -> dict[str, Any]:
    return {"select": {"dimensions": list(dimensions), "measures": list(measures)}, **rest}


MISTAKES = {
    "UNKNOWN_SELECT_ITEM": sql_doors('SELECT "Customer Regio", "Revenue" FROM tpch'),
    "UNKNOWN_FILTER_FIELD": sql_doors('SELECT "Revenue" FROM tpch WHERE "Nowhere" = 1'),
    "UNKNOWN_ORDER_BY_FIELD": sql_doors('SELECT "Revenue" FROM tpch ORDER BY "Nowhere"'),
    "UNSUPPORTED_SQL_FEATURE": sql_doors('SELECT "Revenue" FROM tpch JOIN tpch AS other ON TRUE'),
    "SQL_SYNTAX_ERROR": sql_doors('SELECT "Revenue" FORM tpch WHERE'),
    "RAW_SQL_REJECTED": sql_doors("SELECT count(*) FROM lineitem"),
    "WRITE_OPERATION_REJECTED": sql_doors("DROP TABLE lineitem"),
    "UNKNOWN_DIMENSION": query_doors(select("Customer Regio")),
    "UNKNOWN_MEASURE": query_doors(select(measures=("Revenu",))),
    "UNKNOWN_PROPERTY": query_doors(select("Customer Region", wehre=[])),
    "UNKNOWN_FILTER_FIELD (query)": query_doors(select(where=[{"field": "Nowhere", "op": "equals", "value": 1}])),
    "INVALID_TIME_GRAIN": query_doors(select("Order Date:fortnight")),
    "EMPTY_SELECT": query_doors({"select": {}}),
    "SESSION_NOT_FOUND": session_doors("nowhere"),
}
CASES = [(code, surface) for code, doors in MISTAKES.items() for surface in doors]
LEAKS = ("Traceback", 'File "', ".py", "sagitta_server", str(tpch.ROOT))


@pytest.mark.parametrize(("mistake", "surface"), CASES, ids=lambda part: part)
def test_mistake_has_the_same_code_on_every_surface(server: Server, mistake: str, surface: str) -> None:
    refusal = MISTAKES[mistake][surface](server)
    assert refusal.code == mistake.partition(" ")[0], refusal
    assert len(refusal.message) > 10
    assert [leak for leak in LEAKS if leak in refusal.everything] == []


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without models of its own: clients load theirs into sessions."""
    source = f"--source=duckdb:///{tpch.database(0.01)}"
    with serving(tmp_path_factory.mktemp("open"), [source]) as running:
        yield running


BAD_MODELS = {
    "YAML_PARSE_ERROR": "version: 1.0\ndataObjects: [",
    "UNKNOWN_DATA_OBJECT": (
        "version: 1.0\ndataObjects:\n  A: {code: a, columns: {X: {code: x, abstractType: int}}}\n"
        "dimensions:\n  D: {dataObject: B, column: X}\n"
    ),
    "UNKNOWN_PROPERTY": (
        "version: 1.0\ndataObjets: {}\ndataObjects:\n  A: {code: a, columns: {X: {code: x, abstractType: int}}}\n"
    ),
}


@pytest.mark.parametrize("code", BAD_MODELS)
def test_bad_model_has_the_same_code_on_every_surface(open_server: Server, code: str) -> None:
    session = httpx.post(f"{open_server.http}/v1/sessions", timeout=30).json()["session_id"]
    request = model_service_pb2.LoadModelRequest(
        session_id=session, source=model_service_pb2.ModelSource(model_yaml=BAD_MODELS[code])
    )
    doors = {
        "grpc": by_grpc(lambda channel: [model_service_pb2_grpc.ModelServiceStub(channel).LoadModel(request)]),
        "rest": by_rest("POST", f"/v1/sessions/{session}/models", {"model_yaml": BAD_MODELS[code]}),
    }
    for surface, ask in doors.items():
        refusal = ask(open_server)
        assert refusal.code == code, (surface, refusal)
        assert [leak for leak in LEAKS if leak in refusal.everything] == [], surface


def test_nothing_to_ask_is_said_the_same_way(open_server: Server) -> None:
    codes = {surface: ask(open_server).code for surface, ask in query_doors(select()).items()}
    assert set(codes.values()) == {"NO_MODEL"}
