"""Reads the text of a query: JSON, or YAML without aliases."""

from __future__ import annotations

from typing import Any

import orjson
import yaml
from sagitta_compiler import CompileError, Diagnostic, Query


class _PlainLoader(yaml.SafeLoader):
    """Refuses aliases: a few of them can stand for billions of nodes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed in a query")
        return super().compose_node(parent, index)


def read_text(text: str, max_bytes: int) -> Query:
    """Returns the query that a text states.

    Raises:
        CompileError: it is too long, is no JSON or YAML, or makes mistakes in the query language.
    """
    if len(text.encode()) > max_bytes:
        raise CompileError([Diagnostic("QUERY_TOO_LARGE", f"A query's text may have {max_bytes} bytes.")])
    from sagitta_compiler import read_query  # noqa: PLC0415

    query, diagnostics = read_query(_document(text))
    if query is None:
        raise CompileError(diagnostics)
    return query


def _document(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError as error:
        if text.lstrip().startswith(("{", "[")):
            raise CompileError([Diagnostic("QUERY_PARSE_ERROR", f"The query is not JSON: {error}")]) from None
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 (a safe loader, narrowed further)
    except yaml.YAMLError as error:
        raise CompileError([Diagnostic("QUERY_PARSE_ERROR", f"The query is not YAML: {_first_line(error)}")]) from None


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
