"""Semi-additive measures: entities add up, points in time do not.

With `first` and `last` every entity gives its rows at its own first or last point in time within the group; with `min`,
`max` and `avg` its points in time are aggregated first. Then the entities are aggregated as the measure says.
"""

from __future__ import annotations

from dataclasses import replace

from sagitta_compiler.model.resolved import ColumnRef, SemiAdditive
from sagitta_compiler.model.types import SemiAdditiveFunction
from sagitta_compiler.plan.aggregates import aggregate_of, named
from sagitta_compiler.plan.frames import Frame, Labels
from sagitta_compiler.plan.legs import Coordinates, entity_rows
from sagitta_compiler.plan.planner import Planner
from sagitta_compiler.plan.relations import Output, Select, Source
from sagitta_compiler.plan.scalars import Aggregate, Call, Field, Over, Scalar, coalesce
from sagitta_compiler.query.bound import BoundDimension, LeafValue

_AT_EDGE = {SemiAdditiveFunction.FIRST: "min", SemiAdditiveFunction.LAST: "max"}


def semi_additive_frame(
    planner: Planner, where: Coordinates, leaf: LeafValue, dims: tuple[BoundDimension, ...]
) -> Frame:
    """The frame of one semi-additive measure at its grain."""
    semi = leaf.measure.semi_additive
    assert semi is not None
    rows, columns = entity_rows(planner, where, leaf, dims, semi.time, entity_of(planner, where.home, semi))
    labels = Labels(output.label for output in rows.columns)
    keys = [*columns.dims, *columns.entity]
    if (edge := _AT_EDGE.get(semi.function)) is not None:
        chosen, source = _at_edge(rows, columns.time, keys, edge, labels)
    else:
        chosen, source = _per_entity(rows, leaf, semi, columns.time, columns.arguments, keys)
    final: dict[str, Scalar] = {label: Field(source, label) for label in columns.dims}
    args: tuple[Scalar, ...] = tuple(Field(source, label) for label in columns.arguments)
    value = aggregate_of(leaf.measure, args, None, kept=leaf.kept)
    counts = isinstance(value, Aggregate) and value.function == "count"
    if leaf.empty is not None and not counts:
        value = coalesce(value, leaf.empty)
    return Frame(replace(chosen, group=tuple(final.values()), note=f"{leaf.name}: over entities"), final, {leaf: value})


def entity_of(planner: Planner, home: str, semi: SemiAdditive) -> tuple[ColumnRef, ...]:
    """The columns that tell entities apart: those declared, else the home's other key columns."""
    if semi.per:
        return semi.per
    key = planner.model.objects[home].primary_key
    return tuple(ColumnRef(home, name) for name in key if ColumnRef(home, name) != semi.time)


def _at_edge(rows: Select, time: str, keys: list[str], edge: str, labels: Labels) -> tuple[Select, str]:
    """The rows at each entity's own first or last point in time."""
    inside, outside = "entity rows", "edge rows"
    label = labels.fresh("edge")
    over = Over(edge, (Field(inside, time),), tuple(Field(inside, key) for key in keys))
    columns = tuple(Output(column.label, Field(inside, column.label)) for column in rows.columns)
    marked = Select(
        (*columns, Output(label, over)), Source(rows, inside), name=outside, note="each entity's own edge in time"
    )
    condition = Call("eq", (Field(outside, time), Field(outside, label)))
    return Select((), Source(marked, outside), where=condition), outside


def _per_entity(
    rows: Select, leaf: LeafValue, semi: SemiAdditive, time: str, arguments: tuple[str, ...], keys: list[str]
) -> tuple[Select, str]:
    """One row per entity: its points in time, each aggregated as the measure says, aggregated over time."""
    inside, points, entities = "entity rows", "points in time", "entities"
    group = tuple(Field(inside, key) for key in (*keys, time))
    point = aggregate_of(leaf.measure, tuple(Field(inside, label) for label in arguments), None, kept=leaf.kept)
    at_point = Select(
        (*(Output(key.name, key) for key in group), Output(arguments[0], point)),
        Source(rows, inside),
        group=group,
        name=points,
        note="one value per entity and point in time",
    )
    per = tuple(Field(points, key) for key in keys)
    value = Aggregate(named(semi.function.value, leaf.kept), (Field(points, arguments[0]),))
    per_entity = Select(
        (*(Output(key.name, key) for key in per), Output(arguments[0], value)),
        Source(at_point, points),
        group=per,
        name=entities,
        note=f"{semi.function.value} over each entity's points in time",
    )
    return Select((), Source(per_entity, entities)), entities
