"""`dimensionsExclude`: the combinations of members that do not occur."""

from __future__ import annotations

from dataclasses import replace

from sagitta_compiler.plan.evaluate import evaluate
from sagitta_compiler.plan.finish import order_of
from sagitta_compiler.plan.frames import as_select
from sagitta_compiler.plan.legs import Coordinates, build_leg
from sagitta_compiler.plan.planner import Planner
from sagitta_compiler.plan.relations import Except, JoinKind, JoinTo, Output, Select, Source
from sagitta_compiler.plan.routes import waypoint
from sagitta_compiler.plan.scalars import Call, Field, all_of
from sagitta_compiler.query.bound import BoundDimension, Clause


def absent_combinations(planner: Planner) -> Select:
    """Every combination of the dimensions' members, less those that the common root has."""
    query = planner.query
    existing = evaluate(planner, query.dimensions, query.clauses, ())
    members = [Source(_members(planner, dim, query.clauses), f"every {dim.label}") for dim in query.dimensions]
    crossed = Select(
        tuple(
            Output(dim.label, Field(source.alias, dim.label))
            for dim, source in zip(query.dimensions, members, strict=True)
        ),
        members[0],
        tuple(JoinTo(source, None, JoinKind.CROSS) for source in members[1:]),
        name="every combination",
    )
    found = as_select(existing, planner.labels, "existing combinations", values=())
    name = "absent combinations"
    labels = tuple(dim.label for dim in query.dimensions)
    shown = (*query.column_order, *(label for label in labels if label not in query.column_order))
    return Select(
        tuple(Output(label, Field(name, label)) for label in shown),
        Source(Except(crossed, found, name), name),
        order=order_of(query, labels),
        limit=query.limit,
        offset=query.offset,
        name="result",
    )


def _members(planner: Planner, dim: BoundDimension, clauses: tuple[Clause, ...]) -> Select:
    """The members of one dimension in its own object, NULL being none; filters that its rows can see apply."""
    home = planner.graph.common_root(waypoint(member) for member in dim.members) or dim.members[0].ref.object
    reach = planner.graph.reach(home)
    seen = tuple(c for c in clauses if c.static or all(waypoint(m) in reach for m in c.members))
    frame = build_leg(planner, Coordinates(home, (dim,), seen), (), (dim,))
    condition = Call("is_not_null", (frame.dims[dim.label],))
    where = all_of(c for c in (frame.select.where, condition) if c is not None)
    return as_select(
        replace(frame, select=replace(frame.select, where=where)),
        planner.labels,
        f"every {dim.label}",
        f"every member of {dim.label}",
    )
