"""Session options: what a client set for the statements that follow, and what its headers say for one call."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

from sagitta.flight.sql import Flight_pb2 as fl
from sagitta.flight.v1 import ticket_pb2 as pb

from sagitta_server.errors import Reason, ServiceError

OptionValue = str | bool | int | float | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionContext:
    """The options that change what a statement means."""

    catalog: str = ""
    schema: str = ""
    """The model of unqualified names."""
    time_zone: str = ""
    row_limit: int = 0
    partitions: int = 0
    statement_timeout_seconds: float = 0.0

    def to_message(self) -> pb.SessionContext:
        """Returns the context as it travels in tickets."""
        return pb.SessionContext(**{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def from_message(cls, message: pb.SessionContext) -> SessionContext:
        """Reads the context of a ticket."""
        return cls(**{field.name: getattr(message, field.name) for field in fields(cls)})


OPTIONS: Mapping[str, str] = {
    "catalog": "catalog",
    "schema": "schema",
    "db_schema": "schema",
    "model": "schema",
    "database": "schema",
    "time_zone": "time_zone",
    "timezone": "time_zone",
    "row_limit": "row_limit",
    "partitions": "partitions",
    "statement_timeout": "statement_timeout_seconds",
    "statement_timeout_seconds": "statement_timeout_seconds",
}
"""Every spelling of an option."""

HEADERS: Mapping[str, str] = {
    "database": "schema",
    "x-sagitta-model": "schema",
    "x-obsl-model": "schema",
    "schema": "schema",
    "catalog": "catalog",
    "x-sagitta-time-zone": "time_zone",
    "x-sagitta-row-limit": "row_limit",
    "x-sagitta-partitions": "partitions",
    "x-sagitta-statement-timeout": "statement_timeout_seconds",
}
"""Headers that set an option for one call."""


class InvalidOptionError(Exception):
    """A value does not fit its option."""


def with_option(context: SessionContext, name: str, value: OptionValue) -> SessionContext:
    """Returns the context with one option changed.

    Raises:
        KeyError: there is no such option.
        InvalidOptionError: the value does not fit.
    """
    field = OPTIONS[name.lower()]
    return _with(context, field, value)


def _with(context: SessionContext, field: str, value: OptionValue) -> SessionContext:
    kind = type(getattr(context, field))
    if isinstance(value, tuple | bool):
        raise InvalidOptionError(field)
    try:
        fitting = kind(value)
    except ValueError as error:
        raise InvalidOptionError(field) from error
    if not isinstance(fitting, str) and not 0 <= fitting < 2**31:
        raise InvalidOptionError(field)
    return replace(context, **{field: fitting})


def with_headers(context: SessionContext, headers: Mapping[str, list[str]]) -> SessionContext:
    """Returns the context for one call.

    Raises:
        ServiceError: a header holds a value that does not fit.
    """
    for header, field in HEADERS.items():
        values = headers.get(header)
        if not values or not values[0]:
            continue
        try:
            context = _with(context, field, values[0])
        except InvalidOptionError as error:
            raise ServiceError(
                Reason.INVALID_REQUEST, f"The header {header} does not fit: {values[0]!r}.", metadata={"header": header}
            ) from error
    return context


class Sessions:
    """The options of clients that keep no cookies, by connection; forgotten when they were idle too long."""

    def __init__(self, idle_seconds: float, max_sessions: int, now: Callable[[], float] = time.monotonic) -> None:
        self._idle_seconds = idle_seconds
        self._max_sessions = max_sessions
        self._now = now
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, SessionContext]] = OrderedDict()

    def get(self, key: str) -> SessionContext:
        """Returns the options of a session."""
        with self._lock:
            found = self._known.pop(key, None)
            if found is None or self._now() - found[0] > self._idle_seconds:
                return SessionContext()
            self._known[key] = (self._now(), found[1])
            return found[1]

    def put(self, key: str, context: SessionContext) -> None:
        """Remembers the options of a session."""
        with self._lock:
            self._known[key] = (self._now(), context)
            self._known.move_to_end(key)
            while len(self._known) > self._max_sessions:
                self._known.popitem(last=False)

    def close(self, key: str) -> None:
        """Forgets a session."""
        with self._lock:
            self._known.pop(key, None)


def option_value(message: fl.SessionOptionValue) -> OptionValue | None:
    """Returns the value of an option message; None takes the option back."""
    kind = message.WhichOneof("option_value")
    if kind is None:
        return None
    if kind == "string_list_value":
        return tuple(message.string_list_value.values)
    value: OptionValue = getattr(message, kind)
    return value


def option_message(value: OptionValue) -> fl.SessionOptionValue:
    """Returns an option's value as a message."""
    match value:
        case bool():
            return fl.SessionOptionValue(bool_value=value)
        case int():
            return fl.SessionOptionValue(int64_value=value)
        case float():
            return fl.SessionOptionValue(double_value=value)
        case str():
            return fl.SessionOptionValue(string_value=value)
        case _:
            return fl.SessionOptionValue(string_list_value=fl.SessionOptionValue.StringListValue(values=list(value)))
