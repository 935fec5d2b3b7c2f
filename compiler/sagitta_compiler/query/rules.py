"""The rules of a query that need no model: which parts exclude each other, and what each part needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sagitta_compiler.diagnostics import Diagnostic
from sagitta_compiler.query.query import CoalesceItem, Query
from sagitta_compiler.source import Path, path_text


def check_query(query: Query) -> Iterator[tuple[Diagnostic, Path]]:
    """Yields what is wrong with a query whatever the model is, each with its path."""
    yield from _mode(query)
    yield from _exclusion(query)
    yield from _coalesce_aliases(query)


def _problem(code: str, message: str, path: Path, hint: str) -> tuple[Diagnostic, Path]:
    return Diagnostic(code, message, path_text(path), hint=hint), path


def _mode(query: Query) -> Iterator[tuple[Diagnostic, Path]]:
    if not (query.dimensions or query.measures or query.fields):
        yield _problem("EMPTY_SELECT", "The query selects nothing", ("select",), "Name a dimension, measure or field.")
    if query.fields:
        parts = {
            "select.dimensions": query.dimensions,
            "select.measures": query.measures,
            "having": query.having,
            "dimensionsExclude": query.dimensions_exclude,
            "grouping": query.grouping,
        }
        for name, given in parts.items():
            if given:
                message = f"Raw fields exclude '{name}'"
                hint = "Select either raw fields, or dimensions and measures."
                yield _problem("INVALID_SELECT", message, tuple(name.split(".")), hint)
    elif query.distinct:
        message = "'distinct' belongs to raw fields"
        hint = "Dimensions are distinct by nature; remove it."
        yield _problem("INVALID_SELECT", message, ("select", "distinct"), hint)


def _exclusion(query: Query) -> Iterator[tuple[Diagnostic, Path]]:
    if not query.dimensions_exclude or query.fields:
        return
    if len(query.dimensions) < 2:
        message = "'dimensionsExclude' compares at least two dimensions"
        hint = "Select another dimension."
        yield _problem("DIMENSIONS_EXCLUDE_INSUFFICIENT", message, ("select", "dimensions"), hint)
    if query.measures:
        message = "'dimensionsExclude' lists combinations that do not occur: they have no measures"
        hint = "Remove the measures."
        yield _problem("DIMENSIONS_EXCLUDE_WITH_MEASURES", message, ("select", "measures"), hint)


def _coalesce_aliases(query: Query) -> Iterator[tuple[Diagnostic, Path]]:
    aliases = Counter(item.alias for item in query.dimensions if isinstance(item, CoalesceItem))
    for alias, count in aliases.items():
        if count > 1:
            message = f"Two coalesce groups are named '{alias}'"
            yield _problem("DUPLICATE_COALESCE_ALIAS", message, ("select", "dimensions"), "Rename one of them.")
