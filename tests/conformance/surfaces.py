"""The three surfaces as their users reach them; each gives rows of Python values."""

import json
from decimal import Decimal
from typing import Any

import adbc_driver_flightsql.dbapi
import grpc
import httpx
import pyarrow as pa
from conformance.questions import Question
from harness.server import Server
from sagitta.semantic.v1 import query_service_pb2, query_service_pb2_grpc

Rows = list[tuple[Any, ...]]


def ask_flight(server: Server, question: Question) -> Rows:
    """Through the ADBC Flight SQL driver, in SQL."""
    return fetched(server, question.semantic_sql)


def ask_flight_object(server: Server, question: Question) -> Rows:
    """Through the ADBC Flight SQL driver, as a query object in place of SQL."""
    return fetched(server, json.dumps(question.query))


def fetched(server: Server, statement: str) -> Rows:
    with (
        adbc_driver_flightsql.dbapi.connect(server.flight, autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
        return rows_of(cursor.fetch_arrow_table())


def ask_grpc(server: Server, question: Question) -> Rows:
    """Through the generated stub, as a query object; the pieces are one Arrow IPC stream."""
    request = query_service_pb2.ExecuteQueryRequest(query_text=json.dumps(question.query), no_default_limit=True)
    with grpc.insecure_channel(server.grpc) as channel:
        stub = query_service_pb2_grpc.QueryServiceStub(channel)
        pieces = b"".join(response.arrow_ipc for response in stub.ExecuteQuery(request, timeout=60))
    return rows_of(pa.ipc.open_stream(pieces).read_all())


def ask_grpc_sql(server: Server, question: Question) -> Rows:
    """Through the generated stub, in SQL."""
    request = query_service_pb2.ExecuteQueryRequest(semantic_sql=question.semantic_sql, no_default_limit=True)
    with grpc.insecure_channel(server.grpc) as channel:
        stub = query_service_pb2_grpc.QueryServiceStub(channel)
        pieces = b"".join(response.arrow_ipc for response in stub.ExecuteQuery(request, timeout=60))
    return rows_of(pa.ipc.open_stream(pieces).read_all())


def ask_rest(server: Server, question: Question) -> Rows:
    """Through REST, as a query object; numbers are read exactly."""
    answer = httpx.post(f"{server.http}/v1/query/execute", json=question.query, timeout=60)
    assert answer.status_code == 200, answer.text
    return [tuple(row) for row in json.loads(answer.text, parse_float=Decimal)["rows"]]


SURFACES = {
    "flight": ask_flight,
    "flight-object": ask_flight_object,
    "grpc": ask_grpc,
    "grpc-sql": ask_grpc_sql,
    "rest": ask_rest,
}


def rows_of(table: Any) -> Rows:
    """Returns an Arrow table's rows, also when it has columns of the same name."""
    columns = [column.to_pylist() for column in table.columns]
    return list(zip(*columns, strict=True))
