"""Columns, dimensions and sources: types that fit, and labels that exist."""

from __future__ import annotations

from collections.abc import Iterator

from sagitta_compiler.model.resolved import (
    DataObject,
    QuerySource,
    ResolvedModel,
    UnionSource,
)
from sagitta_compiler.model.rules.expressions import figure_references
from sagitta_compiler.model.rules.graphs import cycles, shown_cycle
from sagitta_compiler.model.scope import Scope
from sagitta_compiler.query.query import CoalesceItem, DimensionItem, Query
from sagitta_compiler.source import Path


def check_columns(model: ResolvedModel, scope: Scope) -> None:
    """Reports types that do not fit, and sources that do not hold what they promise."""
    for data_object in model.objects.values():
        for column in data_object.columns.values():
            if column.num_class is not None and not column.type.is_numeric:
                message = f"'numClass' belongs to int and float columns, and '{column.name}' is {column.type}"
                path: Path = ("dataObjects", data_object.name, "columns", column.name)
                scope.report.error("NUM_CLASS_ON_NON_NUMERIC", message, path, "Remove it, or correct the type.")
        if isinstance(data_object.source, QuerySource):
            _check_derived(scope, data_object, data_object.source.query)
    _check_grains(model, scope)
    _check_source_cycles(model, scope)


def _check_grains(model: ResolvedModel, scope: Scope) -> None:
    for dimension in model.dimensions.values():
        if dimension.time_grain is None or scope.is_broken(
            "dataObjects", dimension.object, "columns", dimension.column
        ):
            continue
        owner = model.objects.get(dimension.object)
        column = owner.columns.get(dimension.column) if owner else None
        if column is not None and not column.type.is_temporal:
            message = f"'timeGrain' needs a date or timestamp column, and '{column.name}' is {column.type}"
            hint = "Remove it, or set the column's `abstractType` to date or timestamp."
            scope.report.error("TIME_GRAIN_ON_NON_TEMPORAL", message, ("dimensions", dimension.name), hint)


def _check_derived(scope: Scope, data_object: DataObject, query: Query) -> None:
    """Checks the names in a derived object's query, and that its columns are the query's output."""
    path: Path = ("dataObjects", data_object.name, "query")
    for item in query.dimensions:
        for name in item.names if isinstance(item, CoalesceItem) else (_known_dimension(scope, item),):
            scope.check_dimension(name, path, "UNKNOWN_DIMENSION")
    for measure in query.measures:
        scope.check_figure(measure.name, path, "UNKNOWN_MEASURE")
    labels = set(output_labels(query))
    for column in data_object.columns.values():
        if column.expression is None and column.code not in labels:
            scope.report.unknown(
                "UNKNOWN_COLUMN",
                "Output column",
                column.code,
                labels,
                ("dataObjects", data_object.name, "columns", column.name),
                within=" in the query of this data object",
            )


def _known_dimension(scope: Scope, item: DimensionItem) -> str:
    """Returns the name that the item means: a name may end like a grain."""
    whole = f"{item.name}:{item.grain}" if item.grain else item.name
    return whole if scope.has_dimension(whole) else item.name


def output_labels(query: Query) -> Iterator[str]:
    """Yields the labels that a query's columns may have."""
    for item in query.dimensions:
        match item:
            case CoalesceItem():
                yield item.alias
            case DimensionItem():
                yield item.alias or item.name
                if item.grain is not None and item.alias is None:
                    yield f"{item.name}:{item.grain}"
    for measure in query.measures:
        yield measure.alias or measure.name
    for field in query.fields:
        yield field.alias or f"{field.object}.{field.column}"


def _check_source_cycles(model: ResolvedModel, scope: Scope) -> None:
    edges = {name: sorted(source_objects(model, data_object)) for name, data_object in model.objects.items()}
    made = {name: targets for name, targets in edges.items() if targets}
    for cycle in cycles(made):
        message = f"Data objects are made of each other: {shown_cycle(cycle)}"
        scope.report.error("CYCLIC_DATA_OBJECT", message, ("dataObjects", cycle[0]), "Break the circle.")


def source_objects(model: ResolvedModel, data_object: DataObject) -> set[str]:
    """Returns the objects that a derived object or a union is made of."""
    match data_object.source:
        case UnionSource():
            return {member.object for member in data_object.source.members} & model.objects.keys()
        case QuerySource():
            return query_objects(model, data_object.source.query)
        case _:
            return set()


def query_objects(model: ResolvedModel, query: Query) -> set[str]:
    """Returns the objects that a query names, through its dimensions, measures and fields."""
    names = {field.object for field in query.fields}
    for item in query.dimensions:
        for name in item.names if isinstance(item, CoalesceItem) else (item.name, f"{item.name}:{item.grain}"):
            if name in model.dimensions:
                names.add(model.dimensions[name].object)
    for measure in query.measures:
        names |= figure_objects(model, measure.name)
    return names & model.objects.keys()


def figure_objects(model: ResolvedModel, name: str) -> set[str]:
    """Returns the objects whose columns a measure or metric reads."""
    found: set[str] = set()
    seen, waiting = {name}, [name]
    while waiting:
        current = waiting.pop()
        measure = model.measures.get(current)
        if measure is not None:
            found |= {ref.object for ref in measure.columns}
            found |= {ref.object for ref in measure.expression.columns} if measure.expression else set()
            found |= {measure.count_of} if measure.count_of else set()
        for following in figure_references(model, current):
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return found
