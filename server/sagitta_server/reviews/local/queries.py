"""The query of a review: read, looked through for filters and placeholders, filled, or made up for a whole model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sagitta_compiler import Query, ResolvedModel, read_query
from sagitta_compiler.model.resolved import Measure
from sagitta_compiler.model.types import FilterOperator
from sagitta_compiler.query.query import DimensionItem, FieldItem, FilterGroup, FilterNode, MeasureItem
from sagitta_compiler.query.query import Filter as QueryFilter

from sagitta_server.reviews.enums import FilterConfidenceState, FilterRecoveryStatus, FilterSource
from sagitta_server.reviews.environment import CompilationError
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.json_text import NULL, Json, JsonText, dump
from sagitta_server.reviews.local.templates import Renderer
from sagitta_server.reviews.template_variables import has_template_marks
from sagitta_server.reviews.values import Filter, TemplateText

_OPERATORS = {
    FilterOperator.EQUALS: "==",
    FilterOperator.NOT_EQUALS: "!=",
    FilterOperator.GT: ">",
    FilterOperator.GTE: ">=",
    FilterOperator.LT: "<",
    FilterOperator.LTE: "<=",
    FilterOperator.IN: "IN",
    FilterOperator.NOT_IN: "NOT IN",
    FilterOperator.SET: "IS NOT NULL",
    FilterOperator.NOT_SET: "IS NULL",
    FilterOperator.LIKE: "LIKE",
    FilterOperator.ILIKE: "ILIKE",
    FilterOperator.RELATIVE: "TEMPORAL_RANGE",
}
_LISTS = frozenset({FilterOperator.IN, FilterOperator.NOT_IN, FilterOperator.BETWEEN, FilterOperator.NOT_BETWEEN})


def read(document: Mapping[str, Json]) -> Query:
    """The query of a source.

    Raises:
        ReviewError: it is not a query.
    """
    query, diagnostics = read_query(_without_decimals(document))
    if query is None:
        problems = "; ".join(f"{d.path}: {d.message}" for d in diagnostics if d.is_error)
        raise ReviewError("invalid_dataset_selection", f"The query cannot be read: {problems}"[:2000])
    return query


def leaves(nodes: tuple[FilterNode, ...]) -> Iterator[QueryFilter]:
    """All predicates, also those inside groups."""
    for node in nodes:
        if isinstance(node, FilterGroup):
            yield from leaves(node.filters)
        else:
            yield node


def review_filters(nodes: tuple[FilterNode, ...], origin: str, *, static: bool) -> Iterator[Filter]:
    """The predicates as filters of a review; static ones of the model always apply."""
    for position, leaf in enumerate(leaves(nodes)):
        template = any(isinstance(v, str) and has_template_marks(v) for v in leaf.values)
        value = _value(leaf)
        name = f"{leaf.field}:{leaf.grain.value}" if leaf.grain else leaf.field
        yield Filter(
            filter_id="",
            filter_name=name,
            display_name=name,
            raw_value=value,
            normalized_value=value,
            source=FilterSource.INFERRED if static else FilterSource.MANUAL,
            confidence_state=FilterConfidenceState.CONFIRMED,
            recovery_status=FilterRecoveryStatus.RECOVERED,
            operator=_OPERATORS.get(leaf.operator, leaf.operator.value.upper().replace("_", " ")),
            column_name=leaf.field,
            notes=_note(leaf, static=static, template=template),
            removable=not static,
            is_template=template,
            origin=f"{origin}[{position}]",
        )


def parameters(params: Mapping[str, Json]) -> Iterator[Filter]:
    """Given parameters as filters that can feed variables."""
    for name, value in params.items():
        yield Filter(
            filter_id="",
            filter_name=name,
            display_name=name,
            raw_value=dump(value),
            normalized_value=dump(value),
            source=FilterSource.MANUAL,
            confidence_state=FilterConfidenceState.CONFIRMED,
            recovery_status=FilterRecoveryStatus.MISSING if value is None else FilterRecoveryStatus.RECOVERED,
            operator="URL_PARAM",
            notes="A parameter given with the query.",
            origin="params",
        )


def templates(query: Query, numeric: frozenset[str]) -> Iterator[TemplateText]:
    """The predicates' values that hold placeholders, with the shape that each wants."""
    for clause, nodes in (("where", query.where), ("having", query.having)):
        for position, leaf in enumerate(leaves(nodes)):
            shape = "list" if leaf.operator in _LISTS and len(leaf.values) == 1 else "scalar"
            if shape == "scalar" and leaf.field in numeric:
                shape = "number"
            for value in leaf.values:
                if isinstance(value, str) and has_template_marks(value):
                    origin = f"{clause}[{position}] {leaf.field} {leaf.operator.value}"
                    yield TemplateText(origin, value, shape=shape, is_literal=True)


def fill(query: Query, renderer: Renderer) -> Query:
    """The query with every placeholder replaced; a predicate whose value is "no value" is left out."""
    return replace(query, where=_fill(query.where, renderer), having=_fill(query.having, renderer))


def whole_model(model: ResolvedModel) -> Query:
    """Every dimension of the base object with every measure of its grain."""
    base = base_object(model)
    dimensions = tuple(DimensionItem(d.name) for d in model.dimensions.values() if d.object == base)
    measures = tuple(MeasureItem(m.name) for m in model.measures.values() if _home(m) == {base} and not m.synthesised)
    if dimensions or measures:
        return Query(dimensions=dimensions, measures=measures)
    return raw_fields(model, base)


def raw_fields(model: ResolvedModel, data_object: str) -> Query:
    """Every column of one object, row by row."""
    columns = model.objects[data_object].columns
    return Query(fields=tuple(FieldItem(data_object, name) for name in columns))


def base_object(model: ResolvedModel) -> str:
    """The object that most measures count, else the one with most joins."""
    homes = Counter(name for m in model.measures.values() if not m.synthesised for name in _home(m))
    return max(
        model.objects, key=lambda name: (homes.get(name, 0), len(model.objects[name].joins), -_position(model, name))
    )


def _position(model: ResolvedModel, name: str) -> int:
    return list(model.objects).index(name)


def _home(measure: Measure) -> set[str]:
    refs = (*measure.columns, *(measure.expression.columns if measure.expression else ()))
    objects = {ref.object for ref in refs}
    return objects | ({measure.count_of} if measure.count_of else set())


def _fill(nodes: tuple[FilterNode, ...], renderer: Renderer) -> tuple[FilterNode, ...]:
    filled: list[FilterNode] = []
    for node in nodes:
        if isinstance(node, FilterGroup):
            inner = _fill(node.filters, renderer)
            if inner:
                filled.append(replace(node, filters=inner))
            continue
        leaf = _fill_leaf(node, renderer)
        if leaf is not None:
            filled.append(leaf)
    return tuple(filled)


def _fill_leaf(leaf: QueryFilter, renderer: Renderer) -> QueryFilter | None:
    if not any(isinstance(v, str) and has_template_marks(v) for v in leaf.values):
        return leaf
    values: list[Any] = []
    for value in leaf.values:
        filled = renderer.value(value) if isinstance(value, str) else value
        if filled is None:
            return None
        if isinstance(filled, list):
            if leaf.operator not in _LISTS:
                raise CompilationError("compilation_failed", f"{leaf.field} takes one value, not a list.")
            values.extend(filled)
        else:
            values.append(filled)
    if leaf.operator in _LISTS and not values:
        return None
    return replace(leaf, values=tuple(values))


def _value(leaf: QueryFilter) -> JsonText:
    if leaf.relative is not None:
        period = leaf.relative
        word = "next" if period.future else "last"
        return dump({"time_range": f"{word} {period.count} {period.unit.value}"})
    values = [_json(v) for v in leaf.values]
    if leaf.operator in _LISTS:
        return dump(values)
    return dump(values[0]) if values else NULL


def _json(value: Any) -> Json:
    if value is None or isinstance(value, str | bool | int | Decimal):
        return value
    return Decimal(repr(value)) if isinstance(value, float) else str(value)


def _note(leaf: QueryFilter, *, static: bool, template: bool) -> str | None:
    if static:
        return "A static filter of the model; it always applies."
    if template:
        return "Its value comes from template variables."
    return None if leaf.operator is not FilterOperator.EXISTS else "A sub-query."


def _without_decimals(value: Any) -> Any:
    """The query reader takes JSON as the standard library reads it, and gives decimals back as decimals itself."""
    if isinstance(value, dict):
        return {key: _without_decimals(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_decimals(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value
