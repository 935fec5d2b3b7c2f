"""What a dialect is: its capabilities, and the rewrites that sqlglot does not do. A small file per engine overrides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from sqlglot import exp

from sagitta_compiler.model.resolved import TableSource
from sagitta_compiler.model.types import AbstractType, Aggregation, DataType, TimeGrain
from sagitta_compiler.plan.build import Engine
from sagitta_compiler.sql.functions import OPERATORS, PORTABLE, Builder
from sagitta_compiler.sql.syntax import (
    ABSTRACT_TYPES,
    E,
    binary,
    call,
    cast,
    data_type,
    name,
    number,
    text,
    typed,
    wrap,
)

_MONTHS = {
    TimeGrain.YEAR: 12,
    TimeGrain.QUARTER: 3,
    TimeGrain.MONTH: 1,
    TimeGrain.FISCAL_YEAR: 12,
    TimeGrain.FISCAL_QUARTER: 3,
}
_PLAIN_GRAIN = {TimeGrain.FISCAL_YEAR: TimeGrain.YEAR, TimeGrain.FISCAL_QUARTER: TimeGrain.QUARTER}
_EPOCH = "1970-01-05"
"""A Monday: days since then, divided by seven, number the weeks."""


class UnsupportedError(Exception):
    """A dialect cannot express what the plan needs; says what."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)


class Dialect:
    """A SQL dialect; stateless."""

    name: ClassVar[str]
    sqlglot: ClassVar[str]
    capabilities: ClassVar[Mapping[str, bool]] = {}
    unsupported: ClassVar[frozenset[Aggregation]] = frozenset({Aggregation.MEASURE})
    max_precision: ClassVar[int] = 38
    max_label: ClassVar[int | None] = None
    """How many bytes a name may have before the engine cuts it."""
    table_parts: ClassVar[int] = 2
    """How many of database, schema and code a table reference has."""
    operators: ClassVar[Mapping[str, Builder]] = {}
    functions: ClassVar[Mapping[str, Builder]] = {}
    aggregates: ClassVar[Mapping[str, Builder]] = {}
    windows_need_order: ClassVar[bool] = False
    """Whether a shift needs an order even where its partition is one row."""
    counts_periods: ClassVar[bool] = True
    """Whether a calendar is made of counted periods, for engines without series whose recursion ends early."""
    correlates: ClassVar[bool] = True
    """Whether EXISTS may look at the outer row wherever it stands."""
    ranges_meet_nulls: ClassVar[bool] = False
    """Whether a RANGE of some distance takes a NULL for a number."""
    truncation_keeps_dates: ClassVar[bool] = False
    unnests: ClassVar[bool] = False
    """Whether arrays of structures are unnested in FROM as we write it."""
    grouping_sets: ClassVar[bool] = True
    """Whether GROUP BY ROLLUP and CUBE with GROUPING are there."""
    aliases_all: ClassVar[bool] = False
    """Whether a column of a join must be named again to be known by its own name."""
    typed_nulls: ClassVar[bool] = False
    """Whether a NULL in a union needs its type."""

    @property
    def engine(self) -> Engine:
        """What plans may use of it."""
        return Engine(self.grouping_sets, self.unnests)

    def operator(self, function: str, args: tuple[E, ...]) -> E:
        """An operator of the plan's vocabulary."""
        return (self.operators.get(function) or OPERATORS[function])(args)

    def function(self, function: str, args: tuple[E, ...]) -> E | None:
        """A catalogued function; None when the name is not catalogued."""
        builder = self.functions.get(function) or PORTABLE.get(function)
        return None if builder is None else builder(args)

    def table(self, source: TableSource) -> exp.Table:
        """A table reference, empty parts dropped."""
        parts = [part for part in (source.database, source.schema, source.code)[-self.table_parts :] if part]
        reference = exp.Table(this=name(parts[-1]))
        if len(parts) > 1:
            reference.set("db", name(parts[-2]))
        if len(parts) > 2:
            reference.set("catalog", name(parts[-3]))
        return reference

    def abstract_type(self, type_: AbstractType) -> exp.DataType:
        """The type of a column."""
        return typed(ABSTRACT_TYPES[type_])

    def result_cast(self, arg: E, type_: DataType) -> E:
        """A value as the result type says; decimals are rounded, halves away from zero."""
        return cast(arg, data_type(type_, self.max_precision))

    # time

    def truncate(self, arg: E, grain: TimeGrain, type_: AbstractType, week_start: str, fiscal_start: int) -> E:
        """The start of a period."""
        if grain in _PLAIN_GRAIN:
            months = fiscal_start - 1
            moved = self.shift(arg, -months, TimeGrain.MONTH, type_) if months else arg
            period = self.truncate(moved, _PLAIN_GRAIN[grain], type_, week_start, 1)
            return self.shift(period, months, TimeGrain.MONTH, type_) if months else period
        if grain is TimeGrain.WEEK and week_start == "sunday":
            moved = self.shift(arg, 1, TimeGrain.DAY, type_)
            return self.shift(self.truncate(moved, grain, type_, "monday", 1), -1, TimeGrain.DAY, type_)
        if type_ is AbstractType.DATE and grain in (TimeGrain.DAY, TimeGrain.HOUR, TimeGrain.MINUTE, TimeGrain.SECOND):
            return arg
        period = self.date_trunc(grain, arg)
        if type_ is AbstractType.DATE and not self.truncation_keeps_dates:
            return cast(period, typed(exp.DType.DATE))
        return period

    def date_trunc(self, grain: TimeGrain, arg: E) -> E:
        """The engine's own truncation; weeks start on Monday."""
        return call("DATE_TRUNC", text(grain.value), arg)

    def shift(self, arg: E, amount: int, grain: TimeGrain, type_: AbstractType) -> E:
        """A date or time moved by whole periods; a date stays a date."""
        grain = _PLAIN_GRAIN.get(grain, grain)
        if grain is TimeGrain.QUARTER:
            amount, grain = amount * 3, TimeGrain.MONTH
        moved = self.add_interval(arg, amount, grain)
        return cast(moved, typed(exp.DType.DATE)) if type_ is AbstractType.DATE else moved

    def add_interval(self, arg: E, amount: int, grain: TimeGrain) -> E:
        """The engine's own date arithmetic."""
        interval = exp.Interval(this=text(str(abs(amount))), unit=exp.Var(this=grain.value.upper()))
        kind = exp.Sub if amount < 0 else exp.Add
        return kind(this=wrap(arg), expression=interval)

    def days(self, arg: E) -> E:
        """The number of days since the first Monday of 1970."""
        return exp.DateDiff(
            this=cast(arg, typed(exp.DType.DATE)), expression=self.date(_EPOCH), unit=exp.Var(this="DAY")
        )

    def seconds(self, arg: E) -> E:
        """The number of seconds since 1970."""
        return exp.Extract(this=exp.Var(this="EPOCH"), expression=arg)

    def date(self, day: str) -> E:
        """A date constant."""
        return cast(text(day), typed(exp.DType.DATE))

    def extract(self, unit: str, arg: E) -> E:
        """A part of a date or time."""
        return exp.Extract(this=exp.Var(this=unit.upper()), expression=arg)

    def period_index(self, arg: E, grain: TimeGrain) -> E:
        """A number that grows by one from period to period, for windows over calendar periods."""
        if grain in _MONTHS:
            month = binary(
                exp.Add, binary(exp.Mul, self.extract("year", arg), number(12)), self.extract("month", arg.copy())
            )
            return month if _MONTHS[grain] == 1 else self.floor_div(binary(exp.Sub, month, number(1)), _MONTHS[grain])
        if grain is TimeGrain.DAY:
            return self.days(arg)
        if grain is TimeGrain.WEEK:
            return self.floor_div(self.days(arg), 7)
        seconds = {TimeGrain.HOUR: 3600, TimeGrain.MINUTE: 60, TimeGrain.SECOND: 1}[grain]
        return self.floor_div(self.seconds(arg), seconds)

    def date_diff(self, grain: TimeGrain, start: E, end: E) -> E:
        """The number of period boundaries from start to end."""
        return binary(exp.Sub, self.period_index(end, grain), self.period_index(start, grain))

    def date_add(self, unit: str, amount: E, arg: E) -> E:
        """A date or time moved by a computed number of units."""
        count, step = (3, "MONTH") if unit == "quarter" else (1, unit.upper())
        interval = exp.Interval(this=text(str(count)), unit=exp.Var(this=step))
        return binary(exp.Add, arg, exp.Mul(this=wrap(amount), expression=interval))

    def move(self, arg: E, amount: E, grain: TimeGrain, type_: AbstractType) -> E:
        """A date or time moved by a computed number of periods; a date stays a date."""
        moved = self.date_add(_PLAIN_GRAIN.get(grain, grain).value, amount, arg)
        return cast(moved, typed(exp.DType.DATE)) if type_ is AbstractType.DATE else moved

    def floor_div(self, arg: E, divisor: int) -> E:
        """The whole quotient, rounded down, as an integer."""
        quotient = exp.Div(this=wrap(arg), expression=number(divisor), typed=False, safe=False)
        return cast(exp.Floor(this=quotient), typed(exp.DType.BIGINT))

    def at_zone(self, arg: E, zone: str, source: str | None) -> E:
        """A timestamp as the wall clock of a zone shows it; a naive one is first placed in its own zone."""
        placed = arg if source is None else exp.AtTimeZone(this=wrap(arg), zone=text(source))
        return exp.AtTimeZone(this=placed, zone=text(zone))

    # relations

    def spine(self, first: E, last: E, grain: TimeGrain, type_: AbstractType) -> E | None:
        """Every period from `first` to `last`, as a set-returning column; None where they are counted or recursed."""
        return None

    def step(self, grain: TimeGrain) -> exp.Interval:
        """One period as an interval."""
        months = _MONTHS.get(grain)
        unit = "MONTH" if months else grain.value.upper()
        return exp.Interval(this=text(str(months or 1)), unit=exp.Var(this=unit))

    def finished(self, query: exp.Query) -> exp.Query:
        """The whole statement, with what an engine needs around it."""
        return query

    def pad(self, type_: AbstractType) -> E:
        """The NULL of a leg that lacks a value; a number of any kind where the type must be known."""
        if not self.typed_nulls:
            return exp.Null()
        kind = typed(exp.DType.DECIMAL) if type_ is AbstractType.FLOAT else self.abstract_type(type_)
        return cast(exp.Null(), kind)

    def member(self, arg: E, steps: tuple[str, ...], type_: AbstractType | None) -> E:
        """A member inside a structured value."""
        for step in steps:
            arg = exp.Dot(this=arg, expression=name(step))
        return arg

    def unnest(self, array: E, alias: str) -> E:
        """The elements of an array as a row source."""
        raise UnsupportedError("UNSUPPORTED_NESTED_ACCESS", f"{self.name} cannot unnest arrays in FROM")

    # aggregates

    def aggregate(self, function: str, args: tuple[E, ...], option: str | float | None, order: list[E]) -> E:
        """An aggregate beside the plain ones."""
        match function:
            case "listagg":
                return self.listagg(args[0], str(option), order)
            case "percentile" | "percentile_disc":
                return self.percentile(args[0], float(option or 0.0), discrete=function == "percentile_disc")
            case _:
                return (self.aggregates.get(function) or AGGREGATES[function])(args)

    def running(self, function: str, args: tuple[E, ...]) -> E:
        """A plain aggregate over a window."""
        return self.aggregate(function, args, None, [])

    def window_function(self, function: str, args: tuple[E, ...]) -> E:
        """A function that only windows have."""
        return call(function, *args)

    def windowed(self, window: exp.Window, function: str) -> E:
        """A function with its window."""
        return window

    def listagg(self, arg: E, delimiter: str, order: list[E]) -> E:
        """The values of a group as one text."""
        operand = exp.Order(this=arg, expressions=order) if order else arg
        return exp.GroupConcat(this=operand, separator=text(delimiter))

    def percentile(self, arg: E, fraction: float, *, discrete: bool) -> E:
        """A percentile, interpolated unless discrete."""
        function = exp.PercentileDisc if discrete else exp.PercentileCont
        order = exp.Order(expressions=[exp.Ordered(this=arg)])
        return exp.WithinGroup(this=function(this=number(fraction)), expression=order)


def _two(function: str) -> Builder:
    return lambda args: call(function, *args)


AGGREGATES: Mapping[str, Builder] = {
    "sum": lambda args: exp.Sum(this=args[0]),
    "avg": lambda args: exp.Avg(this=args[0]),
    "min": lambda args: exp.Min(this=args[0]),
    "max": lambda args: exp.Max(this=args[0]),
    "bool_and": lambda args: exp.Min(this=args[0]),
    "bool_or": lambda args: exp.Max(this=args[0]),
    "count": lambda args: exp.Count(this=args[0] if args else exp.Star()),
    "any_value": lambda args: exp.AnyValue(this=args[0]),
    "median": lambda args: exp.Median(this=args[0]),
    "mode": lambda args: exp.Mode(this=args[0]),
    "stddev": lambda args: exp.StddevSamp(this=args[0]),
    "stddev_pop": lambda args: exp.StddevPop(this=args[0]),
    "variance": lambda args: exp.Variance(this=args[0]),
    "var_pop": lambda args: exp.VariancePop(this=args[0]),
    "corr": lambda args: exp.Corr(this=args[0], expression=args[1]),
    "covar_pop": lambda args: exp.CovarPop(this=args[0], expression=args[1]),
    "covar_samp": lambda args: exp.CovarSamp(this=args[0], expression=args[1]),
    "regr_slope": _two("REGR_SLOPE"),
    "regr_intercept": _two("REGR_INTERCEPT"),
}
