"""The actions of Flight and Flight SQL."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from sagitta.flight.sql import Flight_pb2 as fl
from sagitta.flight.sql import FlightSql_pb2 as fs
from sagitta.flight.v1 import ticket_pb2 as pb
from sagitta_compiler.query.semantic_sql import Acknowledgement

from sagitta_server.errors import Reason, ServiceError
from sagitta_server.flight.commands import pack, read_body, read_command
from sagitta_server.flight.parameters import parameter_schema
from sagitta_server.flight.sessions import (
    OPTIONS,
    InvalidOptionError,
    SessionContext,
    option_message,
    option_value,
    with_option,
)

if TYPE_CHECKING:
    from sagitta_server.flight.service import FlightSqlServer

ACTIONS: Mapping[str, str] = {
    "CreatePreparedStatement": "Prepares a statement; the handle holds all of it.",
    "ClosePreparedStatement": "Forgets what is bound to a prepared statement.",
    "CancelFlightInfo": "Cancels a query by its FlightInfo.",
    "CancelQuery": "Cancels a query by its FlightInfo (the older action).",
    "RenewFlightEndpoint": "Extends the time of an endpoint's ticket.",
    "SetSessionOptions": "Sets options for the statements that follow: catalog, schema, time_zone, row_limit, "
    "partitions, statement_timeout.",
    "GetSessionOptions": "Returns the options of the session.",
    "CloseSession": "Forgets the options of the session.",
}
_UNSUPPORTED: Mapping[str, str] = {
    "BeginTransaction": "Transactions are not supported: models are read-only.",
    "EndTransaction": "Transactions are not supported: models are read-only.",
    "BeginSavepoint": "Savepoints are not supported: models are read-only.",
    "EndSavepoint": "Savepoints are not supported: models are read-only.",
    "CreatePreparedSubstraitPlan": "Substrait plans are not served; send SQL.",
}
MAX_BOUND = 10_000


class Actions:
    """Answers actions; the only state is what clients bound to handles that they do not renew."""

    def __init__(self, server: FlightSqlServer) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._bound: OrderedDict[bytes, bytes] = OrderedDict()

    def run(self, context: Any, name: str, body: bytes) -> list[bytes]:
        """Runs an action; returns its results.

        Raises:
            ServiceError: there is no such action, or it is refused.
        """
        match name:
            case "CreatePreparedStatement":
                return [self._prepare(context, read_body(body, fs.ActionCreatePreparedStatementRequest))]
            case "ClosePreparedStatement":
                return self._close_prepared(context, read_body(body, fs.ActionClosePreparedStatementRequest))
            case "CancelFlightInfo":
                status = self._cancel(context, read_body(body, fl.CancelFlightInfoRequest).info)
                return [fl.CancelFlightInfoResult(status=status).SerializeToString()]
            case "CancelQuery":
                return [self._cancel_query(context, read_body(body, fs.ActionCancelQueryRequest))]
            case "RenewFlightEndpoint":
                return [self._renew(context, read_body(body, fl.RenewFlightEndpointRequest).endpoint)]
            case "SetSessionOptions":
                return [self._set_options(context, read_body(body, fl.SetSessionOptionsRequest))]
            case "GetSessionOptions":
                return [self._get_options(context)]
            case "CloseSession":
                self._server.close_session(context)
                return [fl.CloseSessionResult(status=fl.CloseSessionResult.CLOSED).SerializeToString()]
            case _:
                message = _UNSUPPORTED.get(name, f"There is no action {name[:100]!r}.")
                raise ServiceError(Reason.INVALID_REQUEST, message, metadata={"action": name[:100]})

    # prepared statements

    def _prepare(self, context: Any, request: fs.ActionCreatePreparedStatementRequest) -> bytes:
        statement = self._server.new_statement(context, request.query)
        plan = self._server.prepare(context, statement)
        prepared = pb.PreparedStatement(
            principal=self._server.caller(context).principal,
            expires_at=int(self._server.signer.now()) + self._server.settings.prepared_seconds,
            handle_id=secrets.token_bytes(16),
            statement=statement,
        )
        result = fs.ActionCreatePreparedStatementResult(prepared_statement_handle=self._server.signer.sign(prepared))
        if isinstance(plan.translation, Acknowledgement):
            result.is_update = True
        else:
            result.is_update = False
            result.dataset_schema = plan.schema.serialize().to_pybytes()
            result.parameter_schema = parameter_schema(plan.parameters).serialize().to_pybytes()
        return pack(result)

    def bind(self, context: Any, handle: bytes, values: bytes) -> bytes:
        """Binds values to a prepared statement; returns the handle that holds them."""
        prepared = self._server.signer.prepared(handle, self._server.caller(context).principal)
        with self._lock:
            self._bound[prepared.handle_id] = values
            self._bound.move_to_end(prepared.handle_id)
            while len(self._bound) > MAX_BOUND:
                self._bound.popitem(last=False)
        prepared.statement.parameters = values
        return self._server.signer.sign(prepared)

    def bound(self, handle_id: bytes) -> bytes | None:
        """Returns what was bound to a handle here."""
        with self._lock:
            return self._bound.get(handle_id)

    def _close_prepared(self, context: Any, request: fs.ActionClosePreparedStatementRequest) -> list[bytes]:
        try:
            prepared = self._server.signer.prepared(
                request.prepared_statement_handle, self._server.caller(context).principal
            )
        except ServiceError:
            return []  # a handle that is unknown or expired is closed already
        with self._lock:
            self._bound.pop(prepared.handle_id, None)
        return []

    # cancelling and renewing

    def _cancel(self, context: Any, info: fl.FlightInfo) -> fl.CancelStatus.ValueType:
        found = {self._ticket(context, endpoint).query_id for endpoint in info.endpoint}
        if not found:
            raise ServiceError(Reason.INVALID_REQUEST, "The FlightInfo has no endpoint to cancel.")
        for query_id in found:
            self._server.running.cancel(query_id)
        return fl.CANCEL_STATUS_CANCELLED

    def _cancel_query(self, context: Any, request: fs.ActionCancelQueryRequest) -> bytes:
        try:
            info = fl.FlightInfo.FromString(request.info)
        except DecodeError as error:
            raise ServiceError(Reason.INVALID_REQUEST, "The FlightInfo is malformed.") from error
        self._cancel(context, info)
        return pack(fs.ActionCancelQueryResult(result=fs.ActionCancelQueryResult.CANCEL_RESULT_CANCELLED))

    def _ticket(self, context: Any, endpoint: fl.FlightEndpoint) -> pb.Ticket:
        command = read_command(endpoint.ticket.ticket)
        if not isinstance(command, fs.TicketStatementQuery):
            raise ServiceError(Reason.INVALID_REQUEST, "Only the tickets of queries can be cancelled or renewed.")
        return self._server.signer.ticket(command.statement_handle, self._server.caller(context).principal)

    def _renew(self, context: Any, endpoint: fl.FlightEndpoint) -> bytes:
        ticket = self._ticket(context, endpoint)
        self._server.renewed(ticket)
        renewed = fl.FlightEndpoint()
        renewed.CopyFrom(endpoint)
        renewed.ticket.ticket = pack(fs.TicketStatementQuery(statement_handle=self._server.signer.sign(ticket)))
        renewed.expiration_time.CopyFrom(Timestamp(seconds=ticket.expires_at))
        return renewed.SerializeToString()

    # sessions

    def _set_options(self, context: Any, request: fl.SetSessionOptionsRequest) -> bytes:
        options, result = self._server.session_options(context), fl.SetSessionOptionsResult()
        for name, message in sorted(request.session_options.items()):
            if name.lower() not in OPTIONS:
                result.errors[name].value = fl.SetSessionOptionsResult.INVALID_NAME
                continue
            value = option_value(message)
            try:
                default = getattr(SessionContext(), OPTIONS[name.lower()])
                changed = with_option(options, name, default if value is None else value)
                self._server.models(context).catalog(changed)
                options = changed
            except (InvalidOptionError, ServiceError):
                result.errors[name].value = fl.SetSessionOptionsResult.INVALID_VALUE
        self._server.keep_session_options(context, options)
        return result.SerializeToString()

    def _get_options(self, context: Any) -> bytes:
        options = self._server.session_context(context)
        models = self._server.models(context)
        shown: dict[str, Any] = {
            "catalog": models.catalog_name,
            "schema": models.catalog(options).default_schema or "",
            "time_zone": options.time_zone,
            "row_limit": options.row_limit,
            "partitions": options.partitions,
            "statement_timeout": options.statement_timeout_seconds,
        }
        result = fl.GetSessionOptionsResult()
        for name, value in shown.items():
            result.session_options[name].CopyFrom(option_message(value))
        return result.SerializeToString()

    def acknowledge(self, context: Any, statement: Acknowledgement) -> None:
        """Remembers what SET and USE say for the session."""
        options = self._server.session_options(context)
        if statement.use_schema is not None:
            options = with_option(options, "schema", statement.use_schema)
        for name, value in statement.settings:
            if name in OPTIONS:
                options = self._set_by_sql(options, name, value)
        self._server.keep_session_options(context, options)

    @staticmethod
    def _set_by_sql(options: SessionContext, name: str, value: str) -> SessionContext:
        try:
            return with_option(options, name, value)
        except InvalidOptionError as error:
            raise ServiceError(Reason.INVALID_REQUEST, f"{value!r} does not fit the option {name}.") from error
