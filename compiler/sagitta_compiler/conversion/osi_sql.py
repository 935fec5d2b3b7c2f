"""Measures, metrics and computed columns as SQL over OSI's `dataset.field`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import assert_never

from sqlglot import exp

from sagitta_compiler.conversion.names import identifier
from sagitta_compiler.model.resolved import (
    ColumnRef,
    CumulativeMetric,
    DerivedMetric,
    Expression,
    Measure,
    Metric,
    PeriodOverPeriodMetric,
    ResolvedModel,
    WindowMetric,
)
from sagitta_compiler.model.types import Aggregation, Comparison, Direction, FilterOperator, TimeGrain, WindowFunction
from sagitta_compiler.query.query import Filter, FilterGroup, FilterNode, Logic, Scalar

_COMPARISONS: Mapping[FilterOperator, Callable[[exp.Expression, exp.Expression], exp.Expression]] = {
    FilterOperator.EQUALS: lambda a, b: exp.EQ(this=a, expression=b),
    FilterOperator.NOT_EQUALS: lambda a, b: exp.NEQ(this=a, expression=b),
    FilterOperator.GT: lambda a, b: exp.GT(this=a, expression=b),
    FilterOperator.GTE: lambda a, b: exp.GTE(this=a, expression=b),
    FilterOperator.LT: lambda a, b: exp.LT(this=a, expression=b),
    FilterOperator.LTE: lambda a, b: exp.LTE(this=a, expression=b),
}
_NEGATED = {
    FilterOperator.NOT_IN: FilterOperator.IN,
    FilterOperator.SET: FilterOperator.NOT_SET,
    FilterOperator.NOT_CONTAINS: FilterOperator.CONTAINS,
    FilterOperator.NOT_LIKE: FilterOperator.LIKE,
    FilterOperator.NOT_ILIKE: FilterOperator.ILIKE,
    FilterOperator.NOT_BETWEEN: FilterOperator.BETWEEN,
    FilterOperator.NOT_BLANK: FilterOperator.BLANK,
}
_PATTERNS = {
    FilterOperator.CONTAINS: "%{}%",
    FilterOperator.STARTS_WITH: "{}%",
    FilterOperator.ENDS_WITH: "%{}",
}


class InexpressibleError(Exception):
    """OSI's SQL has no words for a part of the model; the message names it."""


class SqlWriter:
    """Writes the SQL of one model. `left_out` collects what the last text does not say."""

    def __init__(self, model: ResolvedModel, fields: Mapping[ColumnRef, str]) -> None:
        self._model = model
        self._fields = fields
        self.left_out: list[str] = []

    def computed_column(self, data_object: str, expression: Expression) -> str:
        """Returns a field's expression: columns of its own dataset by their code, others as `dataset.field`."""
        if expression.measures:
            raise InexpressibleError("a column that reads measures")
        return _text(self._inlined(data_object, expression))

    def _inlined(self, home: str, expression: Expression) -> exp.Expression:
        def replace(node: exp.Expression) -> exp.Expression:
            if not isinstance(node, exp.Column):
                return node
            ref = ColumnRef(node.table, node.name)
            column = self._model.column(ref)
            if ref.object != home:
                return self._column(ref)
            if column.expression is None:
                return exp.column(identifier(column.code))
            if column.expression.measures:
                raise InexpressibleError("a column that reads measures")
            return exp.paren(self._inlined(home, column.expression), copy=False)

        return expression.tree.copy().transform(replace)

    def artefact(self, artefact: Measure | Metric) -> str:
        """Returns the expression of a measure or metric; what it leaves out is in `left_out`."""
        self.left_out = []
        return _text(self._measure(artefact) if isinstance(artefact, Measure) else self._metric(artefact))

    def _column(self, ref: ColumnRef) -> exp.Expression:
        if ref not in self._fields:
            raise InexpressibleError(f"column '{ref}'")
        return exp.column(identifier(self._fields[ref]), table=identifier(ref.object))

    def _note(self, *what: str) -> None:
        self.left_out.extend(item for item in what if item not in self.left_out)

    def _measure(self, measure: Measure) -> exp.Expression:
        for present, what in (
            (measure.total, "total"),
            (measure.grain is not None and not measure.total, "grain"),
            (measure.filter_context is not None, "filterContext"),
            (measure.semi_additive is not None, "semiAdditive"),
            (bool(measure.over), "over"),
            (measure.anchor is not None, "anchor"),
            (measure.allow_fan_out, "allowFanOut"),
        ):
            if present:
                self._note(what)
        aggregate = self._aggregate(measure, self._arguments(measure))
        if measure.default_value is None:
            return aggregate
        return exp.Coalesce(this=aggregate, expressions=[_literal(measure.default_value)])

    def _arguments(self, measure: Measure) -> list[exp.Expression]:
        """The arguments, each NULL where the measure's own filters do not hold."""
        if measure.expression is not None:
            arguments = [self._replaced(measure.expression)]
        else:
            arguments = [self._column(ref) for ref in measure.columns]
        if not arguments and measure.count_of is not None:
            arguments = [self._column(ColumnRef(measure.count_of, key)) for key in self._key(measure.count_of)]
        conditions = [made for node in measure.filters if (made := self._condition(node)) is not None]
        if not conditions:
            return arguments
        condition = exp.and_(*conditions, copy=False)
        filtered = arguments or [exp.Literal.number(1)]
        return [exp.Case(ifs=[exp.If(this=condition.copy(), true=each)]) for each in filtered]

    def _key(self, data_object: str) -> tuple[str, ...]:
        key = self._model.objects[data_object].primary_key
        if len(key) == 1:
            return key
        self._note("the data object whose rows are counted")
        return ()

    def _replaced(self, expression: Expression) -> exp.Expression:
        """The expression with `dataset.field` for columns and aggregates for measures."""

        def replace(node: exp.Expression) -> exp.Expression:
            if not isinstance(node, exp.Column):
                return node
            return self._column(ColumnRef(node.table, node.name)) if node.table else exp.paren(self._named(node.name))

        return expression.tree.copy().transform(replace)

    def _named(self, name: str) -> exp.Expression:
        if name in self._model.measures:
            return self._measure(self._model.measures[name])
        return self._metric(self._model.metrics[name])

    def _aggregate(self, measure: Measure, arguments: list[exp.Expression]) -> exp.Expression:
        name = measure.aggregation.value.upper()
        distinct = measure.distinct
        match measure.aggregation:
            case Aggregation.COUNT if not arguments:
                return exp.Count(this=exp.Star())
            case Aggregation.COUNT | Aggregation.COUNT_DISTINCT:
                name, distinct = "COUNT", distinct or measure.aggregation is Aggregation.COUNT_DISTINCT
            case Aggregation.PERCENTILE:
                name = "PERCENTILE_DISC" if measure.percentile_discrete else "PERCENTILE_CONT"
                call = exp.Anonymous(this=name, expressions=[_literal(measure.percentile)])
                return _within_group(call, arguments[0], Direction.ASC)
            case Aggregation.LISTAGG:
                arguments = [*arguments, exp.Literal.string(measure.delimiter)]
            case _:
                pass
        inner = [exp.Distinct(expressions=arguments)] if distinct else arguments
        call = exp.Anonymous(this=name, expressions=inner)
        if measure.within_group is None:
            return call
        return _within_group(call, self._column(measure.within_group.column), measure.within_group.order)

    def _condition(self, node: FilterNode) -> exp.Expression | None:
        match node:
            case FilterGroup(logic=logic, filters=members, negated=negated):
                parts = [part for member in members if (part := self._condition(member)) is not None]
                if len(parts) < len(members):
                    return None
                combined = (exp.and_ if logic is Logic.AND else exp.or_)(*parts, copy=False)
                return exp.Not(this=exp.paren(combined, copy=False)) if negated else exp.paren(combined, copy=False)
            case Filter(operator=operator) if operator in _NEGATED:
                positive = self._predicate(node, _NEGATED[operator])
                return None if positive is None else exp.Not(this=positive)
            case Filter():
                return self._predicate(node, node.operator)

    def _predicate(self, node: Filter, operator: FilterOperator) -> exp.Expression | None:
        subject = self._field(node.field)
        values = [_literal(value) for value in node.values]
        if subject is None or node.grain is not None:
            self._note(f"the filter on '{node.field}'")
            return None
        if operator in _COMPARISONS and len(values) == 1:
            if node.values[0] is not None:
                return _COMPARISONS[operator](subject, values[0])
            operator = FilterOperator.NOT_SET if operator is FilterOperator.EQUALS else FilterOperator.SET
        match operator:
            case FilterOperator.IN:
                return exp.In(this=subject, expressions=values)
            case FilterOperator.NOT_SET:
                return exp.Is(this=subject, expression=exp.null())
            case FilterOperator.SET:
                return exp.Not(this=exp.Is(this=subject, expression=exp.null()))
            case FilterOperator.BETWEEN if len(values) == 2:
                return exp.Between(this=subject, low=values[0], high=values[1])
            case FilterOperator.CONTAINS | FilterOperator.STARTS_WITH | FilterOperator.ENDS_WITH:
                fold = operator is FilterOperator.CONTAINS
                return _like(subject, _PATTERNS[operator], str(node.values[0]), fold=fold)
            case FilterOperator.LIKE:
                return exp.Like(this=subject, expression=values[0])
            case FilterOperator.BLANK:
                empty = exp.EQ(this=exp.Trim(this=subject.copy()), expression=exp.Literal.string(""))
                return exp.paren(exp.or_(exp.Is(this=subject, expression=exp.null()), empty, copy=False), copy=False)
            case _:
                self._note(f"the filter '{node.field} {node.operator.value}'")
                return None

    def _field(self, name: str) -> exp.Expression | None:
        if name in self._model.dimensions:
            return self._column(self._model.dimensions[name].ref)
        for position, character in enumerate(name):
            ref = ColumnRef(name[:position].strip(), name[position + 1 :].strip())
            if character == "." and ref in self._fields:
                return self._column(ref)
        return None

    def _metric(self, metric: Metric) -> exp.Expression:
        match metric:
            case DerivedMetric():
                return self._replaced(metric.expression)
            case CumulativeMetric():
                self._note("its dependence on the selected time grain")
                return self._cumulative(metric)
            case PeriodOverPeriodMetric():
                self._note("its dependence on the selected time grain")
                return self._period_over_period(metric)
            case WindowMetric():
                self._note("its dependence on the selected dimensions")
                return self._window(metric)
            case other:
                assert_never(other)

    def _time(self, dimension: str | None) -> exp.Expression | None:
        return None if dimension is None else self._column(self._model.dimensions[dimension].ref)

    def _partition(self, names: tuple[str, ...] | None) -> list[exp.Expression]:
        return [self._column(self._model.dimensions[name].ref) for name in names or ()]

    def _cumulative(self, metric: CumulativeMetric) -> exp.Expression:
        partition = self._partition(metric.partition_by)
        time = self._time(metric.time_dimension)
        if metric.grain_to_date is not None and time is not None:
            partition.append(_truncated(metric.grain_to_date, time.copy()))
        call = exp.Anonymous(this=metric.function.value.upper(), expressions=[self._named(metric.measure)])
        start = "UNBOUNDED" if metric.window is None else exp.Literal.number(metric.window - 1)
        frame = exp.WindowSpec(kind="ROWS", start=start, start_side="PRECEDING", end="CURRENT ROW")
        return _over(call, partition, time, frame=frame)

    def _period_over_period(self, metric: PeriodOverPeriodMetric) -> exp.Expression:
        current = self._replaced(metric.expression)
        function = "LAG" if metric.offset < 0 else "LEAD"
        arguments = [current.copy(), exp.Literal.number(abs(metric.offset))]
        previous = _over(exp.Anonymous(this=function, expressions=arguments), [], self._time(metric.time_dimension))
        if (metric.grain, abs(metric.offset)) != (metric.offset_grain, 1):
            self._note(f"the offset of {metric.offset} {metric.offset_grain.value} in periods of {metric.grain.value}")
        difference = exp.Sub(this=exp.paren(current.copy()), expression=previous.copy())
        safe = exp.Nullif(this=previous.copy(), expression=exp.Literal.number(0))
        match metric.comparison:
            case Comparison.PREVIOUS_VALUE:
                return previous
            case Comparison.DIFFERENCE:
                return difference
            case Comparison.RATIO:
                return exp.Div(this=exp.paren(current), expression=safe)
            case Comparison.PERCENT_CHANGE:
                return exp.Div(this=exp.paren(difference), expression=safe)
            case other:
                assert_never(other)

    def _window(self, metric: WindowMetric) -> exp.Expression:
        value = None if metric.measure is None else self._named(metric.measure)
        time = self._time(metric.time_dimension)
        arguments: list[exp.Expression] = []
        match metric.function:
            case WindowFunction.NTILE:
                arguments = [exp.Literal.number(metric.buckets or 1)]
            case WindowFunction.LAG | WindowFunction.LEAD if value is not None:
                default = [] if metric.default_value is None else [_literal(metric.default_value)]
                arguments = [value.copy(), exp.Literal.number(metric.offset or 1), *default]
            case WindowFunction.FIRST_VALUE | WindowFunction.LAST_VALUE if value is not None:
                arguments = [value.copy()]
            case _:
                pass
        order = time if time is not None else value
        descending = time is None and metric.order is Direction.DESC
        call = exp.Anonymous(this=metric.function.value.upper(), expressions=arguments)
        return _over(call, self._partition(metric.partition_by), order, descending=descending)


def _text(tree: exp.Expression) -> str:
    return tree.sql(normalize_functions="upper")


def _literal(value: Scalar) -> exp.Expression:
    match value:
        case None:
            return exp.null()
        case bool():
            return exp.Boolean(this=value)
        case int() | float() | Decimal():
            return exp.Literal.number(str(value))
        case dt.datetime() | dt.date() | dt.time():
            return exp.Literal.string(value.isoformat())
        case _:
            return exp.Literal.string(value)


def _like(subject: exp.Expression, pattern: str, text: str, *, fold: bool) -> exp.Expression:
    """LIKE with the wildcards of the text escaped; `contains` does not tell upper from lower case."""
    escaped = "".join(f"\\{character}" if character in "%_\\" else character for character in text)
    subject, wanted = (exp.Lower(this=subject), escaped.lower()) if fold else (subject, escaped)
    like = exp.Like(this=subject, expression=exp.Literal.string(pattern.format(wanted)))
    return like if escaped == text else exp.Escape(this=like, expression=exp.Literal.string("\\"))


def _within_group(call: exp.Expression, by: exp.Expression, order: Direction) -> exp.Expression:
    ordered = exp.Ordered(this=by, desc=order is Direction.DESC, nulls_first=order is not Direction.DESC)
    return exp.WithinGroup(this=call, expression=exp.Order(expressions=[ordered]))


def _truncated(grain: TimeGrain, time: exp.Expression) -> exp.Expression:
    return exp.Anonymous(this="DATE_TRUNC", expressions=[exp.Literal.string(grain.value), time])


def _over(
    call: exp.Expression,
    partition: list[exp.Expression],
    order: exp.Expression | None,
    *,
    descending: bool = False,
    frame: exp.Expression | None = None,
) -> exp.Expression:
    ordered = None
    if order is not None:
        item = exp.Ordered(this=order, desc=descending, nulls_first=not descending)
        ordered = exp.Order(expressions=[item])
    return exp.Window(this=call, partition_by=partition, order=ordered, spec=frame)
