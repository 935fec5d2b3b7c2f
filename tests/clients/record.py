"""Records what drivers say to a server, for `tests/server/flight/test_recorded.py`.

    PYTHONPATH=.:tests python -m clients.record [DRIVER...]     writes tests/server/flight/recorded/*.json

A recording is a list of calls with decoded messages. Handles and tickets are the server's own and differ each time: in
their place stand names ("$handle-0", "$ticket-1"), which a replay fills with what the server gives it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import adbc_driver_flightsql.dbapi
import duckdb
import pytest
import sqlalchemy as sa
from clients import drivers
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from sagitta.flight.sql import Flight_pb2 as fl
from sagitta.flight.sql import FlightSql_pb2 as fs
from sagitta_server.app import Engine
from sagitta_server.config import Settings
from sagitta_server.flight.commands import COMMANDS
from sqlalchemy.dialects import registry

HERE = Path(__file__).parent
TARGET = HERE.parent / "server" / "flight" / "recorded"
PREPARED = 'SELECT "Country", "Revenue" FROM shop WHERE "Country" = ? ORDER BY 1'
PLAIN = 'SELECT "Country", "Revenue" FROM shop ORDER BY 1'
BODIES: dict[str, type[Message]] = {
    "CreatePreparedStatement": fs.ActionCreatePreparedStatementRequest,
    "ClosePreparedStatement": fs.ActionClosePreparedStatementRequest,
    "BeginTransaction": fs.ActionBeginTransactionRequest,
    "SetSessionOptions": fl.SetSessionOptionsRequest,
    "GetSessionOptions": fl.GetSessionOptionsRequest,
    "CloseSession": fl.CloseSessionRequest,
}


class Recorder:
    """Stands in for a server's methods, notes every call and hands it on."""

    def __init__(self, server: Any) -> None:
        self.calls: list[dict[str, Any]] = []
        self._names: dict[bytes, str] = {}
        self._server = server
        for name in ("get_flight_info", "do_get", "do_put", "do_action", "get_schema"):
            setattr(server, name, getattr(self, name)(getattr(server, name)))

    def get_flight_info(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(context: Any, descriptor: Any) -> Any:
            found = method(context, descriptor)
            self._note("get_flight_info", command=self._command(descriptor.command))
            for endpoint in found.endpoints:
                self._name(endpoint.ticket.ticket, "ticket")
            return found

        return call

    def get_schema(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(context: Any, descriptor: Any) -> Any:
            self._note("get_schema", command=self._command(descriptor.command))
            return method(context, descriptor)

        return call

    def do_get(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(context: Any, ticket: Any) -> Any:
            name = self._names.get(ticket.ticket)
            self._note("do_get", ticket=name or self._command(ticket.ticket))
            return method(context, ticket)

        return call

    def do_put(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(context: Any, descriptor: Any, reader: Any, writer: Any) -> Any:
            self._note("do_put", command=self._command(descriptor.command))
            return method(context, descriptor, reader, NamingWriter(writer, self))

        return call

    def do_action(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(context: Any, action: Any) -> Any:
            body = action.body.to_pybytes() if action.body else b""
            self._note("do_action", type=action.type, body=self._body(action.type, body))
            results = method(context, action)
            if action.type == "CreatePreparedStatement":
                result = fs.ActionCreatePreparedStatementResult()
                AnyMessage.FromString(results[0]).Unpack(result)
                self._name(result.prepared_statement_handle, "handle")
            return results

        return call

    def name_handle(self, handle: bytes) -> None:
        self._name(handle, "handle")

    def _note(self, call: str, **rest: Any) -> None:
        self.calls.append({"call": call, **rest})

    def _name(self, body: bytes, kind: str) -> None:
        count = sum(name.startswith(f"${kind}-") for name in self._names.values())
        self._names.setdefault(body, f"${kind}-{count}")

    def _command(self, body: bytes) -> dict[str, Any]:
        packed = AnyMessage()
        try:
            packed.ParseFromString(body)
        except DecodeError:
            return {"text": body.decode()}
        name = packed.type_url.rpartition("/")[2]
        message = COMMANDS[name].FromString(packed.value)
        return {"type": name.rpartition(".")[2], "message": self._message(message)}

    def _body(self, action: str, body: bytes) -> dict[str, Any]:
        kind = BODIES[action]
        packed = AnyMessage()
        try:
            packed.ParseFromString(body)
            wrapped = packed.type_url.endswith(kind.DESCRIPTOR.full_name)
        except DecodeError:
            wrapped = False
        message = kind.FromString(packed.value if wrapped else body)
        return {"type": kind.DESCRIPTOR.name, "wrapped": wrapped, "message": self._message(message)}

    def _message(self, message: Message) -> dict[str, Any]:
        found: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
        handle = getattr(message, "prepared_statement_handle", b"")
        if handle:
            found["prepared_statement_handle"] = self._names[handle]
        return found


class NamingWriter:
    """Names the handle in a DoPut's answer."""

    def __init__(self, writer: Any, recorder: Recorder) -> None:
        self._writer = writer
        self._recorder = recorder

    def write(self, buffer: Any) -> None:
        result = fs.DoPutPreparedStatementResult.FromString(bytes(buffer))
        if result.prepared_statement_handle:
            self._recorder.name_handle(result.prepared_statement_handle)
        self._writer.write(buffer)


def engine(folder: Path) -> Engine:
    """An engine with the model of the replays."""
    from tests.server.flight.conftest import DATA, MODEL

    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute(DATA)
    (folder / "shop.yaml").write_text(MODEL, encoding="utf-8")
    found = Engine(
        Settings(
            data_dir=folder / "data",
            models={"files": (str(folder / "shop.yaml"),)},
            sources={"default": {"uri": f"duckdb:///{folder / 'shop.duckdb'}"}},
            flight={"address": "127.0.0.1:0"},
            grpc={"address": "127.0.0.1:0"},
        )
    )
    found.start()
    return found


def adbc(location: str) -> None:
    """A Python program: connects, looks around, asks, binds."""
    with adbc_driver_flightsql.dbapi.connect(location) as connection, connection.cursor() as cursor:
        connection.adbc_get_info()
        connection.adbc_get_objects(depth="all").read_all()
        connection.adbc_get_table_schema("model", db_schema_filter="shop")
        connection.adbc_get_table_types()
        cursor.execute(PLAIN).fetchall()
        cursor.execute(PREPARED, ("US",)).fetchall()
        cursor.execute(PREPARED, ("DE",)).fetchall()


def sqlalchemy(location: str) -> None:
    """What Superset does: lists schemas, tables and columns, asks, binds."""
    registry.register("sagitta", "sagitta_sqlalchemy.dialect", "SagittaDialect")
    database = sa.create_engine(f"sagitta://{location.removeprefix('grpc://')}/shop")
    found = sa.inspect(database)
    for schema in found.get_schema_names():
        for table in (*found.get_table_names(schema), *found.get_view_names(schema)):
            found.get_columns(table, schema)
    with database.connect() as connection:
        connection.execute(sa.text(PLAIN)).fetchall()
        connection.execute(sa.text(PREPARED.replace("?", ":country")), {"country": "US"}).fetchall()
    database.dispose()


def jdbc(location: str) -> None:
    """A database browser: connects, reads all metadata, asks, binds."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FLIGHT_OPTIONS", "&catalog=shop")
        for arguments in (("metadata",), ("columns", "shop", "model"), ("keys", "shop", "Orders"), ("query", PLAIN),
                          ("bind", PREPARED, "US"), ("count", PLAIN)):  # fmt: skip
            said(drivers.JDBC, location, *arguments)


def go(location: str) -> None:
    """Grafana's data source, and what arrow-go can do beyond it."""
    for arguments in (("info",), ("tables",), ("keys", "shop", "Orders"), ("query", PLAIN), ("bind", PREPARED, "US")):
        said(drivers.GO, location, *arguments)


def rust(location: str) -> None:
    """A program on the `arrow-flight` crate."""
    for arguments in (("info",), ("tables",), ("keys", "shop", "Orders"), ("query", PLAIN), ("bind", PREPARED, "US")):
        said(drivers.RUST, location, *arguments)


def node(location: str) -> None:
    """A program on Node.js."""
    for arguments in (("catalogs",), ("tables",), ("query", PLAIN)):
        said(drivers.NODE, location, *arguments)


def said(program: drivers.Program, location: str, *arguments: str) -> None:
    """Runs a program that must succeed."""
    seen = program(location, *arguments)
    assert seen.code == 0, (arguments, seen.facts)


DRIVERS: dict[str, Callable[[str], None]] = {
    drive.__name__: drive for drive in (adbc, sqlalchemy, jdbc, go, rust, node)
}


def main() -> None:
    """Records every driver anew, or those that are named."""
    TARGET.mkdir(exist_ok=True)
    for name in sys.argv[1:] or DRIVERS:
        drive = DRIVERS[name]
        with tempfile.TemporaryDirectory() as folder:
            running = engine(Path(folder))
            assert running._flight is not None
            recorder = Recorder(running._flight.server)
            drive(str(running.flight_location))
            running.stop()
        text = json.dumps(recorder.calls, indent=1, ensure_ascii=False)
        (TARGET / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{name}: {len(recorder.calls)} calls")


if __name__ == "__main__":
    main()
