"""Leaf aggregations: one measure over the rows of its home, grouped and filtered, everything else left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from oracle import aggregates, expressions
from oracle import values as v
from oracle.relations import Context, FieldRef, Row
from oracle.scopes import Scope, Scoper, flat_clauses
from sagitta_compiler.model.resolved import ColumnRef, Measure, SemiAdditive
from sagitta_compiler.model.types import Aggregation, Direction, SemiAdditiveFunction, TimeGrain
from sagitta_compiler.query.query import FilterNode

Key = tuple[v.Value, ...]


@dataclass(frozen=True)
class KeyPart:
    """A selected dimension: the members (several when coalesced) and the period to which each is truncated."""

    label: str
    names: tuple[str, ...]
    members: tuple[tuple[FieldRef, TimeGrain | None], ...]

    @property
    def refs(self) -> tuple[FieldRef, ...]:
        return tuple(ref for ref, _ in self.members)


@dataclass(frozen=True)
class Contribution:
    """What one home row brings to a group."""

    row: Row
    argument: v.Value
    order: v.Value
    time: v.Value
    entity: Key


def measure_objects(measure: Measure) -> tuple[str, ...]:
    """Returns the objects whose columns a measure aggregates."""
    columns = [*measure.columns, *(measure.expression.columns if measure.expression else ())]
    objects = dict.fromkeys(column.object for column in columns)
    if not objects and measure.count_of is not None:
        return (measure.count_of,)
    return tuple(objects)


class Leaves:
    """Evaluates leaves in one graph (a query's choice of paths)."""

    def __init__(self, scoper: Scoper, statics: Sequence[FilterNode], policies: Sequence[FilterNode] = ()) -> None:
        self.scoper = scoper
        self.policies = tuple(policies)
        self.world = scoper.world
        self.statics = tuple(statics)

    def home(self, measure: Measure) -> str:
        """Returns the object whose rows a measure counts: where its columns live, or their common root."""
        objects = measure_objects(measure)
        if len(objects) == 1:
            return objects[0]
        if not objects:
            if len(self.world.model.objects) == 1:
                return next(iter(self.world.model.objects))
            raise v.UndecidedError("a count of no object in particular")
        root = self.scoper.graph.common_root(objects, self.world.model.objects)
        if root is None:
            raise v.UndecidedError("a measure over facts without a common root")
        return root

    def own_refs(self, measure: Measure, filters: Sequence[FilterNode]) -> list[FieldRef]:
        """Returns the fields that the measure itself reads."""
        columns: list[ColumnRef] = [*measure.columns]
        if measure.expression is not None:
            columns.extend(measure.expression.columns)
        if measure.within_group is not None:
            columns.append(measure.within_group.column)
        if measure.semi_additive is not None:
            columns.extend((measure.semi_additive.time, *self._entity_columns(measure)))
        return list(dict.fromkeys((*map(FieldRef, columns), *self.scoper.clause_fields(filters))))

    def _entity_columns(self, measure: Measure) -> tuple[ColumnRef, ...]:
        semi = measure.semi_additive
        assert semi is not None
        if semi.per:
            return semi.per
        home = self.home(measure)
        key = (ColumnRef(home, name) for name in self.world.model.objects[home].primary_key)
        return tuple(column for column in key if column != semi.time)

    def groups(
        self,
        measure: Measure,
        key_parts: Sequence[KeyPart],
        where: Sequence[FilterNode],
        own_filters: Sequence[FilterNode],
        shown: Sequence[KeyPart],
    ) -> dict[Key, v.Value]:
        """Returns the aggregate of every group that has a home row.

        `where` decides which rows there are; `own_filters` which of them the aggregate sees. `shown` are all selected
        dimensions: a required join on the way to them drops rows also here.
        """
        home = self.home(measure)
        near, far = self._own_clauses(home, own_filters)
        own = self.own_refs(measure, near)
        scope, contexts = self.contexts(home, key_parts, where, own, shown=shown, welcome=far)
        joined = [self._semi_join(home, [clause]) for clause in far if not self._is_read(scope, clause)]
        tested = [*near, *(clause for clause in far if self._is_read(scope, clause))]
        members: dict[Key, list[Context]] = defaultdict(list)
        for context in contexts:
            members[self.key(scope, context, key_parts)].append(context)

        def sees(context: Context) -> bool:
            return all(context[scope.to_home] in allowed for allowed in joined) and all(
                self.scoper.holds(clause, scope, context) is True for clause in tested
            )

        return {key: self._aggregate(measure, sees, scope, group) for key, group in members.items()}

    def _own_clauses(self, home: str, own_filters: Sequence[FilterNode]) -> tuple[list[FilterNode], list[FilterNode]]:
        """Parts a measure's own filters into those that its home reaches and those that only a root does."""
        far = [clause for clause in own_filters if self.scoper.far(home, self.scoper.clause_fields([clause]))]
        return [clause for clause in own_filters if clause not in far], far

    def _is_read(self, scope: Scope, clause: FilterNode) -> bool:
        return all(ref in scope.paths for ref in self.scoper.clause_fields([clause]))

    def key(self, scope: Scope, context: Context, key_parts: Sequence[KeyPart]) -> Key:
        return tuple(self._member(scope, context, part) for part in key_parts)

    def _member(self, scope: Scope, context: Context, part: KeyPart) -> v.Value:
        for ref, grain in part.members:
            value = v.definite(self.scoper.read(scope, context, ref))
            if value is not None:
                return value if grain is None else self.world.calendar.truncate(value, grain)
        return None

    def contexts(
        self,
        home: str,
        key_parts: Sequence[KeyPart],
        where: Sequence[FilterNode],
        own: Sequence[FieldRef],
        *,
        shown: Sequence[KeyPart],
        welcome: Sequence[FilterNode] = (),
    ) -> tuple[Scope, list[Context]]:
        """Returns the rows of a leaf: a home row with everything that the leaf looks at, filters applied.

        The fields of the `welcome` clauses are read too where the leaf reads a root that serves them.
        """
        scoper = self.scoper
        self._check_statics(home)
        grouped = [ref for part in key_parts for ref in part.refs]
        clauses = flat_clauses((*self.statics, *where, *self._near_policies(home)))
        scoper.check_exists(clauses)
        dropping = [ref for part in shown for ref in part.refs if self._drops(home, ref)]
        here, apart = self._split(home, [*grouped, *own], clauses)
        refs = list(dict.fromkeys([*grouped, *own, *dropping, *scoper.clause_fields(here)]))
        if scoper.far(home, refs):
            for clause in welcome:
                together = [*refs, *scoper.clause_fields([clause])]
                refs = together if scoper.serves(home, together) else refs
        scope, found = self._read(home, refs, here)
        for group in apart:
            allowed = self._semi_join(home, group)
            found = [context for context in found if context[scope.to_home] in allowed]
        return scope, found

    def _read(self, home: str, refs: Sequence[FieldRef], clauses: Sequence[FilterNode]) -> tuple[Scope, list[Context]]:
        """Returns the contexts that have a home row and pass the clauses and the policies of what is read."""
        scoper = self.scoper
        scope = scoper.scope(home, list(dict.fromkeys(refs)))
        touched = {scope.root} | {step.destination for path in scope.all_paths() for step in path}
        seen = [policy for policy in self.policies if self._is_about(policy, touched)]
        if seen and scope.root != home:
            scope = scoper.scope(home, list(dict.fromkeys([*refs, *scoper.clause_fields(seen)])))
            clauses = [*clauses, *(policy for policy in seen if policy not in clauses)]
        found = self.world.contexts(scope.root, scope.all_paths())
        found = [context for context in found if context[scope.to_home] is not None]
        passing = [c for c in found if all(scoper.holds(clause, scope, c) is True for clause in clauses)]
        return scope, passing

    def _is_about(self, policy: FilterNode, objects: set[str]) -> bool:
        return all(ref.column.object in objects for ref in self.scoper.clause_fields([policy]))

    def _near_policies(self, home: str) -> list[FilterNode]:
        """Returns the row policies that bind every leaf of a home: those on it and on what it reaches."""
        return [p for p in self.policies if all(self.scoper.is_near(home, r) for r in self.scoper.clause_fields([p]))]

    def _check_statics(self, home: str) -> None:
        for ref in self.scoper.clause_fields(self.statics):
            if not self.scoper.is_reachable(home, ref):
                raise v.RefusedError(f"{home} does not reach {ref.column}", "UNREACHABLE_REQUIRED_OBJECT")

    def _drops(self, home: str, ref: FieldRef) -> bool:
        """Whether the way from the home to a shown dimension has a required join."""
        if not self.scoper.is_near(home, ref):
            return False
        path = self.scoper.graph.path_via(home, ref.via, ref.column.object)
        return path is not None and any(step.join.required for step in path)

    def _split(
        self, home: str, refs: Sequence[FieldRef], clauses: Sequence[FilterNode]
    ) -> tuple[list[FilterNode], list[list[FilterNode]]]:
        """Parts the clauses into those read together with the leaf and semi-joins of their own (reading 20)."""
        far = [clause for clause in clauses if self.scoper.far(home, self.scoper.clause_fields([clause]))]
        served, groups = list(refs), list[list[FilterNode]]()
        here = [clause for clause in clauses if clause not in far]
        for clause in far:
            together = [*served, *self.scoper.clause_fields([clause])]
            if self.scoper.far(home, refs) and self.scoper.serves(home, together):
                served = together
                here.append(clause)
            else:
                self._place(home, clause, groups)
        if len(groups) == 1 and not self.scoper.far(home, refs):
            return [*here, *groups[0]], []
        return here, groups

    def _place(self, home: str, clause: FilterNode, groups: list[list[FilterNode]]) -> None:
        """Adds a clause to the first group with which one root serves it, else opens a group."""
        for group in groups:
            if self.scoper.serves(home, self.scoper.clause_fields([*group, clause])):
                group.append(clause)
                return
        groups.append([clause])

    def _semi_join(self, home: str, clauses: Sequence[FilterNode]) -> set[Row | None]:
        scope, contexts = self._read(home, self.scoper.clause_fields(clauses), clauses)
        return {context[scope.to_home] for context in contexts}

    def _aggregate(
        self, measure: Measure, sees: Callable[[Context], bool], scope: Scope, group: Sequence[Context]
    ) -> v.Value:
        seen = [context for context in group if sees(context)]
        if measure.allow_fan_out:
            chosen = seen
        else:
            self._check_single_valued(measure, scope)
            chosen = list({context[scope.to_home]: context for context in reversed(seen)}.values())
            chosen.sort(key=lambda context: context[scope.to_home].index)  # type: ignore[union-attr]
        value = combine(measure, [self._contribution(measure, scope, context) for context in chosen])
        return exact_default(measure) if value is None else value

    def _check_single_valued(self, measure: Measure, scope: Scope) -> None:
        for ref in self.own_refs(measure, ()):
            path = scope.paths[ref]
            beyond = () if path is None else path[len(scope.to_home) :]
            if any(step.multiplies for step in beyond):
                raise v.UndecidedError("an argument on the far side of a join that multiplies")

    def _contribution(self, measure: Measure, scope: Scope, context: Context) -> Contribution:
        row = context[scope.to_home]
        assert row is not None

        def read(column: ColumnRef) -> v.Value:
            return self.scoper.read(scope, context, FieldRef(column))

        semi = measure.semi_additive
        return Contribution(
            row=row,
            argument=self._argument(measure, read),
            order=read(measure.within_group.column) if measure.within_group else None,
            time=read(semi.time) if semi else None,
            entity=tuple(read(column) for column in self._entity_columns(measure)) if semi else (),
        )

    def _argument(self, measure: Measure, read: object) -> v.Value:
        assert callable(read)
        if measure.expression is not None:
            return expressions.evaluate(measure.expression.tree, lambda node: read(ColumnRef(node.table, node.name)))
        if not measure.columns:
            return 1
        values = tuple(read(column) for column in measure.columns)
        if len(values) == 1:
            return values[0]
        return None if None in values else values


def exact_default(measure: Measure) -> v.Value:
    return v.exact(measure.default_value)


def nothing(measure: Measure) -> v.Value:
    """Returns the value of a measure in a row where its leaf has no rows (rule a)."""
    empty = aggregates.of_nothing(measure.aggregation)
    return exact_default(measure) if empty is None else empty


def combine(measure: Measure, contributions: Sequence[Contribution]) -> v.Value:
    """Aggregates what the home rows bring."""
    if measure.semi_additive is not None:
        return _semi_additive(measure, measure.semi_additive, contributions)
    if measure.aggregation is Aggregation.LISTAGG:
        return _list(measure, contributions)
    return aggregate_arguments(measure, [contribution.argument for contribution in contributions])


def aggregate_arguments(measure: Measure, arguments: Iterable[v.Value]) -> v.Value:
    found = [v.definite(argument) for argument in arguments]
    if measure.distinct:
        found = list(dict.fromkeys(found))
    if measure.aggregation is Aggregation.PERCENTILE:
        assert measure.percentile is not None
        return aggregates.quantile(found, measure.percentile, discrete=measure.percentile_discrete)
    return aggregates.aggregate(measure.aggregation, found)


def _list(measure: Measure, contributions: Sequence[Contribution]) -> v.Value:
    present = [c for c in contributions if c.argument is not None]
    if not present:
        return None
    if measure.within_group is None:
        parts = [str(c.argument) for c in present]
        return v.Unordered(tuple(sorted(set(parts) if measure.distinct else parts)), measure.delimiter)
    descending = measure.within_group.order is Direction.DESC
    ordered = sorted(present, key=lambda c: v.sort_key(c.order, descending=descending))
    if len({(c.order, c.argument) for c in present}) != len({c.order for c in present}):
        raise v.UndecidedError("a list ordered by equal members")
    parts = [str(c.argument) for c in ordered]
    return measure.delimiter.join(dict.fromkeys(parts) if measure.distinct else parts)


def _semi_additive(measure: Measure, semi: SemiAdditive, contributions: Sequence[Contribution]) -> v.Value:
    """Each entity contributes its row(s) at one point in time, or one number over its points."""
    entities: Mapping[Key, list[Contribution]] = defaultdict(list)
    for contribution in contributions:
        if contribution.time is not None:
            entities[contribution.entity].append(contribution)
    arguments: list[v.Value] = []
    for rows in entities.values():
        arguments.extend(_points(measure, semi.function, rows))
    return aggregate_arguments(measure, arguments)


def _points(measure: Measure, function: SemiAdditiveFunction, rows: Sequence[Contribution]) -> list[v.Value]:
    if function in (SemiAdditiveFunction.FIRST, SemiAdditiveFunction.LAST):
        pick = min if function is SemiAdditiveFunction.FIRST else max
        moment = pick(row.time for row in rows)
        return [row.argument for row in rows if row.time == moment]
    points: dict[v.Value, list[v.Value]] = defaultdict(list)
    for row in rows:
        points[row.time].append(row.argument)
    values = [aggregate_arguments(measure, arguments) for arguments in points.values()]
    present = [value for value in values if value is not None]
    if not present:
        return [None]
    match function:
        case SemiAdditiveFunction.MIN:
            return [min(present)]
        case SemiAdditiveFunction.MAX:
            return [max(present)]
        case _:
            return [Fraction(sum(present)) / len(present)]
