"""Placeholders in a query or model, filled with typed values in a sandbox.

A value that is one placeholder and nothing else keeps its type, so the compiler binds it as a literal; nothing is
pasted into SQL. A name without a value is an error, unless the template handles that itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from sagitta_server.reviews.environment import CompilationError
from sagitta_server.reviews.json_text import Json, JsonText, load
from sagitta_server.reviews.template_variables import TIME_RANGE, has_template_marks
from sagitta_server.reviews.values import Filter

_NODES = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.If,
    nodes.CondExpr,
    nodes.Name,
    nodes.Const,
    nodes.List,
    nodes.Tuple,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Neg,
    nodes.Add,
    nodes.Sub,
    nodes.Concat,
    nodes.Getitem,
    nodes.Call,
    nodes.Keyword,
    nodes.Filter,
    nodes.Test,
)
_FILTERS = frozenset(
    {"default", "d", "where_in", "join", "list", "first", "last", "int", "float", "string", "lower", "upper", "trim"}
    | {"length", "count", "round", "abs", "min", "max", "sort", "unique"}
)
_MACROS = frozenset({"filter_values", "get_filters", "url_param", "get_time_filter"})
_MAX_DEPTH = 50
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
            _require_modest(self._environment.parse(template))
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


def _require_modest(tree: nodes.Node, depth: int = 0) -> None:
    """Refuses everything but reading, comparing and joining: a placeholder must not be able to cost time or memory."""
    if depth > _MAX_DEPTH:
        raise CompilationError("compilation_failed", "A placeholder nests too deeply.")
    for node in tree.iter_child_nodes():
        called = node.node.name if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) else None
        if isinstance(node, nodes.Call) and called not in _MACROS:
            raise CompilationError("compilation_failed", f"Placeholders may call {', '.join(sorted(_MACROS))} only.")
        if isinstance(node, nodes.Filter) and node.name not in _FILTERS:
            raise CompilationError("compilation_failed", f"The filter {node.name} is not available in placeholders.")
        if not isinstance(node, _NODES):
            kind = type(node).__name__.lower()
            raise CompilationError("compilation_failed", f"A placeholder may not use {kind}.")
        _require_modest(node, depth + 1)


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
