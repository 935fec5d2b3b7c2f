"""Flight SQL messages and the bytes that carry them."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from sagitta.flight.sql import FlightSql_pb2 as fs

from sagitta_server.errors import Reason, ServiceError

COMMANDS: dict[str, type[Message]] = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (
        fs.CommandGetSqlInfo,
        fs.CommandGetXdbcTypeInfo,
        fs.CommandGetCatalogs,
        fs.CommandGetDbSchemas,
        fs.CommandGetTables,
        fs.CommandGetTableTypes,
        fs.CommandGetPrimaryKeys,
        fs.CommandGetExportedKeys,
        fs.CommandGetImportedKeys,
        fs.CommandGetCrossReference,
        fs.CommandStatementQuery,
        fs.CommandStatementSubstraitPlan,
        fs.CommandPreparedStatementQuery,
        fs.CommandStatementUpdate,
        fs.CommandPreparedStatementUpdate,
        fs.CommandStatementIngest,
        fs.TicketStatementQuery,
    )
}
"""What a descriptor or a ticket may hold, by full name."""

_Message = TypeVar("_Message", bound=Message)


def read_command(body: bytes) -> Message:
    """Reads the command of a descriptor or of a ticket; plain text is taken as a query.

    Raises:
        ServiceError: the bytes are no Flight SQL command.
    """
    packed = AnyMessage()
    try:
        packed.ParseFromString(body)
        kind = COMMANDS.get(packed.type_url.rpartition("/")[2])
        if kind is not None:
            command = kind()
            command.ParseFromString(packed.value)
            return command
    except DecodeError:
        pass
    text = _plain_text(body)
    if text is not None:
        return fs.CommandStatementQuery(query=text)
    raise ServiceError(Reason.INVALID_REQUEST, f"This is not a Flight SQL command: {packed.type_url[:100] or 'bytes'}.")


def _plain_text(body: bytes) -> str | None:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if text[:1].isprintable() and any(c.isspace() for c in text) else None


def pack(message: Message) -> bytes:
    """Returns a message in its Any, as bytes."""
    packed = AnyMessage()
    packed.Pack(message)
    return packed.SerializeToString()


def read_body(body: bytes, kind: type[_Message]) -> _Message:
    """Reads the body of an action, wrapped in Any or, from simple clients, bare.

    Raises:
        ServiceError: it is neither.
    """
    message = kind()
    packed = AnyMessage()
    try:
        packed.ParseFromString(body)
        if packed.type_url.rpartition("/")[2] == kind.DESCRIPTOR.full_name:
            message.ParseFromString(packed.value)
            return message
    except DecodeError:
        pass
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise ServiceError(Reason.INVALID_REQUEST, f"The body of the action is no {kind.DESCRIPTOR.name}.") from error
    return message
