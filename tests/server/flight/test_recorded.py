"""What drivers really say, recorded by `tests/clients/record.py`, said again to a fresh server."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from pyarrow import flight
from sagitta.flight.sql import Flight_pb2 as fl
from sagitta.flight.sql import FlightSql_pb2 as fs
from sagitta_server.flight.commands import pack

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))


class Replay:
    """Says the calls of a recording; names of handles and tickets stand for what this server gave."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._known: dict[str, bytes] = {}
        self._schemas: dict[str, Any] = {}
        self._values = itertools.cycle(("US", "DE"))
        self.rows: list[list[dict[str, Any]]] = []

    def say(self, call: dict[str, Any]) -> None:
        getattr(self, f"_{call['call']}")(call)

    def _get_flight_info(self, call: dict[str, Any]) -> None:
        body = self._packed(call["command"])
        found = self._client.get_flight_info(flight.FlightDescriptor.for_command(body))
        for endpoint in found.endpoints:
            name = self._name(endpoint.ticket.ticket, "ticket")
            self._schemas[name] = found.schema

    def _do_get(self, call: dict[str, Any]) -> None:
        name = call["ticket"]
        ticket = self._known[name] if isinstance(name, str) else self._packed(name)
        table = self._client.do_get(flight.Ticket(ticket)).read_all()
        if isinstance(name, str):
            assert table.schema.equals(self._schemas[name]), "the promised schema is the schema that came"
        self.rows.append([] if _has_union(table) else table.to_pylist())

    def _do_put(self, call: dict[str, Any]) -> None:
        row = pa.table({"Country": [next(self._values)]})
        descriptor = flight.FlightDescriptor.for_command(self._packed(call["command"]))
        writer, reader = self._client.do_put(descriptor, row.schema)
        writer.write_table(row)
        writer.done_writing()
        answer = fs.DoPutPreparedStatementResult.FromString(reader.read().to_pybytes())
        self._name(answer.prepared_statement_handle, "handle")
        writer.close()

    def _do_action(self, call: dict[str, Any]) -> None:
        described = call["body"]
        message = self._message(getattr(fs, described["type"], None) or getattr(fl, described["type"]), described)
        body = pack(message) if described["wrapped"] else message.SerializeToString()
        results = list(self._client.do_action(flight.Action(call["type"], body)))
        if call["type"] == "CreatePreparedStatement":
            result = fs.ActionCreatePreparedStatementResult()
            AnyMessage.FromString(results[0].body.to_pybytes()).Unpack(result)
            self._name(result.prepared_statement_handle, "handle")

    def _name(self, body: bytes, kind: str) -> str:
        known = next((name for name, value in self._known.items() if value == body), None)
        if known is None:
            known = f"${kind}-{sum(name.startswith(f'${kind}-') for name in self._known)}"
            self._known[known] = body
        return known

    def _packed(self, command: dict[str, Any]) -> bytes:
        return pack(self._message(getattr(fs, command["type"]), command))

    def _message(self, kind: type[Message], described: dict[str, Any]) -> Message:
        values = dict(described["message"])
        handle = values.pop("prepared_statement_handle", None)
        message = ParseDict(values, kind())
        if handle is not None:
            message.prepared_statement_handle = self._known[handle]  # type: ignore[attr-defined]
        return message


def _has_union(table: pa.Table) -> bool:
    return any(pa.types.is_union(field.type) for field in table.schema)


@pytest.mark.parametrize("recording", RECORDED, ids=lambda path: path.stem)
def test_a_recorded_conversation_is_answered_again(recording: Path, client: Any) -> None:
    replay, calls = Replay(client), json.loads(recording.read_text(encoding="utf-8"))
    for call in calls:
        replay.say(call)
    assert [{"Country": "DE", "Revenue": 750}, {"Country": "US", "Revenue": 750}] in replay.rows
    if any(call["call"] == "do_put" for call in calls):
        assert [{"Country": "US", "Revenue": 750}] in replay.rows


def test_there_are_recordings() -> None:
    assert {path.stem for path in RECORDED} == {"adbc", "go", "jdbc", "node", "rust", "sqlalchemy"}
