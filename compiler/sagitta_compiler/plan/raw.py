"""Raw queries: rows of the model's objects, joined but not aggregated."""

from __future__ import annotations

from dataclasses import replace

from sagitta_compiler.plan.conditions import Conditions
from sagitta_compiler.plan.finish import order_of
from sagitta_compiler.plan.graph import AmbiguousPathError, Path
from sagitta_compiler.plan.planner import Planner
from sagitta_compiler.plan.relations import Output, Select, Source, Union
from sagitta_compiler.plan.routes import Route
from sagitta_compiler.plan.scalars import Field, Literal, all_of
from sagitta_compiler.plan.scope import Scope
from sagitta_compiler.query.bound import BoundField
from sagitta_compiler.sql.result import Leg


def raw_select(planner: Planner) -> Select:
    """The rows from the common root of the fields; without one, those of each leading object in turn."""
    query = planner.query
    try:
        legs = [_leg(planner, root, fields) for root, fields in _roots(planner)]
    except AmbiguousPathError as tie:
        raise planner.ambiguous(tie) from tie
    labels = tuple(field.label for field in query.fields)
    shown = (*query.column_order, *(label for label in labels if label not in query.column_order))
    order = order_of(query, labels)
    if len(legs) == 1:
        outputs = {output.label: output for output in legs[0].columns}
        select = replace(legs[0], columns=tuple(outputs[label] for label in shown))
    else:
        name = "composite_raw"
        source = Source(Union(tuple(legs), name, "rows of independent facts"), name)
        select = Select(tuple(Output(label, Field(name, label)) for label in shown), source)
    return replace(select, order=order, limit=query.limit, offset=query.offset, distinct=query.distinct, name="result")


def _roots(planner: Planner) -> list[tuple[str, tuple[BoundField, ...]]]:
    """The objects to read from, each with the fields that it sees; the fewest that see all."""
    fields = planner.query.fields
    objects = tuple(dict.fromkeys(field.member.ref.object for field in fields))
    if (root := planner.graph.common_root(objects)) is not None:
        return [(root, fields)]
    leaders = [
        name
        for name in objects
        if not any(other != name and name in planner.graph.reach(other, "many") for other in objects)
    ]
    return [
        (leader, tuple(f for f in fields if f.member.ref.object in planner.graph.reach(leader, "many")))
        for leader in leaders
    ]


def _path(planner: Planner, root: str, field: BoundField) -> Path | None:
    """The path to a field's object; rows meet all their partners, for raw rows are not counted."""
    target = field.member.ref.object
    return planner.graph.any_path(root, target)


def _leg(planner: Planner, root: str, fields: tuple[BoundField, ...]) -> Select:
    query = planner.query
    scope = Scope(planner.model, planner.graph, root, planner.frames)
    paths = {field.member: _path(planner, root, field) for field in fields}
    fans = any(edge.multiplies for path in paths.values() for edge in path or ())
    shown = Route(root, root, (), fans, paths)
    conditions = Conditions(scope, planner.graph, shown, planner.out, query.policies)
    outputs = []
    for field in query.fields:
        path = paths.get(field.member)
        scalar = Literal(None, field.member.type) if path is None else scope.member(path, field.member, reason="field")
        outputs.append(Output(field.label, scalar))
        planner.seen.add(field.label)
    where = all_of(c for c in (conditions.where(query.clauses), *conditions.policies()) if c is not None)
    planner.record_filters(root, query.clauses, conditions.unseen)
    planner.tables.update(scope.aliases.objects)
    texts = tuple(clause.text for clause in query.clauses)
    planner.legs.append(Leg((), root, root, f"'{root}' sees the fields", (), tuple(scope.steps), texts))
    return Select(tuple(outputs), scope.source, tuple(scope.joins), where, name=f"{root} rows", note=f"rows of {root}")
