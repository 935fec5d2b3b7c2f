"""How an expression uses the portable functions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlglot import exp

from sagitta_compiler.diagnostics import Diagnostic, Severity
from sagitta_compiler.expressions.catalogue import CATALOGUE, TIME_UNITS, PortableFunction
from sagitta_compiler.expressions.parse import calls
from sagitta_compiler.names import near

_JSON_PATH = re.compile(r"\$(?:\.[A-Za-z_]\w*|\[\d+\])*")


def check_functions(tree: exp.Expression, *, portable: bool) -> Iterator[Diagnostic]:
    """Yields what is wrong with the function calls of an expression (without paths).

    `portable` is `expressionMode: portable`: a function outside the catalogue is then an error, else a warning.
    """
    for call in calls(tree):
        function = CATALOGUE.get(call.name.lower())
        if function is None:
            yield _not_portable(call, portable=portable)
        else:
            yield from _check_call(call, function)


def _not_portable(call: exp.Anonymous, *, portable: bool) -> Diagnostic:
    return Diagnostic(
        "NON_PORTABLE_FUNCTION",
        f"The function '{call.name}' is not in the portable catalogue",
        severity=Severity.ERROR if portable else Severity.WARNING,
        hint="It is passed to the warehouse as it is written; use a catalogued function to stay portable."
        if not portable
        else "Use a catalogued function, or set `settings.expressionMode: permissive`.",
        context={"function": call.name},
        suggestions=near(call.name.lower(), CATALOGUE),
    )


def _check_call(call: exp.Anonymous, function: PortableFunction) -> Iterator[Diagnostic]:
    arguments = call.expressions
    if not function.accepts(len(arguments)):
        yield Diagnostic(
            "WRONG_FUNCTION_ARITY",
            f"'{function.name}' takes {_counts(function)}, not {len(arguments)}",
            hint=f"Write {function.signature}.",
            context={"function": function.name, "arguments": len(arguments)},
        )
        return
    if function.unit is not None:
        yield from _check_unit(function, arguments[function.unit])
    if function.json_path is not None:
        yield from _check_json_path(function, arguments[function.json_path])


def _counts(function: PortableFunction) -> str:
    low, high = function.minimum, function.maximum
    if high is None:
        return f"{low} or more arguments"
    if low == high:
        return f"{low} argument{'' if low == 1 else 's'}" if low else "no arguments"
    return f"{low} to {high} arguments"


def _check_unit(function: PortableFunction, argument: exp.Expression) -> Iterator[Diagnostic]:
    if not argument.is_string or argument.name.lower() not in TIME_UNITS:
        written = argument.name if argument.is_string else argument.sql()
        yield Diagnostic(
            "UNKNOWN_TIME_UNIT",
            f"'{written}' is not a time unit of '{function.name}'",
            hint=f"The unit is a quoted literal: {', '.join(TIME_UNITS)}.",
            context={"function": function.name, "unit": written},
            suggestions=near(written.lower(), TIME_UNITS),
        )


def _check_json_path(function: PortableFunction, argument: exp.Expression) -> Iterator[Diagnostic]:
    if not argument.is_string or not _JSON_PATH.fullmatch(argument.name):
        written = argument.name if argument.is_string else argument.sql()
        yield Diagnostic(
            "INVALID_JSON_PATH",
            f"'{written}' is not a path of '{function.name}'",
            hint="The path is a quoted literal of `.name` and `[n]` steps after `$`: '$.items[0].price'.",
            context={"function": function.name, "path": written},
        )
