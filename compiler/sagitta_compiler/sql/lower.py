"""Plan -> sqlglot expressions, built by constructors. A frame that is read from becomes a common table expression."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any
from zlib import crc32

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect as Grammar

from sagitta_compiler.model.types import AbstractType, TimeGrain
from sagitta_compiler.plan.relations import (
    Except,
    GroupingKind,
    JoinKind,
    JoinTo,
    Output,
    Relation,
    Select,
    Source,
    Spine,
    Table,
    Union,
    Unnest,
)
from sagitta_compiler.plan.scalars import (
    Aggregate,
    AtZone,
    Call,
    Case,
    Cast,
    Exists,
    Field,
    Literal,
    Over,
    Path,
    Scalar,
    Shift,
    SortKey,
    Template,
    Truncate,
    WindowFrame,
)
from sagitta_compiler.sql.dialects import Dialect
from sagitta_compiler.sql.membership import among_outer_rows, as_membership
from sagitta_compiler.sql.syntax import E, case, cast, column, name, number, text, wrap
from sagitta_compiler.sql.templates import lower_template

_NULLS_FIRST_BY_DEFAULT: dict[str, Callable[[bool], bool]] = {
    "nulls_are_small": lambda descending: not descending,
    "nulls_are_large": lambda descending: descending,
    "nulls_are_last": lambda _: False,
}


def lower(select: Select, dialect: Dialect) -> exp.Query:
    """The statement of a plan in a dialect's vocabulary, ready to be written."""
    return _Lowering(dialect).statement(select)


class _Lowering:
    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._nulls_first = _NULLS_FIRST_BY_DEFAULT[Grammar.get_or_raise(dialect.sqlglot).NULL_ORDERING]
        self._names: dict[int, str] = {}
        self._taken: set[str] = set()
        self._ctes: list[exp.CTE] = []
        self._recursive = False
        self._made: list[Select] = []
        """What was made on the way; kept, for frames are known by identity."""
        self._open: list[Select] = []
        """The selects around the expression that is written, the innermost last."""

    def statement(self, select: Select) -> exp.Query:
        query = self._select(select)
        if self._ctes:
            query.set("with_", exp.With(expressions=self._ctes, recursive=self._recursive or None))
        return self._dialect.finished(query)

    # relations

    def _select(self, select: Select) -> exp.Select:
        self._open.append(select)
        try:
            return self._statement(select)
        finally:
            self._open.pop()

    def _statement(self, select: Select) -> exp.Select:
        source = None if select.source is None else self._source(select.source)
        joins = [self._join(join) for join in select.joins]
        parts: dict[str, Any] = {"expressions": [self._output(output) for output in select.columns]}
        if select.distinct:
            parts["distinct"] = exp.Distinct()
        if source is not None:
            parts["from_"] = exp.From(this=source)
        if joins:
            parts["joins"] = joins
        if select.where is not None:
            parts["where"] = exp.Where(this=self.scalar(select.where))
        if select.group:
            parts["group"] = self._group(select)
        if select.having is not None:
            parts["having"] = exp.Having(this=self.scalar(select.having))
        if select.order:
            parts["order"] = exp.Order(expressions=[self._sort_key(key) for key in select.order])
        if select.limit is not None:
            parts["limit"] = exp.Limit(expression=number(select.limit))
        if select.offset:
            parts["offset"] = exp.Offset(expression=number(select.offset))
        return exp.Select(**parts)

    def _group(self, select: Select) -> exp.Group:
        keys = [self.scalar(key) for key in select.group or ()]
        match select.grouping:
            case GroupingKind.PLAIN:
                return exp.Group(expressions=keys)
            case GroupingKind.ROLLUP:
                return exp.Group(rollup=[exp.Rollup(expressions=keys)])
            case GroupingKind.CUBE:
                return exp.Group(cube=[exp.Cube(expressions=keys)])

    def _output(self, output: Output) -> E:
        scalar = self.scalar(output.scalar)
        if isinstance(output.scalar, Field) and output.scalar.name == output.label and not self._dialect.aliases_all:
            return scalar
        return exp.Alias(this=scalar, alias=name(self._short(output.label)))

    def _short(self, label: str) -> str:
        """A label as the engine can bear it: a long one keeps its beginning and gets a mark of the whole."""
        limit = self._dialect.max_label
        if limit is None or len(label.encode()) <= limit:
            return label
        mark = f"~{crc32(label.encode()):08x}"
        return label.encode()[: limit - len(mark)].decode(errors="ignore") + mark

    def _source(self, source: Source) -> E:
        relation = source.relation
        if isinstance(relation, Table):
            table = self._dialect.table(relation.source)
            table.set("alias", exp.TableAlias(this=name(self._short(source.alias))))
            return table
        if isinstance(relation, Unnest):
            return self._dialect.unnest(self.scalar(relation.array), self._short(source.alias))
        cte = self._named(relation)
        alias = self._short(source.alias)
        if cte == alias:
            return exp.Table(this=name(cte))
        return exp.Table(this=name(cte), alias=exp.TableAlias(this=name(alias)))

    def _join(self, join: JoinTo) -> exp.Join:
        target = self._source(join.source)
        if join.on is None and join.kind is not JoinKind.LEFT:
            return exp.Join(this=target, kind="CROSS")
        condition = exp.true() if join.on is None else self.scalar(join.on)
        if join.kind is JoinKind.LEFT:
            return exp.Join(this=target, side="LEFT", on=condition)
        return exp.Join(this=target, on=condition)

    def _named(self, relation: Relation) -> str:
        """The name of the common table expression of a frame, made at its first use."""
        known = self._names.get(id(relation))
        if known is not None:
            return known
        assert not isinstance(relation, Table | Unnest)
        body = self._body(relation)
        unique = self._names.get(id(relation)) or self._unique(relation.name)
        self._names[id(relation)] = unique
        self._ctes.append(exp.CTE(this=body, alias=exp.TableAlias(this=name(unique))))
        return unique

    def _body(self, relation: Select | Union | Except | Spine) -> exp.Query:
        match relation:
            case Select():
                return self._select(relation)
            case Union():
                whole: exp.Query = self._select(relation.selects[0])
                for select in relation.selects[1:]:
                    whole = exp.Union(this=whole, expression=self._select(select), distinct=False)
                return whole
            case Except():
                return exp.Except(
                    this=self._select(relation.left), expression=self._select(relation.right), distinct=True
                )
            case Spine():
                return self._spine(relation)

    def _spine(self, spine: Spine) -> exp.Query:
        source = self._named(spine.over)
        first = exp.Min(this=column(source, self._short(spine.column)))
        last = exp.Max(this=column(source, self._short(spine.column)))
        periods = self._dialect.spine(first, last, spine.grain, spine.type)
        if periods is None:
            counted = self._dialect.counts_periods
            return self._counted_spine(spine, first, last, source) if counted else self._recursive_spine(spine, source)
        shown = exp.Alias(this=periods, alias=name(self._short(spine.column)))
        return exp.Select(expressions=[shown], from_=exp.From(this=exp.Table(this=name(source))))

    def _recursive_spine(self, spine: Spine, source: str) -> exp.Query:
        """The periods one after the other, for engines that have no series."""
        self._recursive = True
        own = self._unique(spine.name)
        self._names[id(spine)] = own
        rows = exp.From(this=exp.Table(this=name(source)))
        start = exp.Alias(
            this=exp.Min(this=column(source, self._short(spine.column))), alias=name(self._short(spine.column))
        )
        begins = exp.Not(this=exp.Is(this=start.this.copy(), expression=exp.Null()))
        first = exp.Select(expressions=[start], from_=rows, having=exp.Having(this=begins))  # no row from no period
        following = self._dialect.shift(column(own, self._short(spine.column)), 1, spine.grain, spine.type)
        last = exp.Select(expressions=[exp.Max(this=column(source, self._short(spine.column)))], from_=rows.copy())
        step = exp.Select(
            expressions=[following],
            from_=exp.From(this=exp.Table(this=name(own))),
            where=exp.Where(
                this=exp.LT(this=column(own, self._short(spine.column)), expression=exp.Subquery(this=last))
            ),
        )
        return exp.Union(this=first, expression=step, distinct=False)

    def _counted_spine(self, spine: Spine, first: E, last: E, source: str) -> exp.Query:
        """The first period moved by 0, 1, 2, ...: the numbers are combinations of digits."""
        edges, digits = self._unique("edges"), self._unique("digits")
        limits = [exp.Alias(this=first, alias=name("first")), exp.Alias(this=last, alias=name("last"))]
        self._common(edges, exp.Select(expressions=limits, from_=exp.From(this=exp.Table(this=name(source)))))
        self._common(digits, _digits())
        places = _PLACES_OF_CLOCKS if spine.grain in _CLOCKS else _PLACES
        tables = [
            exp.Table(this=name(digits), alias=exp.TableAlias(this=name(f"place {place}"))) for place in range(places)
        ]
        start, end = column(edges, "first"), column(edges, "last")
        distance = self._dialect.date_diff(spine.grain, start.copy(), end)
        moved = self._dialect.move(start, _whole_number(places), spine.grain, spine.type)
        return exp.Select(
            expressions=[exp.Alias(this=moved, alias=name(self._short(spine.column)))],
            from_=exp.From(this=exp.Table(this=name(edges))),
            joins=[exp.Join(this=table, kind="CROSS") for table in tables],
            where=exp.Where(this=exp.LTE(this=_whole_number(places), expression=wrap(distance))),
        )

    def _common(self, label: str, body: exp.Query) -> None:
        self._ctes.append(exp.CTE(this=body, alias=exp.TableAlias(this=name(label))))

    def _unique(self, wanted: str) -> str:
        unique, at = self._short(wanted), 2
        while unique.lower() in self._taken:
            unique, at = self._short(f"{wanted} {at}"), at + 1
        self._taken.add(unique.lower())
        return unique

    # scalars

    def scalar(self, scalar: Scalar) -> E:
        """A scalar of the plan as a fresh sqlglot expression."""
        dialect = self._dialect
        match scalar:
            case Field():
                return column(self._short(scalar.source), self._short(scalar.name))
            case Literal():
                return self._literal(scalar)
            case Call(name="period_index", args=(arg, Literal(value=str(grain)))):
                return dialect.period_index(self.scalar(arg), TimeGrain(grain))
            case Call(name="pad", args=(Literal(type=AbstractType() as type_),)):
                return dialect.pad(type_)
            case Call():
                return dialect.operator(scalar.name, tuple(self.scalar(arg) for arg in scalar.args))
            case Case():
                default = None if scalar.default is None else self.scalar(scalar.default)
                return case(((self.scalar(c), self.scalar(v)) for c, v in scalar.whens), default)
            case Cast():
                return dialect.result_cast(self.scalar(scalar.arg), scalar.type)
            case Template():
                return lower_template(scalar, self.scalar, dialect)
            case Truncate():
                period = self.scalar(scalar.arg)
                return dialect.truncate(period, scalar.grain, scalar.type, scalar.week_start, scalar.fiscal_start)
            case Shift():
                return dialect.shift(self.scalar(scalar.arg), scalar.amount, scalar.grain, scalar.type)
            case AtZone():
                return dialect.at_zone(self.scalar(scalar.arg), scalar.zone, scalar.source)
            case Aggregate():
                return self._aggregate(scalar)
            case Over():
                return self._over(scalar)
            case Exists():
                return self._exists(scalar)
            case Path():
                return dialect.member(self.scalar(scalar.arg), scalar.steps, scalar.type)

    def _exists(self, exists: Exists) -> E:
        """EXISTS; as membership where the engine cannot look at the outer row."""
        if self._dialect.correlates or not self._open:
            return exp.Exists(this=self._select(exists.select))
        found = as_membership(exists.select) or among_outer_rows(exists.select, self._open[-1])
        self._made.append(found[1])
        keys = [self.scalar(key) for key in found[0]]
        subject = keys[0] if len(keys) == 1 else exp.Tuple(expressions=keys)
        members = exp.In(this=wrap(subject), query=exp.Subquery(this=self._select(found[1])))
        return exp.Coalesce(this=members, expressions=[exp.false()])

    def _literal(self, literal: Literal) -> E:
        value = literal.value
        if value is None:
            return exp.Null() if literal.type is None else cast(exp.Null(), self._dialect.abstract_type(literal.type))
        if isinstance(value, bool):
            return exp.Boolean(this=value)
        if isinstance(value, int | float | Decimal):
            return number(value)
        constant = text(str(value))
        return constant if literal.type is None else cast(constant, self._dialect.abstract_type(literal.type))

    def _aggregate(self, aggregate: Aggregate) -> E:
        args = [self.scalar(arg) for arg in aggregate.args]
        if aggregate.distinct and args:
            args[0] = exp.Distinct(expressions=[args[0]])
        order: list[E] = [self._sort_key(key) for key in aggregate.order]
        return self._dialect.aggregate(aggregate.function, tuple(args), aggregate.option, order)

    def _over(self, over: Over) -> E:
        args = tuple(self.scalar(arg) for arg in over.args)
        dialect, function_name = self._dialect, over.function.upper()
        plain = ("sum", "avg", "min", "max", "count")
        function = self._dialect.running(over.function, args) if over.function in plain else None
        window: dict[str, Any] = {"this": function or dialect.window_function(function_name, args)}
        partition = [self.scalar(part) for part in over.partition]
        if over.frame is not None and over.frame.preceding is not None and dialect.ranges_meet_nulls:
            partition += [exp.Is(this=wrap(self.scalar(key.scalar)), expression=exp.Null()) for key in over.order]
        if partition:
            window["partition_by"] = partition
        if not over.order and dialect.windows_need_order and function is None:
            window["order"] = exp.Order(expressions=[exp.Ordered(this=exp.Null())])
        if over.order:
            window["order"] = exp.Order(expressions=[self._sort_key(key) for key in over.order])
        if over.frame is not None:
            window["spec"] = _bounds(over.frame)
        return dialect.windowed(exp.Window(**window), function_name)

    def _sort_key(self, key: SortKey) -> exp.Ordered:
        nulls_first = self._nulls_first(key.descending) if key.nulls_first is None else key.nulls_first
        return exp.Ordered(this=self.scalar(key.scalar), desc=key.descending or None, nulls_first=nulls_first)


_PLACES, _PLACES_OF_CLOCKS = 5, 6
"""A spine that is counted has at most 100,000 days or longer periods, and 1,000,000 shorter ones."""
_CLOCKS = (TimeGrain.HOUR, TimeGrain.MINUTE, TimeGrain.SECOND)


def _digits() -> exp.Query:
    whole: exp.Query = exp.Select(expressions=[exp.Alias(this=number(0), alias=name("digit"))])
    for digit in range(1, 10):
        following = exp.Select(expressions=[exp.Alias(this=number(digit), alias=name("digit"))])
        whole = exp.Union(this=whole, expression=following, distinct=False)
    return whole


def _whole_number(places: int) -> E:
    """The number that some digits make."""
    whole: E = column("place 0", "digit")
    for place in range(1, places):
        weighed = exp.Mul(this=column(f"place {place}", "digit"), expression=number(10**place))
        whole = exp.Add(this=whole, expression=weighed)
    return exp.Paren(this=whole)


def _bounds(frame: WindowFrame) -> exp.WindowSpec:
    def bound(distance: int | None, side: str) -> tuple[Any, str | None]:
        if distance is None:
            return "UNBOUNDED", side
        return ("CURRENT ROW", None) if distance == 0 else (number(distance), side)

    start, start_side = bound(frame.preceding, "PRECEDING")
    end, end_side = bound(frame.following, "FOLLOWING")
    return exp.WindowSpec(kind=frame.unit, start=start, start_side=start_side, end=end, end_side=end_side)
