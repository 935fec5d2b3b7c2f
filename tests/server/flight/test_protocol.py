"""The protocol as pyarrow and bare messages see it."""

from __future__ import annotations

import base64
import time
from typing import Any

import grpc
import pyarrow as pa
import pytest
from google.rpc import error_details_pb2, status_pb2
from pyarrow import flight
from sagitta.flight.sql import Flight_pb2 as fl
from sagitta.flight.sql import FlightSql_pb2 as fs
from sagitta_server.flight.commands import pack

from tests.server.flight.conftest import Start

SQL = 'SELECT "Country", "Revenue" FROM shop ORDER BY 1'
ROWS = [{"Country": "DE", "Revenue": 750}, {"Country": "US", "Revenue": 750}]


def info(client: Any, sql: str = SQL, options: Any = None) -> Any:
    descriptor = flight.FlightDescriptor.for_command(pack(fs.CommandStatementQuery(query=sql)))
    return client.get_flight_info(descriptor, options or flight.FlightCallOptions())


def fetch(client: Any, ticket: Any, options: Any = None) -> pa.Table:
    return client.do_get(ticket, options or flight.FlightCallOptions()).read_all()


def act(client: Any, name: str, message: Any, *, wrapped: bool = True) -> list[bytes]:
    body = pack(message) if wrapped else message.SerializeToString()
    return [result.body.to_pybytes() for result in client.do_action(flight.Action(name, body))]


def command(client: Any, message: Any) -> pa.Table:
    found = client.get_flight_info(flight.FlightDescriptor.for_command(pack(message)))
    table = fetch(client, found.endpoints[0].ticket)
    assert found.schema.equals(table.schema), "the promised schema is the schema that came"
    return table


# tickets


def test_a_ticket_can_be_redeemed_again_and_its_schema_was_known(client: Any) -> None:
    found = info(client)
    tables = [fetch(client, found.endpoints[0].ticket) for _ in range(2)]
    assert [table.to_pylist() for table in tables] == [ROWS, ROWS]
    assert found.schema.equals(tables[0].schema, check_metadata=True)
    assert found.endpoints[0].locations == []


def test_a_ticket_works_after_a_restart_and_on_a_replica(start: Start) -> None:
    shared = {"flight": {"secret": "x" * 40}}
    first, replica = start("one", **shared), start("two", **shared)
    ticket = info(flight.connect(first.flight_location)).endpoints[0].ticket
    first.stop()
    restarted = start("one", **shared)
    for engine in (replica, restarted):
        assert fetch(flight.connect(engine.flight_location), ticket).to_pylist() == ROWS


def test_a_ticket_of_another_server_or_with_a_changed_byte_is_refused(start: Start, client: Any) -> None:
    stranger = info(flight.connect(start("other").flight_location)).endpoints[0].ticket
    own = bytearray(info(client).endpoints[0].ticket.ticket)
    own[-40] ^= 1
    for ticket in (stranger, flight.Ticket(bytes(own))):
        with pytest.raises(flight.FlightServerError, match="ticket"):
            fetch(client, ticket)


def test_an_expired_ticket_is_refused_and_a_renewed_one_has_more_time(client: Any, engine: Any) -> None:
    signer = engine._flight.server.signer
    endpoint = info(client).endpoints[0]
    message = fl.FlightEndpoint.FromString(endpoint.serialize())
    signer.now = lambda: time.time() + 3000
    (renewed,) = act(client, "RenewFlightEndpoint", fl.RenewFlightEndpointRequest(endpoint=message), wrapped=False)
    signer.now = lambda: time.time() + 4000
    with pytest.raises(flight.FlightServerError, match="expired"):
        fetch(client, endpoint.ticket)
    ticket = fl.FlightEndpoint.FromString(renewed).ticket.ticket
    assert fetch(client, flight.Ticket(ticket)).to_pylist() == ROWS


def test_a_query_runs_once(client: Any, engine: Any) -> None:
    source = next(iter(engine.sources.values()))
    executed: list[str] = []
    original = source.execute
    source.execute = lambda sql, **named: (executed.append(sql), original(sql, **named))[1]
    fetch(client, info(client).endpoints[0].ticket)
    assert len(executed) == 1


def test_a_ticket_may_skip_get_flight_info(client: Any) -> None:
    body = fs.ActionCreatePreparedStatementRequest(query=SQL)
    prepared = fs.ActionCreatePreparedStatementResult()
    (packed,) = act(client, "CreatePreparedStatement", body)
    unpack(packed, prepared)
    ticket = pack(fs.CommandPreparedStatementQuery(prepared_statement_handle=prepared.prepared_statement_handle))
    assert fetch(client, flight.Ticket(ticket)).to_pylist() == ROWS


def unpack(body: bytes, message: Any) -> None:
    from google.protobuf.any_pb2 import Any as AnyMessage

    assert AnyMessage.FromString(body).Unpack(message)


# authentication

KEY = "k3y-" + "abcdefghij0123456789" * 2


def basic(user: str, password: str) -> Any:
    credential = base64.b64encode(f"{user}:{password}".encode())
    return flight.FlightCallOptions(headers=[(b"authorization", b"Basic " + credential)])


def bearer(token: str) -> Any:
    return flight.FlightCallOptions(headers=[(b"authorization", b"Bearer " + token.encode())])


def test_api_keys_by_password_bearer_and_header(start: Start) -> None:
    client = flight.connect(start(access={"mode": "api_key", "api_keys": (KEY,)}).flight_location)
    header = flight.FlightCallOptions(headers=[(b"x-api-key", KEY.encode())])
    name, token = client.authenticate_basic_token("anyone", KEY)
    issued = flight.FlightCallOptions(headers=[(name, token)])
    for options in (header, bearer(KEY), basic("anyone", KEY), issued):
        assert fetch(client, info(client, options=options).endpoints[0].ticket, options).to_pylist() == ROWS


def test_a_token_is_good_for_as_long_as_the_key_that_it_was_given_for(start: Start) -> None:
    other = KEY[::-1]
    secret = {"secret": "s" * 40}
    both = flight.connect(start(access={"mode": "api_key", "api_keys": (KEY, other)}, flight=secret).flight_location)
    tokens = [flight.FlightCallOptions(headers=[both.authenticate_basic_token("me", key)]) for key in (KEY, other)]
    for options in tokens:
        assert info(both, options=options).endpoints
    one = flight.connect(start(access={"mode": "api_key", "api_keys": (other,)}, flight=secret).flight_location)
    assert info(one, options=tokens[1]).endpoints
    with pytest.raises(flight.FlightUnauthenticatedError, match="no longer accepted"):
        info(one, options=tokens[0])


class Seen(flight.ClientMiddlewareFactory):  # type: ignore[misc]
    """Sends a request id and keeps the headers of the answers."""

    def __init__(self, request_id: str | None) -> None:
        super().__init__()
        self.request_id, self.answers = request_id, []

    def start_call(self, info: Any) -> Any:
        factory = self

        class Call(flight.ClientMiddleware):  # type: ignore[misc]
            def sending_headers(self) -> dict[str, str]:
                return {} if factory.request_id is None else {"x-request-id": factory.request_id}

            def received_headers(self, headers: dict[str, list[str]]) -> None:
                factory.answers.append(headers.get("x-request-id"))

        return Call()


def test_a_call_is_answered_and_logged_with_its_request_id(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    engine = start()
    caplog.set_level("INFO", logger="sagitta.flight")
    for given in ("mine-42", None):
        seen = Seen(given)
        client = flight.connect(engine.flight_location, middleware=[seen])
        assert info(client).endpoints
        with pytest.raises(flight.FlightServerError):
            info(client, 'SELECT "Nope" FROM shop')
        ids = {answer[0] for answer in seen.answers if answer}
        assert ids == {"mine-42"} if given else len(ids) >= 1
        assert ids & {record.__dict__.get("request_id") for record in caplog.records}


def test_a_defect_is_told_with_the_id_of_its_call(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = start()
    client = flight.connect(engine.flight_location, middleware=[Seen("mine-43")])

    def broken(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(engine.models, "served", broken)
    with pytest.raises(flight.FlightInternalError) as caught:
        info(client)
    status = status_pb2.Status.FromString(caught.value.extra_info)
    told = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(told) for detail in status.details)
    assert told.metadata["request_id"] == "mine-43"


@pytest.mark.parametrize("mode", ["api_key", "jwt"])
def test_a_token_of_a_server_that_asked_nobody_opens_nothing_where_somebody_is_asked(start: Start, mode: str) -> None:
    secret = {"secret": "s" * 40}
    free = flight.connect(start(flight=secret).flight_location)
    options = flight.FlightCallOptions(headers=[free.authenticate_basic_token("alice", "")])
    assert info(free, options=options).endpoints
    access = {"mode": mode, "api_keys": (KEY,)} if mode == "api_key" else {"mode": mode}
    guarded = flight.connect(start(access=access, flight=secret).flight_location)
    with pytest.raises(flight.FlightUnauthenticatedError):
        info(guarded, options=options)


@pytest.mark.parametrize(
    "options", [None, bearer("wrong"), basic("me", "wrong"), bearer("sgt_00ff"), bearer("sgt_xyz")]
)
def test_without_a_valid_key_nothing_is_answered(start: Start, options: Any) -> None:
    client = flight.connect(start(access={"mode": "api_key", "api_keys": (KEY,)}).flight_location)
    with pytest.raises(flight.FlightUnauthenticatedError) as caught:
        info(client, options=options)
    assert "Traceback" not in str(caught.value)


def test_the_ticket_of_one_principal_is_refused_to_another(start: Start) -> None:
    secret = "s" * 40
    engine = start(access={"mode": "jwt"}, auth={"mode": "hs256", "secret": secret})
    from sagitta_server.auth import TokenIssuer

    issuer = TokenIssuer(secret)
    ann, bob = (bearer(issuer.issue(name, ())) for name in ("ann", "bob"))
    client = flight.connect(engine.flight_location)
    ticket = info(client, options=ann).endpoints[0].ticket
    assert fetch(client, ticket, ann).to_pylist() == ROWS
    with pytest.raises(flight.FlightUnauthorizedError, match="someone else"):
        fetch(client, ticket, bob)


# metadata


def test_patterns_types_and_optional_schemas_of_tables(client: Any) -> None:
    plain = command(client, fs.CommandGetTables(table_name_filter_pattern="mode_"))
    assert plain.num_columns == 4
    assert plain.column("table_name").to_pylist() == ["model"]
    typed = command(client, fs.CommandGetTables(table_types=["BASE TABLE"], include_schema=True))
    assert typed.column("table_name").to_pylist() == ["Customers", "Orders"]
    schema = pa.ipc.read_schema(pa.py_buffer(typed.column("table_schema")[0].as_py()))
    assert schema.field("Id").metadata[b"ARROW:FLIGHT:SQL:TYPE_NAME"] == b"BIGINT"
    assert not schema.field("Id").nullable
    assert command(client, fs.CommandGetTables(catalog="")).num_rows == 0
    assert command(client, fs.CommandGetTables(table_name_filter_pattern="\\_%")).num_rows == 3


def test_keys_of_the_model(client: Any) -> None:
    primary = command(client, fs.CommandGetPrimaryKeys(table="Orders")).to_pylist()
    assert [(row["column_name"], row["key_sequence"]) for row in primary] == [("Id", 1)]
    for message in (
        fs.CommandGetImportedKeys(table="Orders"),
        fs.CommandGetExportedKeys(table="Customers"),
        fs.CommandGetCrossReference(pk_table="Customers", fk_table="Orders"),
    ):
        (row,) = command(client, message).to_pylist()
        assert (row["pk_column_name"], row["fk_column_name"]) == ("Id", "Cust")


def test_sql_info_answers_every_id_or_the_wanted_ones(client: Any) -> None:
    every = command(client, fs.CommandGetSqlInfo())
    ids = set(every.column("info_name").to_pylist())
    assert set(range(12)) | {100, 101} | set(range(500, 577)) == ids
    named = command(client, fs.CommandGetSqlInfo(info=[0, 3, 504]))
    assert [value.as_py() for value in named.column("value")] == ["Sagitta", True, '"']


def test_type_info_is_ordered_and_filtered(client: Any) -> None:
    codes = command(client, fs.CommandGetXdbcTypeInfo()).column("data_type").to_pylist()
    assert codes == sorted(codes)
    assert set(command(client, fs.CommandGetXdbcTypeInfo(data_type=12)).column("type_name").to_pylist()) == {"VARCHAR"}


# actions


def test_session_options_are_set_read_and_forgotten(client: Any) -> None:
    request = fl.SetSessionOptionsRequest()
    request.session_options["row_limit"].int64_value = 1
    request.session_options["nonsense"].string_value = "x"
    request.session_options["schema"].string_value = "nowhere"
    (body,) = act(client, "SetSessionOptions", request, wrapped=False)
    errors = fl.SetSessionOptionsResult.FromString(body).errors
    assert errors["nonsense"].value == fl.SetSessionOptionsResult.INVALID_NAME
    assert errors["schema"].value == fl.SetSessionOptionsResult.INVALID_VALUE
    assert len(errors) == 2
    assert fetch(client, info(client).endpoints[0].ticket).num_rows == 1
    (body,) = act(client, "GetSessionOptions", fl.GetSessionOptionsRequest(), wrapped=False)
    assert fl.GetSessionOptionsResult.FromString(body).session_options["row_limit"].int64_value == 1
    act(client, "CloseSession", fl.CloseSessionRequest(), wrapped=False)
    assert fetch(client, info(client).endpoints[0].ticket).num_rows == 2


def test_transactions_and_substrait_are_refused_clearly(client: Any) -> None:
    with pytest.raises(flight.FlightServerError, match="Transactions are not supported"):
        act(client, "BeginTransaction", fs.ActionBeginTransactionRequest())
    descriptor = flight.FlightDescriptor.for_command(pack(fs.CommandStatementSubstraitPlan()))
    with pytest.raises(flight.FlightServerError, match="Substrait"):
        client.get_flight_info(descriptor)


def test_polling_is_unimplemented(engine: Any) -> None:
    """pyarrow's server has no hook for it; should it get one, this test says so."""
    with grpc.insecure_channel(engine.flight_location.removeprefix("grpc://")) as channel:
        poll = channel.unary_unary("/arrow.flight.protocol.FlightService/PollFlightInfo")
        with pytest.raises(grpc.RpcError) as caught:
            poll(fl.FlightDescriptor(type=fl.FlightDescriptor.CMD, cmd=SQL.encode()).SerializeToString())
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_closing_an_unknown_prepared_statement_is_no_error(client: Any) -> None:
    assert (
        act(client, "ClosePreparedStatement", fs.ActionClosePreparedStatementRequest(prepared_statement_handle=b"x"))
        == []
    )


def test_a_cancelled_query_is_not_run_any_more(client: Any) -> None:
    found = info(client)
    message = fl.FlightInfo.FromString(found.serialize())
    (body,) = act(client, "CancelFlightInfo", fl.CancelFlightInfoRequest(info=message), wrapped=False)
    assert fl.CancelFlightInfoResult.FromString(body).status == fl.CANCEL_STATUS_CANCELLED
    with pytest.raises(flight.FlightCancelledError):
        fetch(client, found.endpoints[0].ticket)
    assert fetch(client, info(client).endpoints[0].ticket).to_pylist() == ROWS


def test_the_older_cancel_action_cancels_too(client: Any) -> None:
    found = info(client)
    (body,) = act(client, "CancelQuery", fs.ActionCancelQueryRequest(info=found.serialize()))
    result = fs.ActionCancelQueryResult()
    unpack(body, result)
    assert result.result == fs.ActionCancelQueryResult.CANCEL_RESULT_CANCELLED
    with pytest.raises(flight.FlightCancelledError):
        fetch(client, found.endpoints[0].ticket)


def test_every_listed_action_exists(client: Any) -> None:
    assert {action.type for action in client.list_actions()} >= {"CreatePreparedStatement", "CancelFlightInfo"}


# failures


@pytest.mark.parametrize(
    "call",
    [
        lambda c: info(c, "SELECT nope FROM shop"),
        lambda c: c.get_flight_info(flight.FlightDescriptor.for_path("x")),
        lambda c: c.get_flight_info(flight.FlightDescriptor.for_command(b"\xff\xff")),
        lambda c: fetch(c, flight.Ticket(b"\x00")),
        lambda c: act(c, "Nonsense", fl.CloseSessionRequest()),
        lambda c: list(c.do_action(flight.Action("CreatePreparedStatement", b"\xff\xff\xff"))),
        lambda c: c.do_exchange(flight.FlightDescriptor.for_command(b"x"))[1].read_all(),
    ],
)
def test_no_failure_shows_a_traceback(client: Any, call: Any) -> None:
    with pytest.raises(flight.FlightError) as caught:
        call(client)
    assert "Traceback" not in str(caught.value)
    assert "sagitta_server" not in str(caught.value)


def test_get_schema_shows_no_path(client: Any) -> None:
    descriptor = flight.FlightDescriptor.for_command(pack(fs.CommandStatementQuery(query="SELECT nope FROM shop")))
    with pytest.raises(pa.ArrowException) as caught:
        client.get_schema(descriptor)
    assert "UNKNOWN_SELECT_ITEM" in str(caught.value)
    assert "sagitta_server" not in str(caught.value)


def test_a_busy_warehouse_is_resource_exhausted(start: Start) -> None:
    engine = start(source={"pool_size": 1, "queue_size": 0})
    client = flight.connect(engine.flight_location)
    source = next(iter(engine.sources.values()))
    held = source.execute("SELECT 1 AS one")
    try:
        with pytest.raises(flight.FlightServerError, match="RESOURCE_EXHAUSTED"):
            fetch(client, info(client).endpoints[0].ticket)
    finally:
        held.close()
    assert fetch(client, info(client).endpoints[0].ticket).to_pylist() == ROWS


def test_stopping_ends_running_streams(start: Start) -> None:
    engine = start()
    client = flight.connect(engine.flight_location)
    sql = (
        'SELECT a."Id" AS x, b."Id" AS y, c."Id" AS z FROM shop."Orders" a '
        'JOIN shop."Orders" b ON 1 = 1 JOIN shop."Orders" c ON 1 = 1'
    )
    reader = client.do_get(info(client, sql).endpoints[0].ticket)
    reader.read_chunk()
    started = time.monotonic()
    engine.stop()
    assert time.monotonic() - started < 30, "nobody reads the stream: without an end from here it has none"
    with pytest.raises(pa.ArrowException):
        reader.read_all()
