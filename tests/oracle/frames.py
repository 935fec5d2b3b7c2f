"""The frame of a query: its rows, and the value of every measure and metric in each of them.

Written as the definitions read: for a row, look at the rows that the definition names and compute. Nothing is shared
between measures but the set of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import chain, combinations

from oracle import expressions
from oracle import types as result_types
from oracle import values as v
from oracle.leaves import (
    Key,
    KeyPart,
    Leaves,
    aggregate_arguments,
    components,
    exact_default,
    leaf_measures,
    measure_named,
    nothing,
)
from oracle.relations import FieldRef
from oracle.scopes import Scoper, flat_clauses
from sagitta_compiler.model.resolved import (
    CumulativeMetric,
    DerivedMetric,
    Expression,
    Measure,
    Metric,
    PeriodOverPeriodMetric,
    WindowMetric,
)
from sagitta_compiler.model.types import (
    Aggregation,
    Comparison,
    CumulativeType,
    Direction,
    GrainMode,
    TimeGrain,
    WindowFunction,
)
from sagitta_compiler.query.query import FilterNode, Grouping

Level = tuple[int, ...]
"""The positions of the dimensions that a row keeps; the others are rolled up."""


@dataclass(frozen=True)
class RowKey:
    """A row of the frame: its level and the members of the dimensions that it keeps."""

    level: Level
    members: Key

    def member(self, position: int) -> v.Value:
        return self.members[self.level.index(position)]

    def keeps(self, position: int) -> bool:
        return position in self.level


Asked = tuple[str, tuple[FilterNode, ...]]
"""A measure or metric by name, with the filters that the query adds to it."""


def levels_of(count: int, grouping: Grouping | None) -> tuple[Level, ...]:
    """Returns the grouping sets."""
    full = tuple(range(count))
    match grouping:
        case None:
            return (full,)
        case Grouping.ROLLUP:
            return tuple(full[:length] for length in range(count, -1, -1))
        case Grouping.CUBE:
            return tuple(level for length in range(count, -1, -1) for level in combinations(full, length))


def _wanted(metric: Metric) -> list[tuple[str, str]]:
    """Returns the dimensions that a metric needs, each with the code that refuses a query without it."""
    wanted: list[tuple[str, str]] = []
    match metric:
        case CumulativeMetric():
            wanted.append((metric.time_dimension, "CUMULATIVE_TIME_DIMENSION_NOT_IN_SELECT"))
        case PeriodOverPeriodMetric():
            wanted.append((metric.time_dimension, "POP_TIME_DIMENSION_NOT_IN_SELECT"))
        case WindowMetric(time_dimension=time) if time is not None:
            wanted.append((time, "WINDOW_TIME_DIMENSION_NOT_IN_SELECT"))
        case _:
            pass
    within = metric.partition_by if isinstance(metric, CumulativeMetric | WindowMetric) else ()
    return [*wanted, *((name, "UNKNOWN_PARTITION_DIMENSION") for name in within or ())]


class Frame:
    """The finished rows of one query over one model."""

    def __init__(
        self,
        leaves: Leaves,
        parts: Sequence[KeyPart],
        where: Sequence[FilterNode],
        asked: Sequence[Asked],
        grouping: Grouping | None = None,
        *,
        shown: Sequence[KeyPart] = (),
    ) -> None:
        self.leaves = leaves
        self.world = leaves.world
        self.model = leaves.world.model
        self.scoper: Scoper = leaves.scoper
        self.parts = tuple(parts)
        self.shown = (*parts, *shown)
        self.where = flat_clauses(where)
        self.asked = tuple(asked)
        self.grouping = grouping
        self.levels = levels_of(len(self.parts), grouping)
        self._groups: dict[object, dict[Key, v.Value]] = {}
        self._values: dict[tuple[Asked, RowKey], v.Value] = {}
        self._before: dict[Asked, Frame] = {}

    # -- names -----------------------------------------------------------------------------------------------------

    def metric(self, name: str) -> Metric | None:
        return self.model.metrics.get(name)

    def measure(self, name: str) -> Measure:
        return measure_named(self.model, name)

    def leaf_measures(self, name: str) -> list[Measure]:
        """Returns the measures inside a name, at any depth, nested aggregations opened."""
        return leaf_measures(self.model, (name,))

    def check_selected(self, name: str) -> None:
        """What a grain includes and a metric runs along or within must be selected, whatever rows there are."""
        names = {name for part in self.parts for name in part.names}
        metric = self.metric(name)
        if metric is None:
            self._check_level(self.measure(name))
            return
        for wanted, code in _wanted(metric):
            if wanted not in names:
                raise v.RefusedError(f"{wanted} is not selected", code)
        for part in components(metric):
            self.check_selected(part)

    def _check_level(self, measure: Measure) -> None:
        level = self._effective_level(measure, self.levels[0])
        if is_nested(measure):
            assert measure.expression is not None
            inner = Frame(self.leaves, self._inner_parts(measure, level), (), ())
            for part in measure.expression.measures:
                inner.check_selected(part)

    def check_compared(self, name: str) -> None:
        """What a numbering of rows is in another period no text says, also where there is no row to number."""
        for metric in self.metrics_inside(name):
            compared = isinstance(metric, PeriodOverPeriodMetric)
            if compared and not all(self.leaf_measures(part) for part in components(metric)):
                raise v.UndecidedError("a numbering of rows in another period")

    def check_filters(self, name: str, added: tuple[FilterNode, ...]) -> None:
        """A filter that no single root serves is undecided also where there is no row to show it."""
        metric = self.metric(name)
        if metric is not None:
            for part in components(metric):
                self.check_filters(part, added)
        elif not is_nested(measure := self.measure(name)):
            level = self._effective_level(measure, self.levels[0])
            self._leaf_groups(measure, added, level, self.effective_where(measure))

    def metrics_inside(self, name: str) -> list[Metric]:
        metric = self.metric(name)
        if metric is None:
            return []
        return [metric, *(inside for part in components(metric) for inside in self.metrics_inside(part))]

    def places(self, name: str, code: str) -> list[int]:
        """Returns the places of a selected dimension, alone or coalesced."""
        places = [place for place, part in enumerate(self.parts) if name in part.names]
        if not places:
            raise v.RefusedError(f"{name} is not selected", code)
        return places

    def position(self, name: str, level: Level, code: str) -> int | None:
        """Returns the place of a dimension in rows of a level; the finest of several, None where all are rolled up.

        The others move along with it: they show the same time.
        """
        return max((place for place in self.places(name, code) if place in level), key=self._fineness, default=None)

    def _fineness(self, place: int) -> int:
        return _FINENESS.index(self.parts[place].members[0][1])

    # -- rows ------------------------------------------------------------------------------------------------------

    @cached_property
    def rows(self) -> tuple[RowKey, ...]:
        """All rows, of all levels, in no particular order."""
        found: dict[RowKey, None] = {}
        for level in self.levels:
            if not level:
                found[RowKey((), ())] = None
            for asked in self.asked:
                found.update(dict.fromkeys(RowKey(level, key) for key in self.keys(asked, level)))
            found.update(dict.fromkeys(self._spine(level, found)))
        return tuple(found)

    def level_rows(self, level: Level) -> list[RowKey]:
        return [row for row in self.rows if row.level == level]

    def keys(self, asked: Asked, level: Level) -> Iterable[Key]:
        """The groups that a measure or metric supplies: those of its leaves at the level's grain (reading 1)."""
        name, added = asked
        metric = self.metric(name)
        if metric is not None:
            for part in components(metric):
                yield from self.keys((part, added), level)
            return
        measure = self.measure(name)
        if is_nested(measure):
            assert measure.expression is not None
            if self._effective_level(measure, level) == level:
                yield from self._nested_groups(measure, added, level, self._supplying_where(measure, level))
                return
            for part in measure.expression.measures:
                yield from self.keys((part, (*measure.filters, *added)), level)
        else:
            yield from self._leaf_groups(measure, added, level, self._supplying_where(measure, level))

    def _supplying_where(self, measure: Measure, level: Level) -> tuple[FilterNode, ...]:
        """A changed filter context decides rows only at the full grain, and shown members satisfy WHERE."""
        if measure.filter_context is None or self._effective_level(measure, level) != level:
            return self.where
        own = self.effective_where(measure)
        shown = tuple(clause for clause in self.where if clause not in own and self._speaks_of_shown(clause))
        return own + shown

    def _speaks_of_shown(self, clause: FilterNode) -> bool:
        """Whether all fields of a clause are selected dimensions, as shown."""
        from oracle.filters import leaves

        return all(
            any(
                len(part.members) == 1 and (self.scoper.field(leaf.field), leaf.grain) == part.members[0]
                for part in self.shown
            )
            for leaf in leaves(clause)
        )

    def _spine(self, level: Level, found: Iterable[RowKey]) -> list[RowKey]:
        """Every period between the first and the last, where a row keeps nothing but the compared time.

        That may be selected several times: then it moves as one, by its finest grain.
        """
        compared = [
            metric.time_dimension
            for name, _ in self.asked
            for metric in self.metrics_inside(name)
            if isinstance(metric, PeriodOverPeriodMetric)
        ]
        alone = [name for name in compared if level and all(name in self.parts[place].names for place in level)]
        if not alone:
            return []
        finest = max(level, key=self._fineness)
        members = [row.member(finest) for row in found if row.level == level and row.member(finest) is not None]
        if not members:
            return []
        here, last = min(members), max(members)
        spine = []
        while here <= last:
            spine.append(RowKey(level, tuple(self._shown_at(place, here, finest) for place in level)))
            here = v.add_periods(here, 1, self.grain_of(finest))
        return spine

    def _shown_at(self, place: int, moment: v.Value, finest: int) -> v.Value:
        grain = self.parts[place].members[0][1]
        return moment if place == finest or grain is None else self.world.calendar.truncate(moment, grain)

    def grain_of(self, position: int) -> TimeGrain:
        return self.parts[position].members[0][1] or TimeGrain.DAY

    # -- leaves ----------------------------------------------------------------------------------------------------

    def effective_where(self, measure: Measure) -> tuple[FilterNode, ...]:
        """Returns the query's clauses as the measure's filterContext changes them."""
        context = measure.filter_context
        if context is None:
            return self.where

        def named(clause: FilterNode, names: Iterable[str]) -> bool:
            return bool(
                {self.scoper.field(name).column for name in names}
                & {ref.column for ref in self.scoper.clause_fields([clause])}
            )

        if context.keep_only:
            kept = tuple(clause for clause in self.where if named(clause, context.keep_only))
        else:
            kept = () if context.mode is GrainMode.FIXED else self.where
        kept = tuple(clause for clause in kept if not named(clause, context.exclude))
        return kept + flat_clauses(context.include)

    def is_bound(self, measure: Measure, clause: FilterNode) -> bool:
        """Whether a clause decides the values of a measure, or the rows that it supplies."""
        if clause in self.effective_where(measure) or self._speaks_of_shown(clause):
            return True
        return self._effective_level(measure, self.levels[0]) != self.levels[0]

    def bound_leaves(self, name: str, clause: FilterNode) -> list[Measure]:
        """Returns the measures inside a name that a clause binds; a context that drops it drops it for all within."""
        metric = self.metric(name)
        if metric is not None:
            return [leaf for part in components(metric) for leaf in self.bound_leaves(part, clause)]
        measure = self.measure(name)
        if not self.is_bound(measure, clause):
            return []
        if not is_nested(measure):
            return [measure]
        assert measure.expression is not None
        return [leaf for part in measure.expression.measures for leaf in self.bound_leaves(part, clause)]

    def _effective_level(self, measure: Measure, level: Level) -> Level:
        """Returns the dimensions by which a measure is grouped in rows of a level."""
        if measure.total:
            return ()
        grain = measure.grain
        if grain is None:
            return level
        names = {place: set(self.parts[place].names) for place in level if len(self.parts[place].members) == 1}
        beyond = set(grain.include) - {name for part in self.parts for name in part.names}
        if beyond and not is_nested(measure):
            raise v.RefusedError(f"{sorted(beyond)} not selected", "GRAIN_NOT_SUBSET")
        if grain.mode is GrainMode.FIXED:
            wanted = set(grain.keep_only or grain.include)
            return tuple(place for place in level if names.get(place, set()) & wanted)
        kept = set(grain.keep_only)
        return tuple(
            place
            for place in level
            if not names.get(place, set()) & set(grain.exclude) and (not kept or names.get(place, set()) & kept)
        )

    def _leaf_groups(
        self, measure: Measure, added: tuple[FilterNode, ...], level: Level, where: tuple[FilterNode, ...]
    ) -> dict[Key, v.Value]:
        memo = (measure.name, added, level, where)
        if memo not in self._groups:
            parts = [self.parts[place] for place in level]
            self._groups[memo] = self.leaves.groups(measure, parts, where, (*measure.filters, *added), self.shown)
        return self._groups[memo]

    def _leaf_value(self, measure: Measure, added: tuple[FilterNode, ...], row: RowKey) -> v.Value:
        level = self._effective_level(measure, row.level)
        if is_nested(measure):
            return self._nested_value(measure, added, level, tuple(row.member(place) for place in level))
        groups = self._leaf_groups(measure, added, level, self.effective_where(measure))
        key = tuple(row.member(place) for place in level)
        return groups[key] if key in groups else nothing(measure)

    def _nested_value(self, measure: Measure, added: tuple[FilterNode, ...], level: Level, key: Key) -> v.Value:
        """The inner formula at a finer grain, aggregated again over the rows of this group.

        Filters of the measure narrow what the formula reads, as those that the query adds do.
        """
        assert measure.expression is not None
        memo = ("nested", measure.name, added, level)
        if memo not in self._groups:
            self._groups[memo] = self._nested_groups(measure, added, level, self.effective_where(measure))
        groups = self._groups[memo]
        return groups[key] if key in groups else nothing(measure)

    def _inner_parts(self, measure: Measure, level: Level) -> list[KeyPart]:
        """The dimensions by which a nested measure's formula is evaluated."""
        parts = [self.parts[place] for place in level]
        wanted = dict.fromkeys([*measure.over, *(measure.grain.include if measure.grain else ())])
        over = [key_part(self.scoper, name) for name in wanted]
        also = {part.members: [other.names for other in over if other.members == part.members] for part in parts}
        known = [replace(part, names=part.names + tuple(chain(*also[part.members]))) for part in parts]
        return [*known, *(part for part in over if part.members not in also)]

    def _nested_groups(
        self, measure: Measure, added: tuple[FilterNode, ...], level: Level, where: tuple[FilterNode, ...]
    ) -> dict[Key, v.Value]:
        added = (*measure.filters, *added)
        assert measure.expression is not None
        if any(not self.leaf_measures(name) for name in measure.expression.measures):
            raise v.UndecidedError("a numbering of rows that is aggregated again")
        inner = Frame(
            self.leaves,
            self._inner_parts(measure, level),
            where,
            [(name, added) for name in measure.expression.measures],
            shown=self.shown,
        )
        arguments: dict[Key, list[v.Value]] = {}
        for row in inner.rows:
            value = inner.formula(measure.expression, added, row)
            arguments.setdefault(row.members[: len(level)], []).append(value)
        return {
            key: exact_default(measure) if (value := aggregate_arguments(measure, found)) is None else value
            for key, found in arguments.items()
        }

    # -- values ----------------------------------------------------------------------------------------------------

    def finished(self, asked: Asked, row: RowKey) -> v.Value:
        """Returns the value shown: the raw one, cast to its result type."""
        value, metric = self.raw(asked, row), self.metric(asked[0])
        measured = result_types.measure_type(self.model, self.measure(asked[0])) if metric is None else None
        data_type = measured if metric is None else result_types.metric_type(self.model, metric)
        found = result_types.cast(value, data_type)
        if data_type is not None and v.is_number(value) and v.is_halfway(value, data_type.scale or 0):
            noisy = any(leaf.aggregation in _OF_FLOATS for leaf in self.leaf_measures(asked[0]))
            return v.Halfway(found) if noisy else found
        return found

    def raw(self, asked: Asked, row: RowKey) -> v.Value:
        if (asked, row) not in self._values:
            self._values[asked, row] = self._raw(asked, row)
        return self._values[asked, row]

    def _raw(self, asked: Asked, row: RowKey) -> v.Value:
        name, added = asked
        match self.metric(name):
            case None:
                return self._leaf_value(self.measure(name), added, row)
            case DerivedMetric(expression=expression):
                return self.formula(expression, added, row)
            case CumulativeMetric() as metric:
                return self._cumulative(metric, added, row)
            case PeriodOverPeriodMetric() as metric:
                return self._compared(metric, added, row)
            case WindowMetric() as metric:
                return self._window(metric, added, row)

    def formula(self, expression: Expression, added: tuple[FilterNode, ...], row: RowKey) -> v.Value:
        return expressions.evaluate(expression.tree, lambda node: v.definite(self.raw((node.name, added), row)))

    def _cumulative(self, metric: CumulativeMetric, added: tuple[FilterNode, ...], row: RowKey) -> v.Value:
        time = self.position(metric.time_dimension, row.level, "CUMULATIVE_TIME_DIMENSION_NOT_IN_SELECT")
        partition = self._partition(metric.partition_by, metric.time_dimension)
        if time is None:
            members = [row]
        else:
            members = [
                other
                for other in self.level_rows(row.level)
                if self._together(other, row, partition) and self._in_frame(metric, time, other, row)
            ]
        values = [v.definite(self.finished((metric.measure, added), other)) for other in members]
        return _CUMULATIVE[metric.function]([value for value in values if value is not None])

    def _partition(self, named: Sequence[str] | None, time_dimension: str | None) -> tuple[int, ...]:
        """Returns the positions that must agree: those named, else all but the time dimension."""
        if named is None:
            return tuple(p for p, part in enumerate(self.parts) if time_dimension not in part.names)
        return tuple(place for name in named for place in self.places(name, "UNKNOWN_PARTITION_DIMENSION"))

    @staticmethod
    def _together(one: RowKey, other: RowKey, partition: Iterable[int]) -> bool:
        return all(one.member(place) == other.member(place) for place in partition if one.keeps(place))

    def _in_frame(self, metric: CumulativeMetric, time: int, other: RowKey, row: RowKey) -> bool:
        there, here = other.member(time), row.member(time)
        if here is None:
            return there is None or (metric.window is None and metric.grain_to_date is None)
        if there is None or there > here:
            return False
        if metric.window is not None:
            return bool(there >= v.add_periods(here, 1 - metric.window, self.grain_of(time)))
        if metric.grain_to_date is not None:
            truncate = self.world.calendar.truncate
            return bool(truncate(there, metric.grain_to_date) == truncate(here, metric.grain_to_date))
        return True

    def _compared(self, metric: PeriodOverPeriodMetric, added: tuple[FilterNode, ...], row: RowKey) -> v.Value:
        time = self.position(metric.time_dimension, row.level, "POP_TIME_DIMENSION_NOT_IN_SELECT")
        if time is None:
            return None
        before = self._without_time_filters(metric, added, key_part(self.scoper, metric.time_dimension).members[0][0])
        now = before.shown_formula(metric.expression, added, row)
        here = row.member(time)
        if here is None:
            return compare(metric.comparison, now, None)
        shifted = v.add_periods(here, metric.offset, metric.offset_grain)
        shifted = self.world.calendar.truncate(shifted, self.grain_of(time))
        moved = {place: shifted for place in row.level if metric.time_dimension in self.parts[place].names}
        for place in moved.keys() - {time}:
            moved[place] = self.world.calendar.truncate(shifted, self.grain_of(place))
        members = zip(row.level, row.members, strict=True)
        then = RowKey(row.level, tuple(moved.get(place, member) for place, member in members))
        return compare(metric.comparison, now, before.shown_formula(metric.expression, added, then))

    def shown_formula(self, expression: Expression, added: tuple[FilterNode, ...], row: RowKey) -> v.Value:
        return expressions.evaluate(expression.tree, lambda node: v.definite(self.finished((node.name, added), row)))

    def _without_time_filters(
        self, metric: PeriodOverPeriodMetric, added: tuple[FilterNode, ...], time: FieldRef
    ) -> Frame:
        """The compared value alone, without the clauses that speak only of the compared time column."""
        if (metric.name, added) not in self._before:
            kept = [
                clause
                for clause in self.where
                if {ref.column for ref in self.scoper.clause_fields([clause])} != {time.column}
            ]
            self.check_compared(metric.name)
            asked = [(name, added) for name in components(metric)]
            frame = Frame(self.leaves, self.parts, kept, asked, self.grouping, shown=self.shown)
            self._before[metric.name, added] = frame
        return self._before[metric.name, added]

    def _window(self, metric: WindowMetric, added: tuple[FilterNode, ...], row: RowKey) -> v.Value:
        if row not in self.rows:
            return None
        function = metric.function
        if function in _BY_TIME:
            return self._window_by_time(metric, added, row)
        partition = self._partition(metric.partition_by, None)
        peers = [other for other in self.level_rows(row.level) if self._together(other, row, partition)]
        if function in (WindowFunction.RANK, WindowFunction.DENSE_RANK):
            return self._rank(metric, added, row, peers)
        ordered = sorted(peers, key=lambda other: self._row_order(metric, added, other))
        number = ordered.index(row)
        if function is WindowFunction.ROW_NUMBER:
            return number + 1
        assert metric.buckets is not None
        return _bucket(number, len(ordered), metric.buckets)

    def _row_order(self, metric: WindowMetric, added: tuple[FilterNode, ...], row: RowKey) -> tuple[object, ...]:
        """By the measure in its direction, NULLs last, then by the dimensions."""
        dimensions = tuple(v.sort_key(member) for member in row.members)
        if metric.measure is None:
            return dimensions
        value = self.finished((metric.measure, added), row)
        return (v.sort_key(value, descending=metric.order is Direction.DESC), *dimensions)

    def _rank(
        self, metric: WindowMetric, added: tuple[FilterNode, ...], row: RowKey, peers: Sequence[RowKey]
    ) -> v.Value:
        assert metric.measure is not None
        descending = metric.order is Direction.DESC
        keys = [v.sort_key(self.finished((metric.measure, added), o), descending=descending) for o in peers]
        mine = v.sort_key(self.finished((metric.measure, added), row), descending=descending)
        better = [key for key in keys if key < mine]
        if metric.function is WindowFunction.RANK:
            return 1 + len(better)
        distinct = [key for place, key in enumerate(better) if key not in better[:place]]
        return 1 + len(distinct)

    def _window_by_time(self, metric: WindowMetric, added: tuple[FilterNode, ...], row: RowKey) -> v.Value:
        assert metric.measure is not None
        function, by_time = metric.function, metric.time_dimension is not None
        if not by_time and function in (WindowFunction.LAG, WindowFunction.LEAD):
            raise v.RefusedError("lag and lead need a time dimension", "INVALID_LAG_LEAD")
        time = None
        if metric.time_dimension is not None:
            time = self.position(metric.time_dimension, row.level, "WINDOW_TIME_DIMENSION_NOT_IN_SELECT")
        partition = self._partition(metric.partition_by or (None if by_time else ()), metric.time_dimension)
        peers = [other for other in self.level_rows(row.level) if self._together(other, row, partition)]
        if by_time and time is None:
            peers = [row]
        ordered = sorted(peers, key=lambda other: self._time_order(metric, added, time, other))
        place = {
            WindowFunction.LAG: ordered.index(row) - (metric.offset or 1),
            WindowFunction.LEAD: ordered.index(row) + (metric.offset or 1),
            WindowFunction.FIRST_VALUE: 0,
            WindowFunction.LAST_VALUE: len(ordered) - 1,
        }[function]
        if not 0 <= place < len(ordered):
            return v.exact(metric.default_value)
        return self.finished((metric.measure, added), ordered[place])

    def _time_order(
        self, metric: WindowMetric, added: tuple[FilterNode, ...], time: int | None, row: RowKey
    ) -> tuple[object, ...]:
        dimensions = tuple(v.sort_key(member) for member in row.members)
        if time is None:
            return self._row_order(metric, added, row)
        return (v.sort_key(row.member(time)), *dimensions)


_FINENESS: list[TimeGrain | None] = [
    TimeGrain.FISCAL_YEAR,
    TimeGrain.YEAR,
    TimeGrain.FISCAL_QUARTER,
    TimeGrain.QUARTER,
    TimeGrain.MONTH,
    TimeGrain.WEEK,
    TimeGrain.DAY,
    TimeGrain.HOUR,
    TimeGrain.MINUTE,
    TimeGrain.SECOND,
    None,
]
_OF_FLOATS = {
    Aggregation.AVG,
    Aggregation.STDDEV,
    Aggregation.STDDEV_POP,
    Aggregation.VARIANCE,
    Aggregation.VAR_POP,
    Aggregation.CORR,
    Aggregation.COVAR_POP,
    Aggregation.COVAR_SAMP,
    Aggregation.REGR_SLOPE,
    Aggregation.REGR_INTERCEPT,
}
_BY_TIME = (WindowFunction.LAG, WindowFunction.LEAD, WindowFunction.FIRST_VALUE, WindowFunction.LAST_VALUE)
_CUMULATIVE = {
    CumulativeType.SUM: lambda values: sum(values) if values else None,
    CumulativeType.AVG: lambda values: Fraction(sum(values)) / len(values) if values else None,
    CumulativeType.MIN: lambda values: min(values, default=None),
    CumulativeType.MAX: lambda values: max(values, default=None),
    CumulativeType.COUNT: len,
}


def _bucket(number: int, count: int, buckets: int) -> int:
    """NTILE: the first buckets hold one row more when the rows do not divide evenly."""
    size, larger = divmod(count, buckets)
    if number < larger * (size + 1):
        return number // (size + 1) + 1
    return larger + (number - larger * (size + 1)) // size + 1


def is_nested(measure: Measure) -> bool:
    return measure.expression is not None and bool(measure.expression.measures)


def compare(comparison: Comparison, now: v.Value, then: v.Value) -> v.Value:
    """Compares two periods; division by zero gives NULL."""
    if comparison is Comparison.PREVIOUS_VALUE:
        return then
    if now is None or then is None:
        return None
    if comparison is Comparison.DIFFERENCE:
        return now - then
    if then == 0:
        return None
    ratio = float(now) / float(then) if isinstance(now, float) or isinstance(then, float) else Fraction(now) / then
    return ratio if comparison is Comparison.RATIO else ratio - 1


def key_part(scoper: Scoper, name: str, grain: TimeGrain | None = None, label: str | None = None) -> KeyPart:
    """Returns a dimension as something to group by; `grain` overrides its own."""
    dimension = scoper.world.model.dimensions.get(name)
    if dimension is None:
        raise v.RefusedError(f"nothing is called {name}", "UNKNOWN_DIMENSION")
    ref = FieldRef(dimension.ref, dimension.via)
    return KeyPart(label or name, (name,), ((ref, grain or dimension.time_grain),))
