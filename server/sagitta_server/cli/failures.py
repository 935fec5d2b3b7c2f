"""Turns whatever went wrong into one clear line with a stable code; a traceback is for who asks for it."""

from __future__ import annotations

import os
import re
import sys
from types import ModuleType
from typing import Any

import click

TRACEBACK = "SAGITTA_TRACEBACK"
"""Set to anything, it lets exceptions through: for reports of our own bugs."""


class Failure(click.ClickException):
    """A failure with a stable code and perhaps a hint; ends the command with exit code 1."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.hint = hint

    def format_message(self) -> str:
        lines = [f"[{self.code}] {self.message}"]
        if self.hint:
            lines.append(f"  {self.hint}")
        return "\n".join(lines)


def failure(error: Exception) -> Exception:
    """Returns the failure that says what an exception means; imports nothing that is not already in use."""
    if os.environ.get(TRACEBACK):
        return error
    for explain in (from_diagnostics, from_start, from_engine, from_settings, from_rpc, from_adbc, from_system):
        if found := explain(error):
            return found
    return Failure(
        "INTERNAL", f"{type(error).__name__}: {first_line(error)}", f"This is a bug; {TRACEBACK}=1 shows where."
    )


def loaded(name: str) -> ModuleType | None:
    """Returns a module if something has imported it: otherwise its exceptions cannot have been raised."""
    return sys.modules.get(name)


def first_line(error: object) -> str:
    """Returns the first line of an exception's text, or its type's name."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def from_diagnostics(error: Exception) -> Failure | None:
    """A model or a query that cannot be compiled: every mistake on a line of its own."""
    module = loaded("sagitta_compiler.diagnostics")
    if module is None or not isinstance(error, module.CompileError):
        return None
    first, *others = [d for d in error.diagnostics if d.is_error]
    hints = [line for line in (first.hint, *(f"[{d.code}] {_placed(d)}" for d in others)) if line]
    return Failure(first.code, _placed(first), "\n  ".join(hints) or None)


def _placed(diagnostic: Any) -> str:
    return f"{diagnostic.message} ({diagnostic.path})" if diagnostic.path else str(diagnostic.message)


STARTING = {
    ("sagitta_server.app", "EngineStartError"): "CANNOT_START",
    ("sagitta_server.models.curated", "CuratedModelError"): "MODEL_INVALID",
    ("sagitta_server.config", "ConfigFileError"): "INVALID_SETTING",
    ("sagitta_server.reviews.superset.settings", "CredentialsError"): "INVALID_SETTING",
    ("sagitta_server.listening", "ListenError"): "ADDRESS_UNAVAILABLE",
    ("sagitta_server.state.database", "StateDatabaseError"): "STATE_UNAVAILABLE",
    ("sagitta_server.demo.tpch", "DemoError"): "DEMO_DATA",
}
"""What keeps a server from starting, by the exception that says so in words for people."""


def from_start(error: Exception) -> Failure | None:
    """A server that cannot start."""
    code = STARTING.get((type(error).__module__, type(error).__name__))
    return Failure(code, str(error)) if code else None


def from_engine(error: Exception) -> Failure | None:
    """Whatever the surfaces would answer with a reason: the same reason here."""
    if not type(error).__module__.startswith("sagitta_"):
        return None
    from sagitta_server.errors import as_service_error

    known = as_service_error(error)
    return Failure(str(known.reason), known.message) if known else None


def from_settings(error: Exception) -> Failure | None:
    """A setting that cannot be: its name and what is wrong with it, never its value."""
    module = loaded("pydantic")
    if module is None or not isinstance(error, module.ValidationError):
        return None
    issues: list[Any] = error.errors(include_input=False, include_url=False)
    lines = [f"{'.'.join(map(str, issue['loc'])) or 'settings'}: {_setting_words(issue)}" for issue in issues]
    return Failure("INVALID_SETTING", lines[0], "\n  ".join((*lines[1:], "`sagitta settings` lists all of them.")))


def _setting_words(issue: Any) -> str:
    if issue["type"] == "extra_forbidden":
        return "there is no such setting"
    if issue["type"] in ("model_type", "dataclass_type"):
        return "a group of settings is set by its members, SAGITTA_GROUP__NAME"
    return str(issue["msg"]).removeprefix("Value error, ")


def from_rpc(error: Exception) -> Failure | None:
    """A gRPC status: the code of its details, else the status' own."""
    module = loaded("grpc")
    if module is None or not isinstance(error, module.RpcError):
        return None
    from grpc_status import rpc_status

    call: Any = error
    told = rpc_status.from_call(call)
    return (from_status(told) if told else None) or Failure(call.code().name, call.details() or call.code().name)


def from_adbc(error: Exception) -> Failure | None:
    """What a warehouse or a Flight SQL server answered through ADBC."""
    module = loaded("adbc_driver_manager")
    if module is None or not isinstance(error, module.Error):
        return None
    from google.rpc import status_pb2

    refused: Any = error
    status = status_pb2.Status(message=DRIVER_WORDS.sub("", first_line(error)))
    for key, value in refused.details or ():
        if key == STATUS_DETAILS:
            status.details.add().MergeFromString(value)
    return from_status(status) or Failure(refused.status_code.name, status.message)


STATUS_DETAILS = b"grpc-status-details-bin"
"""Under this key the driver gives each detail of a server's status."""

DRIVER_WORDS = re.compile(
    r"^\w+: (?:\[FlightSQL\] )?(?:\w+: )?(?:\[\w+\] )?|(?: \(\w+; \w+\))?(?:\. Vendor code: \d+)?$"
)
"""What the driver puts around a message."""


def from_status(status: Any) -> Failure | None:
    """The reason (or, of a mistake in a query, its own code), the message and the hints of a status."""
    from google.rpc import error_details_pb2
    from sagitta.semantic.v1 import diagnostic_pb2

    info, found = error_details_pb2.ErrorInfo(), diagnostic_pb2.Diagnostics()
    for detail in status.details:
        _ = detail.Unpack(info) or detail.Unpack(found)
    if not info.reason:
        return None
    hints = [diagnostic.hint for diagnostic in found.diagnostics if diagnostic.hint]
    return Failure(info.metadata.get("code") or info.reason, status.message, "\n  ".join(hints) or None)


def from_system(error: Exception) -> Failure | None:
    """The operating system refused: an address in use, a file that is not there."""
    if not isinstance(error, OSError):
        return None
    place = f": {error.filename}" if error.filename else ""
    return Failure("SYSTEM", f"{error.strerror or first_line(error)}{place}")
