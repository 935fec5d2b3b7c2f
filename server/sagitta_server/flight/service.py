"""The Flight SQL server: each method reads a command and answers it, nothing else."""

from __future__ import annotations

import datetime as dt
import itertools
import secrets
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
from google.protobuf.message import Message
from pyarrow import flight
from sagitta.flight.sql import FlightSql_pb2 as fs
from sagitta.flight.v1 import ticket_pb2 as pb
from sagitta_compiler.query.semantic_sql import Acknowledgement, SqlCatalog

from sagitta_server.errors import Reason, ServiceError
from sagitta_server.execution import CancelToken, ResultStream, batches_of
from sagitta_server.flight.access import CLOSED_COOKIE, MIDDLEWARE, Caller, session_cookie
from sagitta_server.flight.actions import ACTIONS, Actions
from sagitta_server.flight.catalog import metadata, metadata_schema
from sagitta_server.flight.commands import pack, read_command
from sagitta_server.flight.errors import flight_error, guarded
from sagitta_server.flight.executions import one_after_another
from sagitta_server.flight.parameters import Row, read_rows, write_rows
from sagitta_server.flight.running import Running, Watches
from sagitta_server.flight.sessions import SessionContext, Sessions, with_headers
from sagitta_server.flight.settings import FlightSettings
from sagitta_server.flight.snapshots import Snapshots
from sagitta_server.flight.statements import Asked, Models, Plan, Statements
from sagitta_server.flight.tickets import Signer
from sagitta_server.reviews.run_rows import RunRows
from sagitta_server.reviews.run_tickets import is_run_ticket

if TYPE_CHECKING:
    from sagitta_server.models import ModelStore

SMALL_ROWS = 2048
"""A first batch with fewer rows is most likely the only one: then the whole result is sent without a generator."""
COUNT_HEADER = "x-sagitta-count-rows"
"""Any value asks GetFlightInfo for the number of rows, which costs a statement."""
READ_ONLY = ServiceError(Reason.INVALID_REQUEST, "Models are read-only; nothing can be written through Flight SQL.")


class FlightSqlServer(flight.FlightServerBase):  # type: ignore[misc]
    """Serves models over Flight SQL."""

    def __init__(
        self,
        location: str,
        settings: FlightSettings,
        models: ModelStore,
        statements: Statements,
        signer: Signer,
        *,
        run_rows: RunRows | None = None,
        **options: Any,
    ) -> None:
        self._settings = settings
        self._models = models
        self._statements = statements
        self._signer = signer
        self._run_rows = run_rows
        self._sessions = Sessions(settings.session_seconds, settings.max_sessions)
        self.running = Running()
        self.snapshots = Snapshots(settings.snapshot_seconds, settings.max_snapshots)
        self._watches = Watches()
        self._seen: Models | None = None
        """What the caller before saw: most calls come from somebody who asks again."""
        self._actions = Actions(self)
        super().__init__(location, **options)

    # what the actions share

    @property
    def settings(self) -> FlightSettings:
        return self._settings

    @property
    def signer(self) -> Signer:
        return self._signer

    def models(self, context: Any) -> Models:
        """Returns the models that are served now, as the caller may see them."""
        served, identity = self._models.served(), self.caller(context).identity
        known = self._seen
        if known is None or known.served is not served or known.caller != identity:
            known = self._seen = Models(self._settings.catalog_name, served, identity)
        return known

    def caller(self, context: Any) -> Caller:
        """Returns what the middleware knows of a call."""
        caller: Caller = context.get_middleware(MIDDLEWARE)
        return caller

    def request_id(self, context: Any) -> str:
        """The id of a call, as its headers tell it."""
        return self.caller(context).request_id

    def session_options(self, context: Any) -> SessionContext:
        """Returns the options of a call's session: of its cookie, or of its connection where there is no cookie."""
        session = self.caller(context).session
        if session is not None:
            return SessionContext.from_message(session.context)
        return self._sessions.get(self._connection(context))

    def keep_session_options(self, context: Any, options: SessionContext) -> None:
        """Remembers the options: in a cookie that any replica reads, and for the connection of a client without."""
        caller = self.caller(context)
        session = pb.Session(principal=caller.principal, context=options.to_message())
        context.add_header("set-cookie", session_cookie(self._signer, session, self._settings.session_seconds))
        if self._settings.connection_sessions:
            self._sessions.put(self._connection(context), options)

    def close_session(self, context: Any) -> None:
        """Forgets the options of a call's session."""
        context.add_header("set-cookie", CLOSED_COOKIE)
        self._sessions.close(self._connection(context))

    def session_context(self, context: Any) -> SessionContext:
        """Returns the options for a call: those of its session, then those of its headers."""
        return with_headers(self.session_options(context), self.caller(context).headers)

    def _connection(self, context: Any) -> str:
        peer = context.peer()
        return f"{peer.decode() if isinstance(peer, bytes) else peer}:{self.caller(context).principal}"

    def prepare(self, context: Any, statement: pb.Statement) -> Plan:
        """Returns the plan of a statement whose parameters are not bound yet."""
        return self._plan(context, statement, None)

    def plans(self, context: Any, statement: pb.Statement) -> tuple[Plan, ...]:
        """Returns the plans of a statement as it travels in tickets and handles, one for each row of parameters."""
        return tuple(self._plan(context, statement, values) for values in read_rows(statement.parameters))

    def _plan(self, context: Any, statement: pb.Statement, values: Row | None) -> Plan:
        now = dt.datetime.fromtimestamp(statement.now_micros / 1_000_000, dt.UTC)
        asked = Asked(statement.sql, values, SessionContext.from_message(statement.context), now)
        return self._statements.plan(asked, self.models(context))

    def new_statement(self, context: Any, sql: str) -> pb.Statement:
        """Returns a statement as it travels, with the options of the call."""
        return pb.Statement(
            sql=sql,
            context=self.session_context(context).to_message(),
            now_micros=int(self._signer.now() * 1_000_000),
        )

    # methods of the protocol

    @guarded
    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        command = _command(descriptor)
        schema = metadata_schema(command)
        if schema is not None:
            return _info(schema, descriptor, [flight.FlightEndpoint(descriptor.command, [])])
        return self._statement_info(context, descriptor, self._statement(context, command))

    @guarded
    def get_schema(self, context: Any, descriptor: Any) -> Any:
        command = _command(descriptor)
        schema = metadata_schema(command)
        return flight.SchemaResult(schema or self._promised(context, self._statement(context, command))[0].schema)

    def _promised(self, context: Any, statement: pb.Statement) -> tuple[Plan, tuple[Plan, ...]]:
        """Returns the plan that tells the schema, and those that will run."""
        plans = self.plans(context, statement)
        return (plans[0] if plans else self.prepare(context, statement)), plans

    def _statement(self, context: Any, command: Message) -> pb.Statement:
        """Returns the statement that a command asks to run."""
        match command:
            case fs.CommandStatementQuery():
                return self.new_statement(context, command.query)
            case fs.CommandPreparedStatementQuery():
                return self._prepared(context, command.prepared_statement_handle)
            case fs.CommandStatementSubstraitPlan():
                raise ServiceError(
                    Reason.INVALID_REQUEST,
                    "Substrait plans are not served: a plan names tables and joins, a model has labels. Send SQL.",
                )
            case _:
                raise ServiceError(Reason.INVALID_REQUEST, f"{type(command).__name__} gives no rows.")

    def _prepared(self, context: Any, handle: bytes) -> pb.Statement:
        """Returns the statement of a handle; values bound under a handle that a client did not renew count too."""
        prepared = self._signer.prepared(handle, self.caller(context).principal)
        statement = prepared.statement
        if not statement.parameters and (bound := self._actions.bound(prepared.handle_id)) is not None:
            statement.parameters = bound
        statement.now_micros = int(self._signer.now() * 1_000_000)
        return statement

    def _statement_info(self, context: Any, descriptor: Any, statement: pb.Statement) -> Any:
        plan, executions = self._promised(context, statement)
        if isinstance(plan.translation, Acknowledgement):
            self._actions.acknowledge(context, plan.translation)
        statement.model_version = plan.version
        caller = self.caller(context)
        parts = self._partitions(plan, statement) if len(executions) == 1 else []
        expires = int(self._signer.now()) + self._seconds(parts)
        ticket = pb.Ticket(
            principal=caller.principal,
            expires_at=expires,
            query_id=secrets.token_bytes(16),
            statement=statement,
            schema=plan.schema.serialize().to_pybytes(),
        )
        endpoints = [
            flight.FlightEndpoint(
                pack(fs.TicketStatementQuery(statement_handle=self._signer.sign(part))),
                [],
                pa.scalar(expires * 1_000_000_000, pa.timestamp("ns", "UTC")),
            )
            for part in _tickets(ticket, parts)
        ]
        rows = self._rows(context, plan, parts) if len(executions) == 1 else -1
        return _info(plan.schema, descriptor, endpoints, rows=rows, notes=_notes(plan, parts))

    def _partitions(self, plan: Plan, statement: pb.Statement) -> list[pb.Partition]:
        count = min(statement.context.partitions, self._settings.max_partitions)
        return self._statements.partitions(plan, count, self.snapshots) if count else []

    def _rows(self, context: Any, plan: Plan, parts: list[pb.Partition]) -> int:
        """How many rows there are, for a client that asks for the number; -1 tells that nobody counted."""
        if not self.caller(context).headers.get(COUNT_HEADER):
            return -1
        token = self._statements.token(self.session_context(context))
        self._watches.add(context, token)
        try:
            return self._statements.count(plan, parts, token)
        finally:
            self._watches.remove(token)
            token.finish()

    def _seconds(self, parts: list[pb.Partition]) -> int:
        """How long tickets are good for: those of a snapshot as long as it is held."""
        held = bool(parts) and parts[0].HasField("snapshot")
        seconds = self._settings.ticket_seconds
        return min(seconds, self._settings.snapshot_seconds) if held else seconds

    def renewed(self, ticket: pb.Ticket) -> None:
        """Gives a ticket more time, and the snapshot that it needs."""
        ticket.expires_at = int(self._signer.now()) + self._seconds([ticket.partition])
        self.snapshots.renew(ticket.partition.snapshot.name)

    @guarded
    def do_get(self, context: Any, ticket: Any) -> Any:
        if self._run_rows is not None and is_run_ticket(ticket.ticket):
            return self._review_rows(self._run_rows, self.caller(context), ticket.ticket)
        command = read_command(ticket.ticket)
        caller = self.caller(context)
        if metadata_schema(command) is not None:
            rows = metadata(command, self._catalog(context))
            return flight.RecordBatchStream(rows)
        found = self._ticket(context, command)
        token = self._statements.token(SessionContext.from_message(found.statement.context))
        self._accompany(caller, context, found.query_id, token)
        stream = self._run(context, found, token)
        caller.at_end(stream.close)
        if found.partition.HasField("snapshot"):
            part = found.partition
            caller.at_success(lambda: self.snapshots.read(part.snapshot.name, part.index))
        return _data_stream(stream, caller.request_id)

    def _review_rows(self, run_rows: RunRows, caller: Caller, ticket: bytes) -> Any:
        """The rows of a review's run; they need the bearer to whom the ticket was given, in every mode."""
        rows = run_rows.by_ticket(ticket, next(iter(caller.headers.get("authorization") or ()), None))
        caller.at_end(rows.close)
        return flight.GeneratorStream(rows.schema, _told(rows, caller.request_id))

    def _catalog(self, context: Any) -> SqlCatalog:
        models = self.models(context)
        return SqlCatalog(models.catalog_name, {name: handle.model for name, handle in models.handles.items()})

    def _ticket(self, context: Any, command: Message) -> pb.Ticket:
        """Returns the ticket to run: a signed one, or one made now for clients that skip GetFlightInfo."""
        if isinstance(command, fs.TicketStatementQuery):
            return self._signer.ticket(command.statement_handle, self.caller(context).principal)
        return pb.Ticket(query_id=secrets.token_bytes(16), statement=self._statement(context, command))

    def _accompany(self, caller: Caller, context: Any, query_id: bytes, token: CancelToken) -> None:
        """Ties a statement to its call: the client's going, a cancelled query and the call's end reach it."""
        self.running.add(query_id, token)
        self._watches.add(context, token)
        caller.at_end(token.finish)
        caller.at_end(lambda: self.running.remove(query_id, token))
        caller.at_end(lambda: self._watches.remove(token))

    def _run(self, context: Any, ticket: pb.Ticket, token: CancelToken) -> ResultStream:
        plan, executions = self._promised(context, ticket.statement)
        if ticket.schema and plan.version != ticket.statement.model_version:
            promised = pa.ipc.read_schema(pa.py_buffer(ticket.schema))
            if not plan.schema.equals(promised):
                raise ServiceError(
                    Reason.INVALID_REQUEST, "The model has changed since the ticket was made; ask again."
                )
        if ticket.HasField("partition") and plan.compiled is not None:
            return self._statements.run_part(plan, ticket.partition, token)
        if len(executions) != 1:
            return one_after_another(executions, plan.schema, self._statements.run, token)
        return self._statements.run(plan, token)

    @guarded
    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        command = _command(descriptor)
        match command:
            case fs.CommandPreparedStatementQuery():
                handle = self._actions.bind(
                    context, command.prepared_statement_handle, write_rows(reader, self._settings.max_parameter_rows)
                )
                result = fs.DoPutPreparedStatementResult(prepared_statement_handle=handle)
                writer.write(pa.py_buffer(result.SerializeToString()))
            case fs.CommandStatementUpdate():
                self._update(context, self.new_statement(context, command.query), writer)
            case fs.CommandPreparedStatementUpdate():
                self._update(context, self._prepared(context, command.prepared_statement_handle), writer)
            case _:
                raise READ_ONLY

    def _update(self, context: Any, statement: pb.Statement, writer: Any) -> None:
        """SET, USE, BEGIN and the like change no rows; anything else is no update."""
        plan = self.prepare(context, statement)
        if not isinstance(plan.translation, Acknowledgement):
            raise ServiceError(Reason.INVALID_REQUEST, "This is a query; execute it as one.")
        self._actions.acknowledge(context, plan.translation)
        writer.write(pa.py_buffer(fs.DoPutUpdateResult(record_count=0).SerializeToString()))

    @guarded
    def do_action(self, context: Any, action: Any) -> list[bytes]:
        return self._actions.run(context, action.type, action.body.to_pybytes() if action.body else b"")

    @guarded
    def list_actions(self, context: Any) -> list[tuple[str, str]]:
        return list(ACTIONS.items())

    @guarded
    def list_flights(self, context: Any, criteria: bytes) -> Iterator[Any]:
        """Flight SQL lists tables by GetTables; there are no other flights."""
        return iter(())

    @guarded
    def do_exchange(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> None:
        raise ServiceError(Reason.INVALID_REQUEST, "DoExchange is not part of Flight SQL.")


def _command(descriptor: Any) -> Message:
    if descriptor.descriptor_type != flight.DescriptorType.CMD:
        raise ServiceError(Reason.INVALID_REQUEST, "Send a command; flights have no paths here.")
    return read_command(descriptor.command)


def _info(schema: Any, descriptor: Any, endpoints: list[Any], *, rows: int = -1, notes: bytes = b"") -> Any:
    return flight.FlightInfo(schema, descriptor, endpoints, rows, -1, len(endpoints) == 1, notes)


def _tickets(ticket: pb.Ticket, parts: list[pb.Partition]) -> Iterator[pb.Ticket]:
    """Yields a ticket for each part, or the one for the whole."""
    if not parts:
        yield ticket
    for partition in parts:
        part = pb.Ticket()
        part.CopyFrom(ticket)
        part.partition.CopyFrom(partition)
        yield part


def _notes(plan: Plan, parts: list[pb.Partition]) -> bytes:
    """The warnings of a plan and the snapshot of its parts as JSON: a flight's `app_metadata`."""
    notes: dict[str, Any] = {}
    if plan.compiled is not None and plan.compiled.warnings:
        notes["warnings"] = [{"code": w.code, "message": w.message, "path": w.path} for w in plan.compiled.warnings]
    if parts and parts[0].HasField("snapshot"):
        notes["snapshot"] = parts[0].snapshot.content
    written: bytes = orjson.dumps(notes) if notes else b""
    return written


def _data_stream(stream: ResultStream, request_id: str) -> Any:
    """Hands native readers and small results over as they are; others run through a generator that tells failures."""
    if stream.native:
        return flight.RecordBatchStream(stream.reader)
    batches = batches_of(stream)
    first = list(itertools.islice(batches, 1))
    if not first or first[0].num_rows < SMALL_ROWS:
        first += itertools.islice(batches, 1)
        if len(first) < 2:
            stream.close()  # the connection is free again before the client has read a row
            return flight.RecordBatchStream(pa.Table.from_batches(first, stream.schema))
    return flight.GeneratorStream(stream.schema, _told(itertools.chain(first, batches), request_id))


def _told(batches: Iterable[Any], request_id: str) -> Iterator[Any]:
    try:
        yield from batches
    except Exception as error:  # noqa: BLE001 - the boundary: every failure becomes a Flight error
        told = flight_error(error, request_id)
    else:
        return
    raise told from None
