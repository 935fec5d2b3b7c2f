"""Filters as written turned into filters as values: operators normalised, operands counted and typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sagitta_compiler.diagnostics import Diagnostic
from sagitta_compiler.documents import shown
from sagitta_compiler.model.types import OPERATOR_SYNONYMS, FilterOperator, TimeGrain
from sagitta_compiler.names import did_you_mean, near
from sagitta_compiler.query.document import FilterDocument, SubqueryDocument
from sagitta_compiler.query.query import Filter, FilterGroup, FilterNode, Logic, RelativePeriod, Scalar, Subquery
from sagitta_compiler.source import Path, path_text

EMPTY_GROUP = "A group needs at least one filter"
EMPTY_GROUP_HINT = "Remove the group; only an `or` of nothing has a meaning: it holds for no row."


@dataclass(frozen=True, slots=True)
class FilterReader:
    """Reads filters and reports what is wrong with them.

    `report` takes each diagnostic with its path. The codes differ between a query's filters and a measure's.
    """

    report: Callable[[Diagnostic, Path], None]
    operator_code: str = "INVALID_FILTER_OPERATOR"
    value_code: str = "INVALID_FILTER_VALUE"
    shape_code: str = "SCHEMA_VALIDATION"

    def read_all(self, documents: tuple[FilterDocument, ...], path: Path) -> tuple[FilterNode, ...]:
        """Reads a list of filters; those that cannot be read are left out, each with its diagnostic."""
        read = (self.read(document, (*path, at)) for at, document in enumerate(documents))
        return tuple(node for node in read if node is not None)

    def read(self, document: FilterDocument, path: Path) -> FilterNode | None:
        """Reads a filter or a group; None when it cannot be read."""
        return self._leaf(document, path) if document.filters is None else self._group(document, path)

    def _error(self, code: str, message: str, path: Path, hint: str | None = None, **rest: Any) -> None:
        self.report(Diagnostic(code, message, path_text(path), hint=hint, **rest), path)

    def _group(self, document: FilterDocument, path: Path) -> FilterNode | None:
        assert document.filters is not None
        given = document.model_fields_set - {"filters", "logic", "negated"}
        if given:
            self._error(
                self.shape_code, f"A group has no '{min(given)}'", path, "A group has `logic`, `filters` and `negated`."
            )
            return None
        if not document.filters and document.logic is not Logic.OR:
            self._error(self.shape_code, EMPTY_GROUP, (*path, "filters"), EMPTY_GROUP_HINT)
            return None
        members = self.read_all(document.filters, (*path, "filters"))
        if len(members) < len(document.filters):
            return None
        return FilterGroup(document.logic or Logic.AND, members, bool(document.negated))

    def _leaf(self, document: FilterDocument, path: Path) -> FilterNode | None:
        if document.logic is not None or document.negated is not None:
            self._error(self.shape_code, "A group needs `filters`", path, "Put the predicates into `filters: [...]`.")
            return None
        subject, operator = self._subject(document, path), self._operator(document, path)
        if subject is None or operator is None:
            return None
        name, grain = subject
        match operator:
            case FilterOperator.EXISTS | FilterOperator.NOT_EXISTS:
                return self._exists(document, name, operator, path)
            case FilterOperator.RELATIVE:
                period = self._relative(document, (*path, "value"))
                return None if period is None else Filter(name, operator, relative=period, grain=grain)
        if document.subquery is not None:
            self._error(self.value_code, f"'{operator}' takes no subquery", (*path, "subquery"), "Use `exists`.")
            return None
        operands = self._operands(document, operator, path)
        return None if operands is None else _null_safe(Filter(name, operator, operands, grain=grain))

    def _subject(self, document: FilterDocument, path: Path) -> tuple[str, TimeGrain | None] | None:
        reference = document.column
        data_object = document.data_object or (reference.data_object if reference else None)
        if document.field is not None and reference is None and data_object is None:
            return split_grain(document.field)
        if document.field is None and reference is not None and reference.column and data_object:
            return f"{data_object}.{reference.column}", None
        hint = "Write `field:`, or `dataObject:` and `column:`."
        self._error(self.shape_code, "A filter needs exactly one field", path, hint)
        return None

    def _operator(self, document: FilterDocument, path: Path) -> FilterOperator | None:
        written = "equals" if document.operator is None else document.operator
        operator = OPERATOR_SYNONYMS.get(written.strip().lower())
        if operator is None:
            suggestions = near(written.lower(), OPERATOR_SYNONYMS)
            hint = did_you_mean(suggestions, f"Use one of: {', '.join(FilterOperator)}.")
            where = (*path, "operator")
            message = f"'{written}' is not a filter operator"
            self._error(self.operator_code, message, where, hint, suggestions=suggestions)
        return operator

    def _exists(self, document: FilterDocument, name: str, operator: FilterOperator, path: Path) -> FilterNode | None:
        if document.value is not None or document.values is not None:
            self._error(self.value_code, f"'{operator}' takes a subquery, not a value", path, "Use `subquery:`.")
            return None
        if document.subquery is None:
            hint = "Add `subquery: {dataObject: ..., filter: [...]}`."
            self._error(self.value_code, f"'{operator}' needs a subquery", path, hint)
            return None
        subquery = self._subquery(document.subquery, (*path, "subquery"))
        return None if subquery is None else Filter(name, operator, subquery=subquery)

    def _subquery(self, document: SubqueryDocument, path: Path) -> Subquery | None:
        filters = self.read_all(document.filter, (*path, "filter"))
        if len(filters) < len(document.filter):
            return None
        return Subquery(document.data_object, document.path_name, filters)

    def _relative(self, document: FilterDocument, path: Path) -> RelativePeriod | None:
        value = document.value
        keys = {"unit", "count", "direction", "include_current", "includeCurrent"}
        units = {grain.value for grain in TimeGrain}
        if isinstance(value, Mapping) and not value.keys() - keys and value.get("unit") in units:
            count, direction = value.get("count"), value.get("direction") or "past"
            current = value.get("includeCurrent", value.get("include_current", True))
            whole = isinstance(count, int) and not isinstance(count, bool) and 0 < count <= MAX_RELATIVE_COUNT
            if whole and direction in ("past", "future") and isinstance(current, bool):
                return RelativePeriod(TimeGrain(value["unit"]), int(str(count)), direction == "future", current)
        hint = (
            "Write `value: {unit: day|week|month|quarter|year, count: 7, direction: past|future, "
            f"include_current: true}}`; count is between 1 and {MAX_RELATIVE_COUNT:,}."
        )
        self._error("INVALID_RELATIVE_FILTER", "The relative period is not complete or not valid", path, hint)
        return None

    def _operands(self, document: FilterDocument, operator: FilterOperator, path: Path) -> tuple[Scalar, ...] | None:
        given = _given(document)
        where = (*path, "values" if document.values is not None else "value")
        if operator in _NO_OPERAND:
            if any(value not in (None, True, "") for value in given or ()):
                self._error(self.value_code, f"'{operator}' takes no value", where, "Remove the value.")
                return None
            return ()
        if given is None:
            hint = "Write `value:`; to look for NULL use `notset`."
            self._error(self.value_code, f"'{operator}' needs a value", path, hint)
            return None
        values = self._typed(given, where)
        if values is None:
            return None
        if problem := _misfit(operator, values):
            self._error(self.value_code, problem[0], where, problem[1])
            return None
        return tuple(str(v) for v in values) if operator in _TEXT and operator not in _REGEX else values

    def _typed(self, given: tuple[Any, ...], path: Path) -> tuple[Scalar, ...] | None:
        values: list[Scalar] = []
        for at, value in enumerate(given):
            if isinstance(value, Mapping):
                found, known = typed_value(value)
                if not known:
                    hint = "Write `{dataType: string, valueString: x}` or the plain value."
                    self._error(self.value_code, "The typed value is not valid", (*path, at), hint)
                    return None
                values.append(found)
            elif isinstance(value, list | tuple):
                self._error(self.value_code, f"{shown(value)} is not a value", (*path, at), "Lists do not nest.")
                return None
            else:
                values.append(value)
        return tuple(values)


MAX_RELATIVE_COUNT = 100_000
_NO_OPERAND = {FilterOperator.SET, FilterOperator.NOT_SET, FilterOperator.BLANK, FilterOperator.NOT_BLANK}
_MANY = {FilterOperator.IN, FilterOperator.NOT_IN}
_RANGE = {FilterOperator.BETWEEN, FilterOperator.NOT_BETWEEN}
_REGEX = {FilterOperator.REGEX, FilterOperator.NOT_REGEX}
_LENGTH = {FilterOperator.LENGTH_EQ, FilterOperator.LENGTH_GT, FilterOperator.LENGTH_LT}
_TEXT = {
    *_REGEX,
    FilterOperator.CONTAINS,
    FilterOperator.NOT_CONTAINS,
    FilterOperator.STARTS_WITH,
    FilterOperator.ENDS_WITH,
    FilterOperator.LIKE,
    FilterOperator.NOT_LIKE,
    FilterOperator.ILIKE,
    FilterOperator.NOT_ILIKE,
}
_TYPED_KEYS = {
    "string": "valueString",
    "json": "valueString",
    "int": "valueInt",
    "float": "valueFloat",
    "date": "valueDate",
    "timestamp": "valueDate",
    "boolean": "valueBoolean",
}
_GRAINS = {grain.value: grain for grain in TimeGrain}


def filter_leaves(nodes: Iterable[FilterNode]) -> Iterator[Filter]:
    """Yields the predicates of filters, those inside groups included."""
    for node in nodes:
        match node:
            case Filter():
                yield node
            case FilterGroup():
                yield from filter_leaves(node.filters)


def split_grain(text: str) -> tuple[str, TimeGrain | None]:
    """Splits `Name:grain` at the last colon when a known grain follows it.

    A name that really ends so is found by the binder, which tries the whole text first.
    """
    name, colon, suffix = text.rpartition(":")
    grain = _GRAINS.get(suffix.strip().lower()) if colon else None
    return (name.strip(), grain) if grain and name.strip() else (text.strip(), None)


def typed_value(value: Mapping[str, Any]) -> tuple[Scalar, bool]:
    """Returns the scalar of a typed value, and whether it could be read."""
    camel = {_camel(key): item for key, item in value.items()}
    if camel.get("isNull") is True:
        return None, True
    key = _TYPED_KEYS.get(str(camel.get("dataType")), "valueString")
    found = camel.get(key, next((v for k, v in camel.items() if k.startswith("value")), _typed_missing))
    readable = found is not _typed_missing and not isinstance(found, dict | list)
    return (found, True) if readable and "dataType" in camel else (None, False)


_typed_missing = object()


def _camel(key: str) -> str:
    head, *tail = key.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _given(document: FilterDocument) -> tuple[Any, ...] | None:
    """Returns the operands as a tuple; None when the filter has none at all."""
    if document.values is not None:
        return tuple(document.values) if isinstance(document.values, list | tuple) else (document.values,)
    if isinstance(document.value, list | tuple):
        return tuple(document.value)
    if document.value is None and "value" not in document.model_fields_set:
        return None
    return (document.value,)


def _null_safe(node: Filter) -> Filter:
    """Reads a comparison with NULL as the question whether the field is NULL."""
    if node.values == (None,) and node.operator is FilterOperator.EQUALS:
        return Filter(node.field, FilterOperator.NOT_SET, grain=node.grain)
    if node.values == (None,) and node.operator is FilterOperator.NOT_EQUALS:
        return Filter(node.field, FilterOperator.SET, grain=node.grain)
    return node


def _misfit(operator: FilterOperator, values: tuple[Scalar, ...]) -> tuple[str, str] | None:
    """Returns what is wrong with the operands and what to do, or None."""
    if operator in _MANY:
        return None
    if operator in _RANGE:
        if len(values) != 2:
            return f"'{operator}' takes two values, not {len(values)}", "Write `value: [from, to]`."
        return ("A bound must not be null", "Use `gte` or `lte`.") if None in values else None
    if len(values) != 1:
        hint = "Use `inlist` or `notinlist`." if operator in _EQUALITY else "Write one value."
        return f"'{operator}' takes one value, not {len(values)}", hint
    value = values[0]
    if value is None and operator not in _EQUALITY:
        return f"'{operator}' needs a value, not null", "To look for NULL use `notset`."
    if operator in _LENGTH and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        return f"'{operator}' takes a whole number, not {shown(value)}", "Write the number of characters."
    if operator in _REGEX and not isinstance(value, str):
        return f"'{operator}' takes a pattern in quotes, not {shown(value)}", "Put the pattern in quotes."
    if operator in _TEXT and isinstance(value, bool):
        return f"'{operator}' takes text, not {shown(value)}", "Put it in quotes."
    return None


_EQUALITY = {FilterOperator.EQUALS, FilterOperator.NOT_EQUALS}
