"""The boundary of the Flight surface: every failure becomes a Flight error without a traceback.

pyarrow shows a client the Python traceback of anything but a `FlightError`, and only those carry `extra_info`, which
travels as `grpc-status-details-bin`. The code inside must be the gRPC code of the error's class, and there is none for
INVALID_ARGUMENT or NOT_FOUND: a user's mistake is UNKNOWN on the wire, with its reason in `ErrorInfo`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from google.rpc import code_pb2
from pyarrow import flight
from sagitta_compiler import CompileError

from sagitta_server.errors import is_defect, to_status

log = logging.getLogger("sagitta.flight")

_P = ParamSpec("_P")
_R = TypeVar("_R")
_SHOWN_AS = "<sagitta>"
"""The file of the wrapper's frame: GetSchema alone shows a traceback even of a `FlightError`."""
MAX_MESSAGE = 2_000
"""Characters of a message: it travels in a header."""

_CLASSES: dict[int, type[Exception]] = {
    code_pb2.UNAUTHENTICATED: flight.FlightUnauthenticatedError,
    code_pb2.PERMISSION_DENIED: flight.FlightUnauthorizedError,
    code_pb2.UNAVAILABLE: flight.FlightUnavailableError,
    code_pb2.DEADLINE_EXCEEDED: flight.FlightTimedOutError,
    code_pb2.CANCELLED: flight.FlightCancelledError,
    code_pb2.INTERNAL: flight.FlightInternalError,
}
_HAVE_NO_CLASS = flight.FlightServerError


class Server(Protocol):
    """A server whose calls have ids."""

    def request_id(self, context: Any) -> str:
        """The id of a call, as its headers tell it."""
        ...


_S = TypeVar("_S", bound=Server)


def flight_error(error: Exception, request_id: str) -> Exception:
    """Returns the Flight error that tells the client of a call about an exception."""
    told: Exception
    if isinstance(error, flight.FlightError):
        told = error
        return told
    if is_defect(error):
        log.error("a call failed", exc_info=error, extra={"request_id": request_id})
    status = to_status(error, request_id)
    kind: Any = _CLASSES.get(status.code, _HAVE_NO_CLASS)
    message = _message(_explained(error) or status.message, status.code, kind)
    status.message = message
    status.code = status.code if kind is not _HAVE_NO_CLASS else code_pb2.UNKNOWN
    told = kind(message, extra_info=status.SerializeToString())
    return told


def _explained(error: Exception) -> str | None:
    """The mistakes of a statement as a person reads them: code, message and hint, a line each."""
    if not isinstance(error, CompileError):
        return None
    lines = [f"[{d.code}] {d.message}" + (f" {d.hint}" if d.hint else "") for d in error.diagnostics if d.is_error]
    return "\n".join(lines)


def _message(text: str, code: int, kind: Any) -> str:
    name = "" if kind is not _HAVE_NO_CLASS else f"{code_pb2.Code.Name(code)}: "
    return (name + text)[:MAX_MESSAGE]


def guarded(method: Callable[Concatenate[_S, Any, _P], _R]) -> Callable[Concatenate[_S, Any, _P], _R]:
    """Wraps a method of the server that takes the context of its call."""

    @functools.wraps(method)
    def call(server: _S, context: Any, /, *arguments: _P.args, **named: _P.kwargs) -> _R:
        try:
            return method(server, context, *arguments, **named)
        except Exception as error:  # noqa: BLE001 - the boundary: every failure becomes a Flight error
            told = flight_error(error, server.request_id(context))
        raise told from None

    function: Any = call
    function.__code__ = function.__code__.replace(co_filename=_SHOWN_AS)
    return call
