"""Leaf aggregations: one measure over the rows of its home, grouped and filtered, everything else left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from oracle import aggregates, expressions
from oracle import values as v
from oracle.relations import Context, FieldRef, Path, Row
from oracle.rows import Reading, RowReader
from oracle.scopes import Dimension, Scope, Scoper
from sagitta_compiler.model.resolved import (
    ColumnRef,
    CumulativeMetric,
    DerivedMetric,
    Measure,
    Metric,
    PeriodOverPeriodMetric,
    ResolvedModel,
    SemiAdditive,
    WindowMetric,
)
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


def _refs(parts: Sequence[KeyPart]) -> list[FieldRef]:
    return [ref for part in parts for ref in part.refs]


def measure_objects(measure: Measure) -> tuple[str, ...]:
    """Returns the objects whose columns a measure aggregates."""
    columns = [*measure.columns, *(measure.expression.columns if measure.expression else ())]
    objects = dict.fromkeys(column.object for column in columns)
    if not objects and measure.count_of is not None:
        return (measure.count_of,)
    return tuple(objects)


def components(metric: Metric) -> tuple[str, ...]:
    """Returns the names that a metric reads."""
    match metric:
        case DerivedMetric(expression=expression) | PeriodOverPeriodMetric(expression=expression):
            return expression.measures
        case CumulativeMetric(measure=measure):
            return (measure,)
        case WindowMetric(measure=measure):
            return () if measure is None else (measure,)


def measure_named(model: ResolvedModel, name: str) -> Measure:
    if name not in model.measures:
        raise v.RefusedError(f"nothing is called {name}", "UNKNOWN_MEASURE")
    return model.measures[name]


def leaf_measures(model: ResolvedModel, names: Iterable[str]) -> list[Measure]:
    """Returns the measures inside names, at any depth, nested aggregations opened."""
    found: list[Measure] = []
    for name in names:
        metric = model.metrics.get(name)
        if metric is not None:
            found += leaf_measures(model, components(metric))
            continue
        measure = measure_named(model, name)
        inner = measure.expression.measures if measure.expression else ()
        found += leaf_measures(model, inner) if inner else [measure]
    return found


class Leaves:
    """Evaluates leaves in one graph (a query's choice of paths)."""

    def __init__(self, scoper: Scoper, statics: Sequence[FilterNode], policies: Sequence[FilterNode] = ()) -> None:
        self.scoper = scoper
        self.world = scoper.world
        self.reader = RowReader(scoper, statics, policies)

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
        return self._conformed_home(measure, objects) if root is None else root

    def _conformed_home(self, measure: Measure, objects: Sequence[str]) -> str:
        """Facts without a common root meet at the anchor, else at the one object that all of them join."""
        if measure.anchor is not None:
            return measure.anchor
        shared = self._targets(objects)
        if len(shared) != 1:
            raise v.RefusedError(f"{measure.name} needs an anchor", "ANCHOR_REQUIRED_AMBIGUOUS_KEY")
        return shared[0]

    def _targets(self, objects: Sequence[str]) -> list[str]:
        """Returns the objects that all of these join directly."""
        joined = [{step.destination for step in self.scoper.graph.steps if step.origin == name} for name in objects]
        return sorted(set.intersection(*joined))

    def _conformed(self, home: str, column: ColumnRef, row: Row) -> v.Value:
        """The sum of another fact's column over its rows that share the key of a home row."""
        meeting = self._meeting(home, column.object)
        there = self._key_of(column.object, meeting)
        wanted = (
            tuple(self.world.value(row, home, target) for _, target in there)
            if meeting == home
            else self._foreign_key(home, meeting, row)
        )
        rows = [
            one for one in self.world.rows(column.object) if self._foreign_key(column.object, meeting, one) == wanted
        ]
        values = [self.world.value(one, column.object, column.column) for one in rows if None not in wanted]
        return aggregates.aggregate(Aggregation.SUM, values)

    def _meeting(self, home: str, fact: str) -> str:
        """Returns the object whose key a fact shares with the home: the home itself, or the one that both join."""
        if home in self._targets([fact]):
            return home
        shared = self._targets([home, fact])
        if len(shared) != 1:
            raise v.RefusedError(f"{home} and {fact} share no one key", "ANCHOR_REQUIRED_AMBIGUOUS_KEY")
        return shared[0]

    def _key_of(self, name: str, target: str) -> tuple[tuple[str, str], ...]:
        path = self.scoper.graph.path(name, target)
        assert path is not None
        return path[0].column_pairs

    def _foreign_key(self, name: str, target: str, row: Row) -> Key:
        return tuple(self.world.value(row, name, source) for source, _ in self._key_of(name, target))

    def own_refs(self, measure: Measure) -> list[FieldRef]:
        """Returns the fields that the measure aggregates."""
        columns: list[ColumnRef] = [*measure.columns]
        if measure.expression is not None:
            columns.extend(measure.expression.columns)
        if measure.within_group is not None:
            columns.append(measure.within_group.column)
        if measure.semi_additive is not None:
            columns.extend((measure.semi_additive.time, *self._entity_columns(measure)))
        home = self.home(measure)
        return list(dict.fromkeys(FieldRef(c) for c in columns if self.scoper.is_near(home, FieldRef(c))))

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
        own = self.own_refs(measure)
        refs = [*_refs(key_parts), *own]
        self._check_conformed(measure, refs, (*where, *own_filters))
        self._check_read_measures([*refs, *self.scoper.clause_fields((*where, *own_filters))])
        reading = self.reader.read(
            self.home(measure),
            [part.refs for part in key_parts],
            where,
            near=own,
            shown=_refs(shown),
            own_filters=own_filters,
        )
        members: dict[Key, list[Context]] = defaultdict(list)
        for context in reading.contexts:
            members[self.key(reading.scope, context, key_parts)].append(context)
        return {key: self._aggregate(measure, reading, group) for key, group in members.items()}

    def _check_conformed(self, measure: Measure, refs: Sequence[FieldRef], clauses: Sequence[FilterNode]) -> None:
        """A fact that is summed to a key has no rows left to filter or to group."""
        home = self.home(measure)
        conformed = {name for name in measure_objects(measure) if not self.scoper.graph.reaches(home, name)}
        for name in sorted(conformed):
            self._meeting(home, name)
        if conformed & {ref.column.object for ref in self.scoper.clause_fields(clauses)}:
            raise v.RefusedError(f"{measure.name} sums what is filtered", "FILTER_ON_CONFORMED_OBJECT")
        if conformed & {ref.column.object for ref in refs} or (conformed and self.reader.is_restricted):
            raise v.UndecidedError("groups, static filters or policies on a fact that is summed to a key")

    def _check_read_measures(self, refs: Sequence[FieldRef]) -> None:
        """A measure that a column reads is refused like any other, also where there is no row to read it for."""
        for ref in refs:
            expression = self.world.model.column(ref.column).expression
            if expression and expression.measures and not self.world.model.objects[ref.column.object].primary_key:
                raise v.RefusedError(f"{ref.column} reads a measure by no key", "MISSING_PRIMARY_KEY")
            for measure in leaf_measures(self.world.model, expression.measures if expression else ()):
                self.reader.check_statics(self.home(measure))

    def rows(
        self, home: str, dims: Sequence[Dimension], where: Sequence[FilterNode], shown: Sequence[KeyPart] = ()
    ) -> Reading:
        """Returns the rows of an object that pass, with the fields that are asked for."""
        return self.reader.read(home, dims, where, shown=_refs(shown))

    def key(self, scope: Scope, context: Context, key_parts: Sequence[KeyPart]) -> Key:
        return tuple(self._member(scope, context, part) for part in key_parts)

    def _member(self, scope: Scope, context: Context, part: KeyPart) -> v.Value:
        for ref, grain in part.members:
            value = v.definite(self.scoper.read(scope, context, ref))
            if value is not None:
                return value if grain is None else self.world.calendar.truncate(value, grain)
        return None

    def _aggregate(self, measure: Measure, reading: Reading, group: Sequence[Context]) -> v.Value:
        """The measure over a group; with `allowFanOut` once per row that the fields bring, for filters bring none."""
        scope = reading.scope
        seen = [context for context in group if all(test(context) for test in reading.tests)]
        if measure.allow_fan_out:
            chosen = reading.joined_rows(seen)
        else:
            own = self._own_paths(measure, scope)
            chosen = list({tuple(context[path] for path in own): context for context in reversed(seen)}.values())
            chosen.sort(key=lambda context: context[scope.to_home].index)  # type: ignore[union-attr]
        value = combine(measure, [self._contribution(measure, scope, context) for context in chosen])
        return exact_default(measure) if value is None else value

    def _own_paths(self, measure: Measure, scope: Scope) -> list[Path]:
        """What a row of the measure is made of: a row of its home, and all on the way from there to its fields."""
        home = scope.to_home
        own = {home: None}
        for path in filter(None, (scope.paths[ref] for ref in self.own_refs(measure))):
            shared = next(n for n in range(min(len(home), len(path)), -1, -1) if home[:n] == path[:n])
            ways = (way[:length] for way in (home, path) for length in range(shared, len(way) + 1))
            own |= dict.fromkeys(ways)
        return list(own)

    def _contribution(self, measure: Measure, scope: Scope, context: Context) -> Contribution:
        row = context[scope.to_home]
        assert row is not None

        def read(column: ColumnRef) -> v.Value:
            if FieldRef(column) in scope.paths:
                return self.scoper.read(scope, context, FieldRef(column))
            return self._conformed(row.object, column, row)

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
