"""WHERE and HAVING as filters of a Query."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, FilterOperator, TimeGrain
from sagitta_compiler.query.query import Filter, FilterGroup, FilterNode, Logic, Scalar, Subquery
from sagitta_compiler.query.semantic_sql.literals import Values, constant, is_constant
from sagitta_compiler.query.semantic_sql.names import Item
from sagitta_compiler.query.semantic_sql.reading import refused
from sagitta_compiler.query.semantic_sql.workspace import readable

Operand = Callable[[exp.Expr], Item]
"""Turns the column side of a predicate into something that a filter can name."""

_COMPARISONS: dict[type[exp.Expr], tuple[FilterOperator, FilterOperator]] = {
    exp.EQ: (FilterOperator.EQUALS, FilterOperator.EQUALS),
    exp.NEQ: (FilterOperator.NOT_EQUALS, FilterOperator.NOT_EQUALS),
    exp.GT: (FilterOperator.GT, FilterOperator.LT),
    exp.GTE: (FilterOperator.GTE, FilterOperator.LTE),
    exp.LT: (FilterOperator.LT, FilterOperator.GT),
    exp.LTE: (FilterOperator.LTE, FilterOperator.GTE),
}
"""The operator as written, and with its sides exchanged."""

TRUE, FALSE = True, False


def conjuncts(tree: exp.Expr | None) -> list[exp.Expr]:
    """Returns the parts of a condition that are joined by AND."""
    if tree is None:
        return []
    if isinstance(tree, exp.Paren):
        return conjuncts(tree.this)
    if isinstance(tree, exp.And):
        return [*conjuncts(tree.left), *conjuncts(tree.right)]
    return [tree]


def predicate(tree: exp.Expr, operand: Operand, values: Values) -> FilterNode | bool:
    """Returns the filter for a condition; True or False for one that is constant.

    Raises:
        CompileError: the condition has no filter that means the same.
    """
    return _Reader(operand, values).read(tree)


class _Reader:
    def __init__(self, operand: Operand, values: Values) -> None:
        self._operand = operand
        self._values = values
        self._unknown = False
        """What a constant NULL counts as: false, under NOT true. A condition keeps the rows for which it is true."""

    def read(self, tree: exp.Expr) -> FilterNode | bool:
        """Reads a condition; a leaf that no operator says becomes a computed boolean that must be true."""
        match tree:
            case exp.Paren():
                return self.read(tree.this)
            case exp.And() | exp.Or():
                return self._group(tree)
            case exp.Not() if not isinstance(tree.this, exp.Exists):
                return self._negated(tree.this)
        try:
            return self._leaf(tree)
        except _NoFilterError as error:
            item = self._operand(tree)
            if item.type is not AbstractType.BOOLEAN:
                raise error.told from error
            return Filter(item.name, FilterOperator.EQUALS, (True,), grain=item.grain)

    def _leaf(self, tree: exp.Expr) -> FilterNode | bool:
        match tree:
            case exp.Boolean():
                return bool(tree.this)
            case exp.Exists() | exp.Not():
                raise refused("UNSUPPORTED_SQL_FEATURE", "EXISTS stands alone or under NOT, joined by AND.")
            case exp.In():
                return self._in(tree)
            case exp.Between():
                return self._between(tree)
            case exp.Is():
                return self._is(tree)
            case exp.Escape() | exp.Like() | exp.ILike():
                return self._like(tree)
            case exp.RegexpLike():
                return self._filter(tree.this, FilterOperator.REGEX, self._constant(tree.expression, tree.this))
            case exp.StartsWith():
                return self._filter(tree.this, FilterOperator.STARTS_WITH, self._constant(tree.expression, tree.this))
            case exp.EndsWith():
                return self._filter(tree.this, FilterOperator.ENDS_WITH, self._constant(tree.expression, tree.this))
            case exp.NullSafeEQ() | exp.NullSafeNEQ():
                return self._null_safe(tree)
            case exp.EQ() | exp.NEQ() | exp.GT() | exp.GTE() | exp.LT() | exp.LTE():
                return self._comparison(tree)
            case exp.Column():
                return self._filter(tree, FilterOperator.EQUALS, True)
            case _ if is_constant(tree):
                return self._truth(constant(tree, self._values, AbstractType.BOOLEAN))
            case _:
                raise _NoFilterError(tree)

    def _group(self, tree: exp.And | exp.Or) -> FilterNode | bool:
        is_and = isinstance(tree, exp.And)
        members: list[FilterNode] = []
        for part in _flat(tree, type(tree)):
            found = self.read(part)
            if isinstance(found, bool):
                if found is not is_and:
                    return found
                continue
            members.append(found)
        if not members:
            return is_and
        if len(members) == 1:
            return members[0]
        return FilterGroup(Logic.AND if is_and else Logic.OR, tuple(members))

    def _negated(self, tree: exp.Expr) -> FilterNode | bool:
        self._unknown = not self._unknown
        found = self.read(tree)
        self._unknown = not self._unknown
        if isinstance(found, bool):
            return not found
        if isinstance(found, Filter) and (opposite := _OPPOSITES.get(found.operator)):
            return Filter(found.field, opposite, found.values, grain=found.grain)
        return FilterGroup(Logic.AND, (found,), negated=True)

    def _truth(self, value: Scalar) -> bool:
        return self._unknown if value is None else bool(value)

    def _between(self, tree: exp.Between) -> FilterNode | bool:
        low, high = self._constant(tree.args["low"], tree.this), self._constant(tree.args["high"], tree.this)
        if low is None or high is None:
            raise _NoFilterError(tree)
        if tree.args.get("symmetric") and _compare(FilterOperator.GT, low, high, tree):
            low, high = high, low
        return self._filter(tree.this, FilterOperator.BETWEEN, low, high)

    def _in(self, tree: exp.In) -> FilterNode | bool:
        if tree.args.get("query") is not None or tree.args.get("unnest") is not None:
            raise refused(
                "UNSUPPORTED_SQL_FEATURE",
                "IN with a SELECT is not possible on a model.",
                "List the values, or use EXISTS (SELECT 1 FROM <data object> WHERE ...).",
            )
        values = tuple(self._constant(value, tree.this) for value in tree.expressions)
        return self._filter(tree.this, FilterOperator.IN, *values)

    def _is(self, tree: exp.Is) -> FilterNode | bool:
        if isinstance(tree.expression, exp.Null):
            return self._filter(tree.this, FilterOperator.NOT_SET)
        if isinstance(tree.expression, exp.Boolean):
            equal = self._filter(tree.this, FilterOperator.EQUALS, bool(tree.expression.this))
            known = self._filter(tree.this, FilterOperator.SET)  # IS is never unknown, and neither is its negation
            return FilterGroup(Logic.AND, (_node(known), _node(equal)))
        raise _NoFilterError(tree)

    def _like(self, tree: exp.Expr) -> FilterNode | bool:
        like, escape = (tree.this, tree.expression) if isinstance(tree, exp.Escape) else (tree, None)
        pattern = self._constant(like.expression, like.this)
        if not isinstance(pattern, str):
            raise refused("INVALID_LITERAL", f"{readable(like)} needs a text as its pattern.")
        if escape is not None and str(constant(escape, self._values)) in pattern:
            raise _NoFilterError(tree)
        negated = bool(like.args.get("negate"))
        if isinstance(like, exp.ILike):
            operator = FilterOperator.NOT_ILIKE if negated else FilterOperator.ILIKE
        else:
            operator = FilterOperator.NOT_LIKE if negated else FilterOperator.LIKE
        return self._filter(like.this, operator, pattern)

    def _null_safe(self, tree: exp.Binary) -> FilterNode | bool:
        value = self._constant(tree.right, tree.left)
        same = isinstance(tree, exp.NullSafeEQ)
        if value is None:
            return self._filter(tree.left, FilterOperator.NOT_SET if same else FilterOperator.SET)
        equal = self._filter(tree.left, FilterOperator.EQUALS, value)
        null = self._filter(tree.left, FilterOperator.NOT_SET)
        if same:
            not_null = self._filter(tree.left, FilterOperator.SET)
            return FilterGroup(Logic.AND, (_node(not_null), _node(equal)))
        different = self._filter(tree.left, FilterOperator.NOT_EQUALS, value)
        return FilterGroup(Logic.OR, (_node(different), _node(null)))

    def _comparison(self, tree: exp.Binary) -> FilterNode | bool:
        left, right = tree.left, tree.right
        operator, exchanged = _COMPARISONS[type(tree)]
        if is_constant(left) and is_constant(right):
            one, two = constant(left, self._values), constant(right, self._values)
            return self._unknown if one is None or two is None else _compare(operator, one, two, tree)
        if is_constant(left):
            left, right, operator = right, left, exchanged
        if not is_constant(right):
            raise _NoFilterError(tree)
        folded = _case_folded(left, right, operator, self._values)
        if folded is not None:
            return self._filter(folded[0], folded[1], folded[2])
        value = self._constant(right, left)
        if value is None:  # unknown, and so is its negation: no operator says that
            raise _NoFilterError(tree)
        return self._filter(left, operator, value)

    def _constant(self, tree: exp.Expr, beside: exp.Expr) -> Scalar:
        if not is_constant(tree):
            raise _NoFilterError(tree)
        item = self._operand(beside)
        return constant(tree, self._values, item.type, item.name)

    def _filter(self, column: exp.Expr, operator: FilterOperator, *values: Scalar) -> FilterNode | bool:
        item = self._operand(column)
        return Filter(item.name, operator, values, grain=item.grain)


_OPPOSITES = {
    FilterOperator.IN: FilterOperator.NOT_IN,
    FilterOperator.BETWEEN: FilterOperator.NOT_BETWEEN,
    FilterOperator.NOT_SET: FilterOperator.SET,
    FilterOperator.LIKE: FilterOperator.NOT_LIKE,
    FilterOperator.ILIKE: FilterOperator.NOT_ILIKE,
    FilterOperator.REGEX: FilterOperator.NOT_REGEX,
    FilterOperator.EQUALS: FilterOperator.NOT_EQUALS,
    FilterOperator.NOT_EQUALS: FilterOperator.EQUALS,
}
"""Operators whose opposite is the negation also for NULL (unknown stays unknown, IS NULL is never unknown)."""


def exists(
    tree: exp.Exists, subject: str, negated: bool, read: Callable[[exp.Select], tuple[FilterNode, ...]]
) -> Filter:
    """Returns the filter for EXISTS (SELECT ... FROM <data object> [WHERE ...])."""
    select = tree.this.unnest() if isinstance(tree.this, exp.Subquery) else tree.this
    source = select.args.get("from_") if isinstance(select, exp.Select) else None
    if not isinstance(select, exp.Select) or source is None or not isinstance(source.this, exp.Table):
        raise refused("UNSUPPORTED_SQL_FEATURE", "EXISTS takes SELECT 1 FROM <data object> [WHERE ...].")
    subquery = Subquery(source.this.name, filters=read(select))
    operator = FilterOperator.NOT_EXISTS if negated else FilterOperator.EXISTS
    return Filter(subject, operator, subquery=subquery)


def _flat(tree: exp.Expr, kind: type[exp.Expr]) -> list[exp.Expr]:
    while isinstance(tree, exp.Paren):
        tree = tree.this
    if not isinstance(tree, kind) or not isinstance(tree, exp.Binary):
        return [tree]
    return [*_flat(tree.left, kind), *_flat(tree.right, kind)]


def _node(found: FilterNode | bool) -> FilterNode:
    assert not isinstance(found, bool)
    return found


def _compare(operator: FilterOperator, left: Scalar, right: Scalar, tree: exp.Expr) -> bool:
    try:
        match operator:
            case FilterOperator.EQUALS:
                return left == right
            case FilterOperator.NOT_EQUALS:
                return left != right
            case FilterOperator.GT:
                return bool(left > right)  # type: ignore[operator]
            case FilterOperator.GTE:
                return bool(left >= right)  # type: ignore[operator]
            case FilterOperator.LT:
                return bool(left < right)  # type: ignore[operator]
            case _:
                return bool(left <= right)  # type: ignore[operator]
    except TypeError as error:
        raise refused("INVALID_LITERAL", f"{readable(tree)} compares values of different types.") from error


def _case_folded(
    left: exp.Expr, right: exp.Expr, operator: FilterOperator, values: Values
) -> tuple[exp.Expr, FilterOperator, str] | None:
    """LOWER(x) = 'abc' and UPPER(x) = 'ABC' are case-insensitive matches: the column itself stays usable."""
    if not isinstance(left, exp.Lower | exp.Upper) or operator not in (
        FilterOperator.EQUALS,
        FilterOperator.NOT_EQUALS,
    ):
        return None
    value = constant(right, values, AbstractType.STRING)
    folded = str(value).lower() if isinstance(left, exp.Lower) else str(value).upper()
    if not isinstance(value, str) or value != folded or not value.isascii() or not isinstance(left.this, exp.Column):
        return None
    if any(special in value for special in "%_\\"):
        return None
    matched = FilterOperator.ILIKE if operator is FilterOperator.EQUALS else FilterOperator.NOT_ILIKE
    return left.this, matched, value


class _NoFilterError(Exception):
    """No operator of a filter says what a condition says."""

    def __init__(self, tree: exp.Expr) -> None:
        self.told = refused(
            "UNSUPPORTED_SQL_FEATURE",
            f"{readable(tree)} cannot be used as a filter on a model.",
            "Compare a column with a constant.",
        )
        super().__init__(str(self.told))


def grain_of(text: str) -> TimeGrain | None:
    """Returns the grain that a DATE_TRUNC unit names."""
    name = text.strip().lower()
    return TimeGrain(name) if name in tuple(TimeGrain) else None
