"""A row policy holds on every surface, for each caller apart, through plans, tickets and cached results."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import duckdb
import grpc
import pyarrow as pa
import pytest
from adbc_driver_flightsql import dbapi
from harness.server import Server, serving
from sagitta.semantic.v1 import query_service_pb2 as pb
from sagitta.semantic.v1 import query_service_pb2_grpc as pb_grpc
from sagitta_server.auth import TokenIssuer

MODEL = """
version: 1.0
name: shop
dataObjects:
  Order:
    code: orders
    columns:
      Country: {code: country, abstractType: string}
      Amount: {code: amount, abstractType: int}
    rowPolicy:
      filters: [{field: Country, op: in, value: "{claims.countries}"}]
      exemptRoles: [auditor]
    refresh: {mode: static}
dimensions:
  Country: {dataObject: Order, column: Country, resultType: string}
measures:
  Revenue: {aggregation: sum, columns: [{dataObject: Order, column: Amount}]}
"""
SQL = 'SELECT "Country", "Revenue" FROM shop ORDER BY 1'
SECRET = "a secret of the tests, longer than thirty-two bytes"
CALLERS: tuple[tuple[dict[str, object], list[tuple[str, int]]], ...] = (
    ({"countries": ["DE"]}, [("DE", 3)]),
    ({"countries": "US"}, [("US", 4)]),
    ({"countries": ["DE", "US"]}, [("DE", 3), ("US", 4)]),
    ({"roles": ["auditor"]}, [("DE", 3), ("FR", 8), ("US", 4)]),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("policies")
    with duckdb.connect(str(folder / "shop.duckdb")) as database:
        database.execute(
            "CREATE TABLE orders AS FROM (VALUES ('DE', 1), ('DE', 2), ('US', 4), ('FR', 8)) t(country, amount)"
        )
    (folder / "shop.yaml").write_text(MODEL)
    environment = {
        "AUTH_MODE": "jwt",
        "SAGITTA_AUTH__MODE": "hs256",
        "SAGITTA_AUTH__SECRET": SECRET,
        "CACHE_BACKEND": "file",
    }
    with serving(folder, ["--model", "shop.yaml", "--source", "duckdb:///shop.duckdb"], environment=environment) as up:
        yield up


def token(claims: dict[str, object]) -> str:
    return TokenIssuer(SECRET).issue("alice", (), extra=claims)


def over_flight(server: Server, bearer: str) -> list[tuple[Any, ...]]:
    options = {"adbc.flight.sql.authorization_header": f"Bearer {bearer}"}
    with dbapi.connect(server.flight, db_kwargs=options, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(SQL)
        return [tuple(row) for row in cursor.fetchall()]


def over_grpc(server: Server, bearer: str) -> list[tuple[Any, ...]]:
    with grpc.insecure_channel(server.grpc) as channel:
        stub = pb_grpc.QueryServiceStub(channel)
        pieces = stub.ExecuteQuery(
            pb.ExecuteQueryRequest(semantic_sql=SQL), metadata=(("authorization", f"Bearer {bearer}"),)
        )
        table = pa.ipc.open_stream(b"".join(piece.arrow_ipc for piece in pieces)).read_all()
    return [tuple(row.values()) for row in table.to_pylist()]


def over_rest(server: Server, bearer: str) -> list[tuple[Any, ...]]:
    body = {
        "select": {"dimensions": ["Country"], "measures": ["Revenue"]},
        "orderBy": [{"field": "Country"}],
    }
    request = urllib.request.Request(
        f"{server.http}/v1/query/execute",
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {bearer}"},
    )
    with urllib.request.urlopen(request) as answer:
        return [tuple(row) for row in json.load(answer)["rows"]]


@pytest.mark.parametrize("ask", [over_flight, over_grpc, over_rest])
def test_each_caller_sees_the_rows_of_the_claims(server: Server, ask: Any) -> None:
    for _ in range(2):  # the second time from kept plans and cached results
        for claims, expected in CALLERS:
            assert ask(server, token(claims)) == expected


def test_a_caller_without_the_claim_is_refused_everywhere(server: Server) -> None:
    bearer = token({"region": "north"})
    told = "depend on the claim 'countries'"
    with pytest.raises(dbapi.Error, match=told):
        over_flight(server, bearer)
    with pytest.raises(grpc.RpcError) as refused:
        over_grpc(server, bearer)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert told in refused.value.details()
    with pytest.raises(urllib.error.HTTPError) as forbidden:
        over_rest(server, bearer)
    assert forbidden.value.code == 403
    assert told in forbidden.value.read().decode()
