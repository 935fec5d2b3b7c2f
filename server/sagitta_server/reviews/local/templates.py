"""Placeholders in a query or model, filled with typed values in a sandbox.

A value that is one placeholder and nothing else keeps its type, so the compiler binds it as a literal; nothing is
pasted into SQL. A name without a value is an error, unless the template handles that itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from sagitta_server.reviews.environment import CompilationError
from sagitta_server.reviews.json_text import Json, JsonText, load
from sagitta_server.reviews.template_variables import TIME_RANGE, has_template_marks
from sagitta_server.reviews.values import Filter

_ONE_PLACEHOLDER = re.compile(r"\{\{(?P<inner>(?:(?!\{\{|\}\}|\{%|%\}).)*)\}\}", re.DOTALL)
_MAX_TEXT = 65_536


class Renderer:
    """Fills placeholders from the values of variables and the filters in force."""

    def __init__(self, values: Mapping[str, JsonText], filters: tuple[Filter, ...]) -> None:
        self._environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        self._environment.filters["where_in"] = _as_list
        known = {name: load(value) for name, value in values.items()}
        present = {name: value for name, value in known.items() if value is not None}
        self._environment.globals.clear()
        self._environment.globals.update(_macros(known, filters))
        self._context = {name: value for name, value in present.items() if name.isidentifier()}

    def value(self, template: str) -> Json:
        """The value of a template: typed when it is a single placeholder, else text; None means "no value".

        Raises:
            CompilationError: it reads a name without a value, or does something that the sandbox forbids.
        """
        if not has_template_marks(template):
            return template
        try:
            single = _ONE_PLACEHOLDER.fullmatch(template.strip())
            if single is None:
                return self._text(template)
            expression = self._environment.compile_expression(single["inner"], undefined_to_none=False)
            found = expression(**self._context)
            if isinstance(found, StrictUndefined):
                str(found)  # raises with the name
            return _plain(found)
        except TemplateError as error:
            raise CompilationError("compilation_failed", f"A placeholder has no value: {error.message}") from error
        except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
            raise CompilationError("compilation_failed", f"A placeholder cannot be evaluated: {error}") from error

    def _text(self, template: str) -> str:
        text = self._environment.from_string(template).render(**self._context)
        if len(text) > _MAX_TEXT:
            raise CompilationError("compilation_failed", "A placeholder grows beyond 64 KiB.")
        return text


def _macros(values: Mapping[str, Json], filters: tuple[Filter, ...]) -> dict[str, Any]:
    def filter_values(column: str, default: Json = None, remove_filter: bool = False) -> list[Json]:  # noqa: ARG001
        found = values.get(column)
        if found is None:
            return [] if default is None else _as_list(default)
        return _as_list(found)

    def get_filters(column: str, remove_filter: bool = False) -> list[dict[str, Json]]:  # noqa: ARG001
        return [
            {"col": column, "op": f.operator, "val": load(f.normalized_value)}
            for f in filters
            if (f.column_name or f.filter_name) == column
        ]

    def url_param(name: str, default: Json = None) -> Json:
        found = values.get(name)
        return default if found is None else found

    def get_time_filter(column: str = TIME_RANGE, default: Json = None) -> Json:
        return url_param(column, default)

    return {
        "filter_values": filter_values,
        "get_filters": get_filters,
        "url_param": url_param,
        "get_time_filter": get_time_filter,
    }


def _as_list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> Json:
    if value is None or isinstance(value, str | bool | int | Decimal):
        return value
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise CompilationError("compilation_failed", "A placeholder gives something that is not a value.")
