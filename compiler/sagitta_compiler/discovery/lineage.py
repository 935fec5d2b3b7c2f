"""Where a name's values come from: through metrics, measures and computed columns down to physical columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sagitta_compiler.model.resolved import (
    Column,
    ColumnRef,
    CumulativeMetric,
    DataObject,
    DerivedMetric,
    Dimension,
    Measure,
    Metric,
    NestedSource,
    PeriodOverPeriodMetric,
    QuerySource,
    ResolvedModel,
    TableSource,
    UnionSource,
    WindowMetric,
    column_refs,
)
from sagitta_compiler.model.rules.columns import output_labels, source_objects
from sagitta_compiler.query.filters import filter_leaves


@dataclass(frozen=True, slots=True)
class LineageItem:
    """One thing that a name is made of; `depth` counts the steps from the name."""

    type: str
    """`metric`, `measure`, `dimension`, `expression`, `column`, `data_object` or `physical_column`."""
    name: str
    detail: str | None = None
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Lineage:
    """Everything that a name is made of, from the name down."""

    name: str
    type: str
    items: tuple[LineageItem, ...]

    @property
    def physical_columns(self) -> tuple[str, ...]:
        """The physical columns at the bottom, as `database.schema.table.column`."""
        return tuple(item.name for item in self.items if item.type == "physical_column")


@dataclass
class _Trail:
    """Collects the items, each once."""

    model: ResolvedModel
    items: dict[tuple[str, str], LineageItem] = field(default_factory=dict)

    def add(self, kind: str, name: str, detail: str | None, depth: int) -> bool:
        """Adds an item; returns whether it is new."""
        if (kind, name) in self.items:
            return False
        self.items[kind, name] = LineageItem(kind, name, detail, depth)
        return True


def lineage(model: ResolvedModel, name: str) -> Lineage | None:
    """Returns what a dimension, measure, metric, data object or `Object.Column` is made of; None for other names."""
    trail = _Trail(model)
    if name in model.dimensions:
        kind = "dimension"
        _dimension(trail, model.dimensions[name], 0)
    elif name in model.measures:
        kind = "measure"
        _measure(trail, model.measures[name], 0)
    elif name in model.metrics:
        kind = "metric"
        _metric(trail, model.metrics[name], 0)
    elif name in model.objects:
        kind = "data_object"
        _data_object(trail, model.objects[name], 0)
    elif (ref := next(_columns_named(model, name), None)) is not None:
        kind = "column"
        _column(trail, ref, None, 0)
    else:
        return None
    return Lineage(name, kind, tuple(trail.items.values()))


def _columns_named(model: ResolvedModel, name: str) -> Iterator[ColumnRef]:
    return (ref for ref in column_refs(name) if ref.column in _columns(model, ref.object))


def _columns(model: ResolvedModel, name: str) -> dict[str, Column]:
    return dict(model.objects[name].columns) if name in model.objects else {}


def _dimension(trail: _Trail, dimension: Dimension, depth: int) -> None:
    grain = f", timeGrain={dimension.time_grain}" if dimension.time_grain else ""
    via = f", via={dimension.via}" if dimension.via else ""
    if trail.add("dimension", dimension.name, f"type={dimension.result_type}{grain}{via}", depth):
        _column(trail, dimension.ref, "source column", depth + 1)


def _figure(trail: _Trail, name: str, depth: int) -> None:
    if name in trail.model.measures:
        _measure(trail, trail.model.measures[name], depth)
    elif name in trail.model.metrics:
        _metric(trail, trail.model.metrics[name], depth)


def _metric(trail: _Trail, metric: Metric, depth: int) -> None:
    if not trail.add("metric", metric.name, f"type={metric.type}", depth):
        return
    match metric:
        case DerivedMetric() | PeriodOverPeriodMetric():
            trail.add("expression", metric.expression.text, f"formula of {metric.name}", depth + 1)
            for name in metric.expression.measures:
                _figure(trail, name, depth + 1)
        case CumulativeMetric() | WindowMetric():
            if metric.measure is not None:
                _figure(trail, metric.measure, depth + 1)
    time = None if isinstance(metric, DerivedMetric) else metric.time_dimension
    if time is not None and time in trail.model.dimensions:
        _dimension(trail, trail.model.dimensions[time], depth + 1)


def _measure(trail: _Trail, measure: Measure, depth: int) -> None:
    detail = f"aggregation={measure.aggregation}, type={measure.result_type}"
    if not trail.add("measure", measure.name, detail, depth):
        return
    if measure.expression is not None:
        trail.add("expression", measure.expression.text, f"argument of {measure.name}", depth + 1)
        for name in measure.expression.measures:
            _figure(trail, name, depth + 1)
        for ref in measure.expression.columns:
            _column(trail, ref, "referenced in expression", depth + 1)
    for ref in measure.columns:
        _column(trail, ref, "source column", depth + 1)
    if measure.count_of is not None:
        _data_object(trail, trail.model.objects[measure.count_of], depth + 1)
    for leaf in filter_leaves(measure.filters):
        for ref in _columns_named(trail.model, leaf.field):
            _column(trail, ref, "filtered by", depth + 1)
    if measure.semi_additive is not None:
        for ref in (measure.semi_additive.time, *measure.semi_additive.per):
            _column(trail, ref, "semi-additive over", depth + 1)


def _column(trail: _Trail, ref: ColumnRef, detail: str | None, depth: int) -> None:
    if not trail.add("column", str(ref), detail, depth):
        return
    data_object = trail.model.objects[ref.object]
    column = data_object.columns[ref.column]
    if column.expression is not None:
        trail.add("expression", column.expression.text, f"formula of {ref}", depth + 1)
        for inner in column.expression.columns:
            _column(trail, inner, "referenced in expression", depth + 1)
        for name in column.expression.measures:
            _figure(trail, name, depth + 1)
        return
    _source_column(trail, data_object, column, depth + 1)
    _data_object(trail, data_object, depth + 1)


def _source_column(trail: _Trail, data_object: DataObject, column: Column, depth: int) -> None:
    """Goes on to where a plain column's values lie."""
    match data_object.source:
        case TableSource() as table:
            trail.add("physical_column", f"{table.qualified}.{column.code}", str(column.type), depth)
        case NestedSource() as nested:
            array = ColumnRef(nested.parent, nested.column)
            if array.column in _columns(trail.model, array.object):
                _column(trail, array, f"element {column.code}", depth)
        case UnionSource() as union:
            for member in union.members:
                if column.name in member.columns:
                    ref = ColumnRef(member.object, member.columns[column.name])
                    _column(trail, ref, "united", depth)
        case QuerySource() as derived:
            _output(trail, derived, column.code, depth)


def _output(trail: _Trail, source: QuerySource, label: str, depth: int) -> None:
    """Goes on to what a derived object's query returns under a label."""
    query, model = source.query, trail.model
    for item in query.dimensions:
        names = getattr(item, "names", None) or (getattr(item, "name", ""),)
        labels = {item.alias, *names, *(f"{name}:{getattr(item, 'grain', None)}" for name in names)}
        if label in labels:
            for name in names:
                if name in model.dimensions:
                    _dimension(trail, model.dimensions[name], depth)
    for measure in query.measures:
        if label == (measure.alias or measure.name):
            _figure(trail, measure.name, depth)
    for raw in query.fields:
        if label == (raw.alias or f"{raw.object}.{raw.column}"):
            _column(trail, ColumnRef(raw.object, raw.column), "selected", depth)


def _data_object(trail: _Trail, data_object: DataObject, depth: int) -> None:
    match data_object.source:
        case TableSource() as table:
            detail = f"table={table.qualified}"
        case NestedSource() as nested:
            detail = f"nestedIn={nested.parent}.{nested.column}"
        case UnionSource() as union:
            detail = f"unionOf={', '.join(member.object for member in union.members)}"
        case QuerySource() as derived:
            detail = f"query={', '.join(output_labels(derived.query))}"
    if trail.add("data_object", data_object.name, detail, depth):
        for name in sorted(source_objects(trail.model, data_object)):
            _data_object(trail, trail.model.objects[name], depth + 1)
