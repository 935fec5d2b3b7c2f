"""The QueryObject (JSON or YAML mapping) to a `Query`, and back."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from pydantic import ValidationError

from sagitta_compiler.diagnostics import Diagnostic
from sagitta_compiler.documents import findings
from sagitta_compiler.model.types import TimeGrain
from sagitta_compiler.names import did_you_mean, near
from sagitta_compiler.query.document import DimensionItemDocument, QueryDocument
from sagitta_compiler.query.filters import FilterReader, split_grain
from sagitta_compiler.query.query import (
    CoalesceItem,
    DimensionItem,
    FieldItem,
    MeasureItem,
    OrderItem,
    PathChoice,
    Query,
)
from sagitta_compiler.query.rules import check_query
from sagitta_compiler.source import Document, Path, path_text, read_document

MAX_FINDINGS: Final = 200
"""How many mistakes of shape are reported."""


def read_query(data: object) -> tuple[Query | None, tuple[Diagnostic, ...]]:
    """Reads a QueryObject: a mapping, or its JSON or YAML text; never raises on bad input.

    Returns the query (None when there is an error) and every diagnostic of the run. Names are not looked up here.
    """
    if not isinstance(data, str | Mapping):
        return None, (_no_mapping(data),)
    document = read_document(data, "query")
    if document.diagnostics:
        return None, document.diagnostics
    if not isinstance(document.root, dict):
        return None, (_no_mapping(document.root),)
    return _QueryReader(document).read()


def is_query_object(text: str) -> bool:
    """Says whether a text is meant as a QueryObject rather than SQL, which begins with a keyword or a comment."""
    start = text.lstrip()
    if start.startswith("{"):
        return True
    first = start.removeprefix("---").split(maxsplit=1)
    return bool(first) and first[0].rstrip().endswith(":")


def _no_mapping(data: object) -> Diagnostic:
    kind = "a list" if isinstance(data, list | tuple) else "a single value"
    return Diagnostic(
        "SCHEMA_VALIDATION", f"A query is a mapping, not {kind}", "(root)", hint="Write `select: {measures: [...]}`."
    )


def parse_fields(text: str) -> FieldItem | None:
    """Splits `Object.Column` at its first dot; None when it is no such reference."""
    data_object, dot, column = (part.strip() for part in text.partition("."))
    return FieldItem(data_object, column) if dot and data_object and column else None


class _QueryReader:
    """Reads one query and collects what is wrong with it."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: list[Diagnostic] = []
        self._filters = FilterReader(self._report)

    def read(self) -> tuple[Query | None, tuple[Diagnostic, ...]]:
        try:
            written = QueryDocument.model_validate(self._document.root)
        except ValidationError as error:
            found = findings(error, (), lambda _: "SCHEMA_VALIDATION", QueryDocument)
            for diagnostic, path in islice(found, MAX_FINDINGS):
                self._report(diagnostic, path)
            return None, tuple(self._found)
        query = self._query(written)
        if not self._has_errors():
            for diagnostic, path in check_query(query):
                self._report(diagnostic, path)
        return (None if self._has_errors() else query), tuple(self._found)

    def _has_errors(self) -> bool:
        return any(d.is_error for d in self._found)

    def _report(self, diagnostic: Diagnostic, path: Path) -> None:
        self._found.append(diagnostic.at(self._document.span(path)))

    def _error(self, code: str, message: str, path: Path, hint: str | None = None, **rest: Any) -> None:
        self._report(Diagnostic(code, message, path_text(path), hint=hint, **rest), path)

    def _query(self, written: QueryDocument) -> Query:
        select = written.select
        dimensions = [self._dimension(d, ("select", "dimensions", at)) for at, d in enumerate(select.dimensions)]
        fields = [self._field(f.field, f.alias, ("select", "fields", at)) for at, f in enumerate(select.fields)]
        return Query(
            dimensions=tuple(d for d in dimensions if d is not None),
            measures=tuple(
                MeasureItem(
                    m.measure.strip(),
                    self._filters.read_all(m.filter, ("select", "measures", at, "filter")),
                    m.alias,
                )
                for at, m in enumerate(select.measures)
            ),
            fields=tuple(f for f in fields if f is not None),
            distinct=select.distinct,
            where=self._filters.read_all(written.where, ("where",)),
            having=self._filters.read_all(written.having, ("having",)),
            order_by=tuple(OrderItem(str(o.field).strip(), o.direction, o.nulls) for o in written.order_by),
            limit=written.limit,
            offset=written.offset,
            use_path_names=tuple(PathChoice(p.source, p.target, p.path_name) for p in written.use_path_names),
            dimensions_exclude=written.dimensions_exclude,
            allow_fan_out=written.allow_fan_out,
            grouping=written.grouping,
        )

    def _dimension(self, item: DimensionItemDocument, path: Path) -> DimensionItem | CoalesceItem | None:
        if item.coalesce is not None:
            return self._coalesce(item, path)
        if item.dimension is None:
            self._error("SCHEMA_VALIDATION", "A dimension needs a name", path, "Write the name as text.")
            return None
        name, grain = split_grain(item.dimension)
        if item.grain is None:
            return DimensionItem(name, grain, item.alias)
        stated = item.grain.strip().lower()
        if stated not in set(TimeGrain):
            suggestions = near(stated, [g.value for g in TimeGrain])
            hint = did_you_mean(suggestions, f"Use one of: {', '.join(TimeGrain)}.")
            message = f"'{item.grain}' is not a time grain"
            self._error("INVALID_TIME_GRAIN", message, (*path, "grain"), hint, suggestions=suggestions)
            return None
        return DimensionItem(item.dimension.strip(), TimeGrain(stated), item.alias)

    def _coalesce(self, item: DimensionItemDocument, path: Path) -> CoalesceItem | None:
        assert item.coalesce is not None
        if item.dimension is not None or item.grain is not None:
            message = "A coalesce group has no dimension or grain of its own"
            self._error("SCHEMA_VALIDATION", message, path, "Write `{coalesce: [A, B], as: Name}`.")
            return None
        if not item.alias:
            hint = "Add `as: Name`."
            self._error("COALESCE_MISSING_ALIAS", "A coalesce group needs a name for its column", path, hint)
            return None
        if len(item.coalesce) < 2:
            message = f"The coalesce group '{item.alias}' needs at least two dimensions"
            self._error("COALESCE_TOO_FEW_MEMBERS", message, path, "Select the dimension itself instead.")
            return None
        return CoalesceItem(tuple(name.strip() for name in item.coalesce), item.alias)

    def _field(self, text: str, alias: str | None, path: Path) -> FieldItem | None:
        item = parse_fields(text)
        if item is None:
            hint = "Write `Data Object.Column`."
            self._error("RAW_FIELD_INVALID_REF", f"'{text}' is not a reference to a column", path, hint)
            return None
        return FieldItem(item.object, item.column, alias)
