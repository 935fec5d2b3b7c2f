"""Legs: measures that share home, grain and filters, aggregated in one SELECT."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from sagitta_compiler.model.resolved import ColumnRef
from sagitta_compiler.model.types import Aggregation
from sagitta_compiler.plan.aggregates import aggregate, arguments
from sagitta_compiler.plan.conditions import Conditions, truncated
from sagitta_compiler.plan.context import clauses_of, grain_of
from sagitta_compiler.plan.frames import Frame, Labels
from sagitta_compiler.plan.graph import AmbiguousPathError, Path, across, joined
from sagitta_compiler.plan.planner import Planner, objects_of
from sagitta_compiler.plan.relations import Output, Select, Source
from sagitta_compiler.plan.routes import Route, member_path
from sagitta_compiler.plan.scalars import Aggregate, Call, Field, Literal, Scalar, SortKey, all_of, coalesce, rewrite
from sagitta_compiler.plan.scope import Scope
from sagitta_compiler.query.bound import BoundDimension, Clause, LeafValue, Member, NestedValue, Value, members_of
from sagitta_compiler.sql.result import Leg


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where a leaf lies; leaves with equal coordinates share one SELECT."""

    home: str
    grain: tuple[BoundDimension, ...]
    clauses: tuple[Clause, ...]
    fans_out: bool = False
    bridges: frozenset[Path] = frozenset()
    """The paths across joins that multiply which the measure's argument walks: its rows are the joined rows."""
    demands: frozenset[Path] = frozenset()
    """The paths with required joins that the measure itself walks: they drop rows, for it alone."""
    alone: LeafValue | None = None
    """A leaf that cannot share, because its filter looks at other rows than its home's."""
    unmeasured: bool = field(default=False, compare=False)
    """Rows of the dimensions alone, where the query does read measures: what those do not reach, no leaf reaches."""

    def brings_rows_of(self, other: Coordinates) -> bool:
        """Whether the groups here are at least those of other coordinates; a filter on other rows may drop some."""
        same = (self.home, self.grain, self.clauses) == (other.home, other.grain, other.clauses)
        return same and self.alone is None and self.demands <= other.demands


def coordinates(
    planner: Planner, leaf: LeafValue, dims: tuple[BoundDimension, ...], clauses: tuple[Clause, ...]
) -> Coordinates:
    """The coordinates of a leaf in a query by `dims` under `clauses`."""
    home = planner.home_of(leaf.measure, dims)
    planner.check_own_filters(leaf, home)
    grain, applied = reach_of(planner, leaf, dims, clauses)
    far = any(planner.path(home, member) is None for part in leaf.filters for member in members_of(part))
    bridges = _bridges(planner, home, leaf)
    return Coordinates(
        home,
        grain,
        applied,
        leaf.measure.allow_fan_out,
        bridges,
        _demands(planner, home, leaf),
        leaf if far else None,
    )


def reach_of(
    planner: Planner, value: LeafValue | NestedValue, dims: tuple[BoundDimension, ...], clauses: tuple[Clause, ...]
) -> tuple[tuple[BoundDimension, ...], tuple[Clause, ...]]:
    """The grain and the filters of a value, as its `grain` and `filterContext` change those of the query."""
    grain = grain_of(value.grain, dims)
    applied = clauses_of(planner.model, value.context, value.included, clauses)
    if value.context is not None and grain == dims:
        applied = (*applied, *(c for c in clauses if c not in applied and _on_shown(c, dims)))
    return grain, applied


def supplied_under(
    planner: Planner, value: LeafValue | NestedValue, dims: tuple[BoundDimension, ...], clauses: tuple[Clause, ...]
) -> tuple[Clause, ...]:
    """The filters under which a value brings rows: its own at the query's grain, else the query's.

    A row of a subtotal stands for rows of the detail, so that what a clause says of members as shown holds for it, too.
    """
    grain, applied = reach_of(planner, value, dims, clauses)
    if grain != dims:
        return clauses
    if value.context is None:
        return applied
    shown = (*planner.query.dimensions, *dims)
    return (*applied, *(c for c in clauses if c not in applied and _on_shown(c, shown)))


def _on_shown(clause: Clause, dims: tuple[BoundDimension, ...]) -> bool:
    """Whether a clause speaks of nothing but selected members as shown: those must pass it in every row."""
    shown = {dim.members[0] for dim in dims if len(dim.members) == 1}
    return bool(clause.members) and all(member in shown for member in clause.members)


def _bridges(planner: Planner, home: str, leaf: LeafValue) -> frozenset[Path]:
    paths = (planner.graph.any_path(home, name) for name in objects_of(leaf.measure) if name != home)
    return frozenset(path for path in paths if path and any(edge.multiplies for edge in path))


def _demands(planner: Planner, home: str, leaf: LeafValue) -> frozenset[Path]:
    paths = [planner.graph.any_path(home, name) for name in objects_of(leaf.measure) if name != home]
    paths += [planner.path(home, member) for part in leaf.filters for member in members_of(part)]
    return frozenset(path for path in paths if path and any(edge.join.required for edge in path))


def build_leg(
    planner: Planner, where: Coordinates, leaves: tuple[LeafValue, ...], dims: tuple[BoundDimension, ...]
) -> Frame:
    """The frame of a leg: its grain and the values of its leaves. `dims` are those of the query."""
    try:
        return _Leg(planner, where, leaves, dims).frame()
    except AmbiguousPathError as tie:
        raise planner.ambiguous(tie) from tie


class _Leg:
    def __init__(
        self, planner: Planner, where: Coordinates, leaves: tuple[LeafValue, ...], dims: tuple[BoundDimension, ...]
    ) -> None:
        self._planner = planner
        self._where = where
        self._leaves = leaves
        self._dims = dims
        self._route: Route = planner.route(where.home, where.grain)
        self._deduplicates = self._fans() and not where.fans_out
        keyless = (self._object_at(path) for path in self._rows() if not self._key_columns(path))
        self._scope = Scope(
            planner.model,
            planner.graph,
            self._route.root,
            planner.frames,
            numbered=frozenset(keyless) if self._deduplicates else frozenset(),
        )
        self._conditions = Conditions(
            self._scope,
            planner.graph,
            self._route,
            planner.out,
            planner.query.policies,
            tuple(joined(self._route.to_home, path) for path in where.bridges),
        )
        self._partners: list[Scalar] = []

    def frame(self) -> Frame:
        scope, route = self._scope, self._route
        if route.to_home:
            scope.at(route.to_home, inner=True, reason="home of the measures")
        dims = {dim.label: self._dimension(dim) for dim in self._where.grain}
        self._demand()
        asked = self._conditions.where(self._where.clauses)
        values: dict[Value, Scalar] = {leaf: self._aggregate(leaf) for leaf in self._leaves}
        where = self._allowed(asked)
        self._record()
        select = Select((), scope.source, tuple(scope.joins), where, note=self._note())
        if self._deduplicates:
            return self._deduplicated(select, dims, values)
        return Frame(replace(select, group=tuple(dims.values())), dims, values)

    def _allowed(self, asked: Scalar | None) -> Scalar | None:
        """The query's condition with those that nobody asks for: row policies, and partners of required joins."""
        conditions = (asked, *self._conditions.policies(), *self._partners)
        return all_of(condition for condition in conditions if condition is not None)

    def _dimension(self, dim: BoundDimension) -> Scalar:
        """The dimension as this leg sees it; NULL where nothing reaches it."""
        found = []
        for member in dim.members:
            path = self._route.paths[member]
            if path is not None:
                scalar = self._scope.member(path, member, reason=f"dimension {dim.label}")
                found.append(truncated(self._scope, member, scalar))
        if not found:
            return Literal(None, dim.type)
        if self._leaves or not self._where.unmeasured:
            self._planner.seen.add(dim.label)
        return coalesce(*found)

    def _demand(self) -> None:
        """Walks the required joins that the query's dimensions or the measures need, for they drop rows."""
        for dim in self._dims:
            for member in dim.members if dim not in self._where.grain else ():
                path = member_path(self._planner.graph, self._where.home, member)
                if path and any(edge.join.required for edge in path):
                    self._scope.at(joined(self._route.to_home, path), reason=f"required by {dim.label}")
                elif path is None:
                    self._demands_a_partner(dim, member)
        for path in sorted(self._where.demands, key=len):
            self._scope.at(joined(self._route.to_home, path), reason="required by the measure")

    def _demands_a_partner(self, dim: BoundDimension, member: Member) -> None:
        """A required many-to-many step drops the rows without a partner, but must not multiply those with one.

        Where the step is walked anyway, the joined row is the partner.
        """
        path = member_path(self._planner.graph, self._where.home, member, "many")
        if not path or not any(edge.join.required for edge in path):
            return
        way = joined(self._route.to_home, path)
        if self._conditions.walks(way):
            self._scope.at(way, reason=f"required by {dim.label}")
        else:
            self._partners.append(self._conditions.has_partner(path))

    def _aggregate(self, leaf: LeafValue) -> Scalar:
        if leaf.measure.aggregation is Aggregation.MEASURE:
            return self._of_warehouse(leaf)
        condition = self._own_condition(leaf)
        whole = aggregate(self._scope, self._route.to_home, self._where.home, leaf.measure, condition)
        default = leaf.empty
        counts = isinstance(whole, Aggregate) and whole.function == "count"
        return whole if default is None or counts else coalesce(whole, default)

    def _of_warehouse(self, leaf: LeafValue) -> Scalar:
        """A measure that the warehouse defines; it takes the rows as they are, all of them and each once."""
        if leaf.filters or self._deduplicates:
            raise self._planner.fail(
                "UNSUPPORTED_AGGREGATION",
                f"'{leaf.name}' is defined in the warehouse: it can be neither filtered alone nor counted once per row",
                "select.measures",
                hint="Filter the whole query, and group by what its own rows have.",
                context={"measure": leaf.name},
            )
        return Aggregate("measure", (Field(self._scope.at(self._route.to_home), leaf.measure.name),))

    def _own_condition(self, leaf: LeafValue) -> Scalar | None:
        """The condition of the measure's own filters, and the record of what they reach."""
        planner = self._planner
        before = len(self._conditions.unseen)
        condition = self._conditions.own(leaf.filters)
        unseen = {member for _, member in self._conditions.unseen[before:]}
        del self._conditions.unseen[before:]
        for predicate in leaf.filters:
            for member in members_of(predicate):
                if member in unseen:
                    planner.unnarrowed[leaf, predicate, member] = self._where.home
                else:
                    planner.narrowed.add((leaf, predicate, member))
        return condition

    # once per home row

    def _deduplicated(self, select: Select, dims: dict[str, Scalar], values: dict[Value, Scalar]) -> Frame:
        """Each home row counts once per group: distinct rows first, aggregates after."""
        labels = Labels(dims)
        outputs = [Output(label, scalar) for label, scalar in dims.items()]
        outputs += [Output(labels.fresh(f"key_{at}"), key) for at, key in enumerate(self._key(), start=1)]
        name = f"{self._where.home} rows"
        lifted: dict[Scalar, Field] = {}

        def lift(scalar: Scalar) -> Scalar:
            if isinstance(scalar, Literal):
                return scalar
            if scalar not in lifted:
                label = labels.fresh(f"argument_{len(lifted) + 1}")
                outputs.append(Output(label, scalar))
                lifted[scalar] = Field(name, label)
            return lifted[scalar]

        lowered = {leaf: over_arguments(scalar, lift) for leaf, scalar in values.items()}
        inner = replace(select, columns=tuple(outputs), distinct=True, name=name, note="each home row once per group")
        keys: dict[str, Scalar] = {label: Field(name, label) for label in dims}
        outer = Select((), Source(inner, name), group=tuple(keys.values()), note=self._note())
        self._warn()
        return Frame(outer, keys, lowered)

    def _fans(self) -> bool:
        """Whether a row may be met several times; what the measure itself reads across a bridge makes other rows."""
        route, own = self._route, self._where.bridges
        if not route.fans or route.to_home or not own:
            return route.fans
        walked = (across(path) for path in route.paths.values() if path is not None)
        return any(not any(path[: len(steps)] == steps for path in own) for steps in walked)

    def _rows(self) -> tuple[Path, ...]:
        """The paths to what one row is made of: a row of the home, and one behind each bridge of the measure's own."""
        home = self._route.to_home
        bridges = sorted(self._where.bridges, key=lambda path: [(edge.target, edge.pairs) for edge in path])
        steps = (path[:at] for path in bridges for at, edge in enumerate(path, start=1) if edge.multiplies)
        return tuple(dict.fromkeys((home, *(joined(home, path) for path in steps))))

    def _key(self) -> tuple[Scalar, ...]:
        """What tells the rows apart."""
        return tuple(dict.fromkeys(key for path in self._rows() for key in self._key_at(path)))

    def _key_at(self, path: Path) -> Iterator[Scalar]:
        alias, columns = self._scope.at(path), self._key_columns(path)
        if not columns:
            yield Field(alias, Scope.ROW_NUMBER)
        for column in columns:
            yield self._scope.read(alias, ColumnRef(self._object_at(path), column), path)

    def _key_columns(self, path: Path) -> tuple[str, ...]:
        """The key of the object at a path, else the unique columns that lead to it; none where rows need a number."""
        entered = path[-1].pairs if path and not path[-1].multiplies else ()
        return self._planner.model.objects[self._object_at(path)].primary_key or tuple(far for _, far in entered)

    def _object_at(self, path: Path) -> str:
        return path[-1].target if path else self._route.root

    def _warn(self) -> None:
        for leaf in self._leaves:
            self._planner.out.warning(
                "FAN_TRAP_RISK",
                f"A row of '{self._where.home}' lies in several groups: '{leaf.name}' counts it once in each, "
                "so its groups do not add up to its total",
                "select.measures",
                context={"measure": leaf.name, "junction": self._route.root},
            )

    def entity_rows(
        self, leaf: LeafValue, time: ColumnRef, entity: tuple[ColumnRef, ...]
    ) -> tuple[Select, EntityColumns]:
        scope, route = self._scope, self._route
        if route.to_home:
            scope.at(route.to_home, inner=True, reason="home of the measures")
        dims = {dim.label: self._dimension(dim) for dim in self._where.grain}
        self._demand()
        asked = self._conditions.where(self._where.clauses)
        own = self._own_condition(leaf)
        labels = Labels(dims)
        moment = self._of_home(time)
        outputs = dict(dims)
        keys = {labels.fresh(f"entity_{at}"): self._of_home(ref) for at, ref in enumerate(entity, start=1)}
        at = labels.fresh("time")
        args = arguments(scope, route.to_home, self._where.home, leaf.measure) or (Literal(1),)
        named = {labels.fresh(f"argument_{n}"): arg for n, arg in enumerate(args, start=1)}
        outputs |= {**keys, at: moment, **named}
        if self._deduplicates:
            outputs |= {labels.fresh(f"key_{n}"): key for n, key in enumerate(self._key(), start=1)}
            self._warn()
        where = self._allowed(asked)
        self._record()
        condition = all_of(c for c in (where, own, Call("is_not_null", (moment,))) if c is not None)
        select = Select(
            tuple(Output(label, scalar) for label, scalar in outputs.items()),
            scope.source,
            tuple(scope.joins),
            condition,
            distinct=self._deduplicates,
            name="entity rows",
            note=self._note(),
        )
        return select, EntityColumns(tuple(dims), tuple(keys), at, tuple(named))

    def _of_home(self, ref: ColumnRef) -> Scalar:
        steps = self._planner.graph.path(self._where.home, ref.object)
        assert steps is not None, f"{self._where.home} cannot reach {ref}"
        return self._scope.column(joined(self._route.to_home, steps), ref, reason="semi-additive")

    # the record

    def _record(self) -> None:
        planner = self._planner
        planner.tables.update(self._scope.aliases.objects)
        unmeasured = self._where.unmeasured and not self._leaves
        planner.record_filters(self._where.home, self._where.clauses, self._conditions.unseen, unmeasured=unmeasured)
        planner.legs.append(
            Leg(
                tuple(leaf.name for leaf in self._leaves),
                self._where.home,
                self._route.root,
                self._reason(),
                tuple(dim.label for dim in self._where.grain),
                tuple(self._scope.steps),
                tuple(clause.text for clause in self._where.clauses),
                planner.shift,
            )
        )

    def _reason(self) -> str:
        home, root = self._where.home, self._route.root
        if root != home:
            return f"'{root}' sees '{home}' and every dimension; rows of '{home}' count once per group"
        return f"the measures count rows of '{home}'" if self._leaves else f"'{home}' reaches every dimension"

    def _note(self) -> str:
        names = ", ".join(leaf.name for leaf in self._leaves) or "members"
        by = ", ".join(dim.label for dim in self._where.grain) or "all rows"
        return f"{names} of {self._where.home} by {by}"


@dataclass(frozen=True, slots=True)
class EntityColumns:
    """The labels of the columns that a semi-additive measure reads."""

    dims: tuple[str, ...]
    entity: tuple[str, ...]
    time: str
    arguments: tuple[str, ...]


def entity_rows(
    planner: Planner,
    where: Coordinates,
    leaf: LeafValue,
    dims: tuple[BoundDimension, ...],
    time: ColumnRef,
    entity: tuple[ColumnRef, ...],
) -> tuple[Select, EntityColumns]:
    """The rows of a measure that have a time and pass its own filters: members, entity, time, argument."""
    try:
        return _Leg(planner, where, (leaf,), dims).entity_rows(leaf, time, entity)
    except AmbiguousPathError as tie:
        raise planner.ambiguous(tie) from tie


def over_arguments(scalar: Scalar, lift: Callable[[Scalar], Scalar]) -> Scalar:
    """The scalar with every argument of its aggregates replaced."""

    def change(part: Scalar) -> Scalar | None:
        if not isinstance(part, Aggregate):
            return None
        order = tuple(SortKey(lift(key.scalar), key.descending, key.nulls_first) for key in part.order)
        return replace(part, args=tuple(lift(arg) for arg in part.args), order=order)

    return rewrite(scalar, change)
