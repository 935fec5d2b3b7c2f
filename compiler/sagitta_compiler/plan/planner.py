"""What every part of one planning shares: the model, the query, the names, and the record of what was decided."""

from __future__ import annotations

from dataclasses import dataclass, field

from sagitta_compiler.diagnostics import Diagnostics
from sagitta_compiler.model.resolved import Measure, ResolvedModel
from sagitta_compiler.model.types import Aggregation
from sagitta_compiler.plan.frames import Labels
from sagitta_compiler.plan.graph import AmbiguousPathError, JoinGraph, Path
from sagitta_compiler.plan.routes import Route, member_path, route, waypoint
from sagitta_compiler.plan.scope import ObjectFrames
from sagitta_compiler.query.bound import BoundDimension, BoundQuery, Clause, LeafValue, Member, Predicate, members_of
from sagitta_compiler.sql.result import Leg


class PlanningError(Exception):
    """The plan cannot be made; the reason is among the diagnostics."""


@dataclass(slots=True)
class Planner:
    """One planning: what is asked, and what was found on the way."""

    model: ResolvedModel
    query: BoundQuery
    graph: JoinGraph
    out: Diagnostics
    labels: Labels
    frames: ObjectFrames
    legs: list[Leg] = field(default_factory=list)
    tables: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    """The labels of the dimensions that some leg reaches."""
    reached: set[tuple[Clause, Member]] = field(default_factory=set)
    """The fields of clauses that some leg reaches."""
    unseen: dict[tuple[Clause, Member], list[str]] = field(default_factory=dict)
    """The fields of clauses that a leg does not reach, with the homes of those legs."""
    rowless: set[tuple[Clause, Member]] = field(default_factory=set)
    """Those that the rows of the dimensions alone do not have, where no measure brings rows."""
    narrowed: set[tuple[LeafValue, Predicate, Member]] = field(default_factory=set)
    """The fields of leaves' own filters that they reach."""
    unnarrowed: dict[tuple[LeafValue, Predicate, Member], str] = field(default_factory=dict)
    """Those that a leaf does not reach, with its home."""
    shift: str | None = None

    def record_filters(
        self, home: str, clauses: tuple[Clause, ...], unseen: list[tuple[Clause, Member]], *, unmeasured: bool = False
    ) -> None:
        """Remembers which fields of the filters a leg reaches and which it does not."""
        for clause in clauses:
            for member in clause.members:
                if (clause, member) in unseen:
                    self.unseen.setdefault((clause, member), []).append(home)
                    if unmeasured:
                        self.rowless.add((clause, member))
                elif not unmeasured:
                    self.reached.add((clause, member))

    def fail(self, code: str, message: str, path: str = "select", **rest: object) -> PlanningError:
        """Records an error that ends the planning."""
        self.out.error(code, message, path, **rest)
        return PlanningError(message)

    def path(self, source: str, member: Member) -> Path | None:
        """The path from an object to a member; a tie is reported."""
        try:
            return member_path(self.graph, source, member)
        except AmbiguousPathError as tie:
            raise self.ambiguous(tie) from tie

    def route(self, home: str, dims: tuple[BoundDimension, ...]) -> Route:
        """How the rows of a home are read by these dimensions; a tie is reported."""
        try:
            return route(self.graph, home, dims)
        except AmbiguousPathError as tie:
            raise self.ambiguous(tie) from tie

    def ambiguous(self, tie: AmbiguousPathError) -> PlanningError:
        return self.fail(
            "AMBIGUOUS_JOIN_PATH",
            f"'{tie.source}' reaches '{tie.target}' by several equally short paths, through {', '.join(tie.through)}",
            "select.dimensions",
            hint="Say which with `via` on the dimension or `usePathNames` in the query.",
            context={"source": tie.source, "target": tie.target, "through": tie.through},
        )

    def home_of(self, measure: Measure, dims: tuple[BoundDimension, ...]) -> str:
        """The object whose rows a measure counts."""
        memo = self.model.derived
        key = ("home", measure.name, id(self.graph))
        if key in memo:
            home: str = memo[key]
            return home
        objects = objects_of(measure)
        if not objects and measure.aggregation is Aggregation.MEASURE and not self.out.has_errors:
            objects = (measure.anchor or self._only_object(measure),)
        if not objects:
            return self.anchor_of(self.query.dimensions or dims)
        root = self.graph.common_root(objects)
        if root is None:
            return self._conformed_home(measure, objects)
        memo[key] = root
        return root

    def _only_object(self, measure: Measure) -> str:
        """Where a measure of the warehouse is defined, when its anchor does not say so."""
        if len(self.model.objects) == 1:
            return next(iter(self.model.objects))
        raise self.fail(
            "ANCHOR_REQUIRED_AMBIGUOUS_KEY",
            f"'{measure.name}' is defined in the warehouse, and the model does not say on which data object",
            f"measures.{measure.name}",
            hint="Name the data object with `anchor`.",
            context={"measure": measure.name},
        )

    def _conformed_home(self, measure: Measure, objects: tuple[str, ...]) -> str:
        """The object to whose grain facts without a common root are brought: the anchor, or the one they share."""
        home = measure.anchor
        if home is None:
            shared = [n for n in self.graph.names if all(n == o or self.graph.joins_directly(o, n) for o in objects)]
            if len(shared) != 1:
                raise self.no_shared_key(measure.name, " and ".join(objects), tuple(shared))
            home = shared[0]
            self.out.warning(
                "CONFORMED_GRAIN_ASSUMED",
                f"'{measure.name}' reads {' and '.join(objects)}: each is summed per row of '{home}' first",
                "select.measures",
                hint="Say so with `anchor`.",
                context={"measure": measure.name, "dataObject": home},
            )
        self._check_conformed(measure, home, objects)
        return home

    def _check_conformed(self, measure: Measure, home: str, objects: tuple[str, ...]) -> None:
        """A filter on a fact that is summed beforehand would come too late."""
        far = {name for name in objects if name not in self.graph.reach(home)}
        for clause in self.query.clauses:
            if not clause.static and (facts := far.intersection(member.ref.object for member in clause.members)):
                raise self._filters_conformed(measure, home, min(facts), f"'{clause.text}' filters", "where")

    def check_own_filters(self, leaf: LeafValue, home: str) -> None:
        """A measure's own filter on a fact that it sums beforehand would come too late, too."""
        measure = leaf.measure
        far = {name for name in objects_of(measure) if self.graph.any_path(home, name) is None}
        own = (member.ref.object for part in leaf.filters for member in members_of(part))
        if far and (facts := far.intersection(own)):
            path = f"measures.{measure.name}.filters"
            raise self._filters_conformed(measure, home, min(facts), f"A filter of '{measure.name}' is on", path)

    def _filters_conformed(self, measure: Measure, home: str, fact: str, filtered: str, path: str) -> PlanningError:
        return self.fail(
            "FILTER_ON_CONFORMED_OBJECT",
            f"{filtered} '{fact}', which '{measure.name}' sums per row of '{home}' beforehand",
            path,
            hint="Filter the measure's own facts in measures of their own, and combine those in a metric.",
            context={"measure": measure.name, "dataObject": fact},
        )

    def no_shared_key(self, measure: str, facts: str, shared: tuple[str, ...]) -> PlanningError:
        """There is not exactly one object whose key the facts share."""
        found = f"several: {', '.join(shared)}" if shared else "none"
        return self.fail(
            "ANCHOR_REQUIRED_AMBIGUOUS_KEY",
            f"'{measure}' needs {facts} at one grain, and the objects that all of them join directly are {found}",
            f"measures.{measure}.anchor",
            hint="Name the object with `anchor`.",
            context={"measure": measure, "candidates": shared},
        )

    def anchor_of(self, dims: tuple[BoundDimension, ...]) -> str:
        """The object to read when nothing is measured: the common root of the dimensions, then of the filters."""
        objects = [waypoint(member) for dim in dims for member in dim.members]
        filtered = [waypoint(member) for clause in self.query.clauses for member in clause.members]
        if not objects and not filtered:
            return next((name for name, obj in self.model.objects.items() if obj.joins), next(iter(self.model.objects)))
        root = self.graph.common_root(objects or filtered) or self.graph.common_root([*objects, *filtered])
        if root is None and (first := [waypoint(dim.members[0]) for dim in dims]):
            root = self.graph.common_root(first)
        if root is None:
            names = ", ".join(f"'{dim.label}'" for dim in dims)
            raise self.fail(
                "UNREACHABLE_REQUIRED_OBJECT",
                f"No data object reaches all of {names}",
                "select.dimensions",
                hint="Add a measure whose rows they have in common, or ask for them one by one.",
                context={"dimensions": tuple(dim.label for dim in dims)},
            )
        return root


def shared_objects(graph: JoinGraph, base: str, fact: str) -> tuple[str, ...]:
    """The objects to which a fact joins directly and that the base is, or joins directly too."""
    targets = (edge.target for edge in graph.edges(fact, "single") if edge.forward)
    return tuple(name for name in dict.fromkeys(targets) if name == base or graph.joins_directly(base, name))


def objects_of(measure: Measure) -> tuple[str, ...]:
    """The objects that a measure's argument reads."""
    if measure.count_of is not None:
        return (measure.count_of,)
    refs = [ref.object for ref in measure.columns]
    if measure.expression is not None:
        refs += [ref.object for ref in measure.expression.columns]
    if measure.within_group is not None:
        refs.append(measure.within_group.column.object)
    if measure.semi_additive is not None:
        refs.append(measure.semi_additive.time.object)
        refs += [ref.object for ref in measure.semi_additive.per]
    return tuple(dict.fromkeys(refs))
