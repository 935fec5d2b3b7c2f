"""BoundQuery -> Plan: which frame answers the query, and what was decided on the way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from sagitta_compiler.context import CompileContext
from sagitta_compiler.diagnostics import Diagnostics
from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.plan.absent import absent_combinations
from sagitta_compiler.plan.evaluate import evaluate
from sagitta_compiler.plan.finish import finish
from sagitta_compiler.plan.frames import Labels
from sagitta_compiler.plan.graph import join_graph
from sagitta_compiler.plan.objects import ObjectFramesOf
from sagitta_compiler.plan.planner import Planner, PlanningError
from sagitta_compiler.plan.raw import raw_select
from sagitta_compiler.plan.relations import Select
from sagitta_compiler.plan.subtotals import with_subtotals
from sagitta_compiler.query.bind import bind_query
from sagitta_compiler.query.bound import BoundQuery, Clause, Member, leaves_of, values_of
from sagitta_compiler.query.query import Query
from sagitta_compiler.sql.result import Leg


@dataclass(frozen=True, slots=True)
class Engine:
    """What a plan may use of the engine that will run it."""

    grouping_sets: bool = True
    """ROLLUP, CUBE and GROUPING; without, levels are united."""
    unnests: bool = True
    """Arrays unnested in FROM; without, a nested object is read from its fallback table."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The relation that answers a query, and its legs."""

    select: Select
    legs: tuple[Leg, ...]
    tables: tuple[str, ...]
    """The labels of the objects that it reads."""


def build_plan(
    model: ResolvedModel, query: BoundQuery, out: Diagnostics, context: CompileContext, engine: Engine
) -> Plan | None:
    """Plans a bound query; None when the diagnostics say why there is no plan."""
    frames = ObjectFramesOf(model, partial(_derived, context, engine), unnests=engine.unnests)
    labels = Labels(dim.label for dim in query.dimensions)
    planner = Planner(model, query, join_graph(model, query.paths), out, labels, frames)
    frames.planner = planner
    try:
        select = _select(planner, engine)
    except PlanningError:
        return None
    _check_reach(planner)
    return None if out.has_errors else Plan(select, tuple(planner.legs), tuple(sorted(planner.tables)))


def _derived(context: CompileContext, engine: Engine, outer: Planner, query: Query, name: str) -> Select:
    """The query of a derived data object, planned as if it were asked."""
    bound = bind_query(outer.model, query, context, outer.out)
    if outer.out.has_errors:
        raise PlanningError(name)
    labels = Labels(dim.label for dim in bound.dimensions)
    graph = join_graph(outer.model, bound.paths)
    planner = Planner(outer.model, bound, graph, outer.out, labels, outer.frames, tables=outer.tables)
    select = replace(_select(planner, engine), name=name, note=f"the query of {name}")
    _check_reach(planner)
    return select


def _select(planner: Planner, engine: Engine) -> Select:
    query = planner.query
    if query.fields:
        return raw_select(planner)
    if query.dimensions_exclude:
        return absent_combinations(planner)
    for measure in query.measures:
        planner.labels.reserve(measure.value, measure.label)
    if query.grouping is not None:
        return with_subtotals(planner, query.grouping, native=engine.grouping_sets)
    selected = tuple(measure.value for measure in query.measures)
    frame = evaluate(planner, query.dimensions, query.clauses, selected, values_of(query.having))
    return finish(planner, frame)


def _check_reach(planner: Planner) -> None:
    """Reports dimensions and filters that no leg reaches, and warns of filters that some do not."""
    for dim in planner.query.dimensions:
        if dim.label not in planner.seen:
            measured = [leg for leg in planner.legs if leg.measures]
            names = tuple(dict.fromkeys(leg.home for leg in measured or planner.legs))
            planner.out.error(
                "UNREACHABLE_REQUIRED_OBJECT",
                f"'{dim.label}' cannot be reached from {' or '.join(names)}",
                "select.dimensions",
                hint="Leave it out, or add a measure whose rows it describes.",
                context={"dimension": dim.label, "dataObject": dim.members[0].ref.object, "homes": names},
            )
    _check_own_filters(planner)
    for (clause, member), homes in planner.unseen.items():
        _report_filter(planner, clause, member, tuple(dict.fromkeys(homes)))


def _check_own_filters(planner: Planner) -> None:
    """A field of a filter must be reached by a measure of the item that it filters, whatever else is asked.

    A measure's own filter filters that measure alone.
    """
    asked = [leaves_of(value) for value in planner.query.values]
    for (leaf, predicate, member), home in planner.unnarrowed.items():
        items = [leaves for leaves in asked if leaf in leaves] or [(leaf,)]
        reached = (any((other, predicate, member) in planner.narrowed for other in leaves) for leaves in items)
        own = predicate in leaf.filters[: leaf.own]
        _report_own_filter(planner, member, leaf.name, home, reached=not own and all(reached))


def _report_own_filter(planner: Planner, member: Member, measure: str, home: str, *, reached: bool) -> None:
    report = planner.out.warning if reached else planner.out.error
    report(
        "FILTER_FIELD_UNREACHABLE" if reached else "INVALID_MEASURE_FILTER",
        f"The filter of '{measure}' names {member.name}, which cannot be reached from '{home}'",
        f"measures.{measure}.filters",
        context={"measure": measure, "field": member.name, "home": home},
    )


def _report_filter(planner: Planner, clause: Clause, member: Member, homes: tuple[str, ...]) -> None:
    where = " and ".join(homes)
    context = {"filter": clause.text, "field": member.name, "homes": homes}
    if clause.static or (clause, member) not in planner.reached - planner.rowless:
        planner.out.error(
            "UNREACHABLE_REQUIRED_OBJECT",
            f"The filter '{clause.text}' cannot be applied: {member.name} cannot be reached from {where}",
            "filters" if clause.static else "where",
            hint="Remove the filter, or declare a join."
            if clause.static
            else "Filter by a field of the measured rows.",
            context=context,
        )
    else:
        planner.out.warning(
            "FILTER_FIELD_UNREACHABLE",
            f"{member.name} cannot be reached from {where}: there it counts as NULL in '{clause.text}'",
            "where",
            context=context,
        )
