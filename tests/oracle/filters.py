"""Filters: which fields they name and whether a row passes them, in three-valued logic."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator

from oracle import expressions
from oracle import values as v
from sagitta_compiler.model.types import FilterOperator as Op
from sagitta_compiler.model.types import TimeGrain
from sagitta_compiler.query.query import Filter, FilterNode, Logic

FieldValue = Callable[[Filter], v.Value]


def leaves(node: FilterNode) -> Iterator[Filter]:
    """Returns the predicates inside a filter."""
    if isinstance(node, Filter):
        yield node
    else:
        for member in node.filters:
            yield from leaves(member)


def passes(node: FilterNode, field_value: FieldValue, context: FilterWorld) -> bool | None:
    """Returns the truth of a filter; None is unknown, and an unknown row does not pass."""
    if isinstance(node, Filter):
        return _leaf(node, field_value, context)
    truths = [passes(member, field_value, context) for member in node.filters]
    truth = v.truth_and(truths) if node.logic is Logic.AND else v.truth_or(truths)
    return v.truth_not(truth) if node.negated else truth


class FilterWorld:
    """What a predicate needs besides the value of its field."""

    def __init__(
        self,
        calendar: v.Calendar,
        now: dt.datetime | None,
        exists: Callable[[Filter], bool] | None = None,
    ) -> None:
        self.calendar = calendar
        self.now = now
        self.exists = exists


def _leaf(node: Filter, field_value: FieldValue, context: FilterWorld) -> bool | None:
    if node.operator in (Op.EXISTS, Op.NOT_EXISTS):
        if context.exists is None:
            raise v.RefusedError("EXISTS has no subject here", "INVALID_FILTER_OPERATOR")
        return context.exists(node) == (node.operator is Op.EXISTS)
    value = v.definite(field_value(node))
    if node.grain is not None:
        value = context.calendar.truncate(value, node.grain)
    if node.operator in _NEGATIONS:
        return v.truth_not(_test(_NEGATIONS[node.operator], value, node, context))
    return _test(node.operator, value, node, context)


_NEGATIONS = {
    Op.NOT_EQUALS: Op.EQUALS,
    Op.NOT_IN: Op.IN,
    Op.NOT_SET: Op.SET,
    Op.NOT_CONTAINS: Op.CONTAINS,
    Op.NOT_LIKE: Op.LIKE,
    Op.NOT_ILIKE: Op.ILIKE,
    Op.NOT_BETWEEN: Op.BETWEEN,
    Op.NOT_REGEX: Op.REGEX,
    Op.NOT_BLANK: Op.BLANK,
}


def _test(operator: Op, value: v.Value, node: Filter, context: FilterWorld) -> bool | None:
    operands = node.values
    match operator:
        case Op.SET:
            return value is not None
        case Op.BLANK:
            return value is None or not value.strip(" ")
        case Op.EQUALS:
            return value is None if operands[0] is None else v.equal(value, operands[0])
        case Op.IN:
            return False if not operands else v.truth_or(v.equal(value, operand) for operand in operands)
        case Op.RELATIVE:
            return _relative(value, node, context)
        case Op.BETWEEN:
            low, high = operands
            return v.truth_and((v.truth_not(v.less(value, low)), v.truth_not(v.less(high, value))))
        case _:
            return None if value is None else _compare(operator, value, operands[0])


def _compare(operator: Op, value: v.Value, operand: v.Value) -> bool | None:
    if operand is None:
        return None
    match operator:
        case Op.GT:
            return v.less(operand, value)
        case Op.GTE:
            return v.truth_not(v.less(value, operand))
        case Op.LT:
            return v.less(value, operand)
        case Op.LTE:
            return v.truth_not(v.less(operand, value))
        case Op.CONTAINS:
            return operand.lower() in value.lower()
        case Op.STARTS_WITH:
            return value.startswith(operand)
        case Op.ENDS_WITH:
            return value.endswith(operand)
        case Op.LIKE:
            return expressions.like(value, operand)
        case Op.ILIKE:
            return expressions.like(value, operand, fold=True)
        case Op.REGEX:
            return re.search(operand, value) is not None
        case Op.LENGTH_EQ:
            return len(value) == operand
        case Op.LENGTH_GT:
            return len(value) > operand
        case Op.LENGTH_LT:
            return len(value) < operand
        case _:
            raise AssertionError(operator)


def _relative(value: v.Value, node: Filter, context: FilterWorld) -> bool | None:
    """past: [today (+1 day) - N units, today (+1 day)); future mirrors it."""
    if value is None:
        return None
    period = node.relative
    if period is None or context.now is None:
        raise v.UndecidedError("a relative filter without a clock")
    today = v.as_datetime(context.now.date())
    tomorrow = today + dt.timedelta(days=1)
    if period.future:
        start = today if period.include_current else tomorrow
        end = _shift(start, period.count, period.unit)
    else:
        end = tomorrow if period.include_current else today
        start = _shift(end, -period.count, period.unit)
    return start <= v.as_datetime(value) < end


def _shift(moment: dt.datetime, count: int, unit: TimeGrain) -> dt.datetime:
    return v.add_periods(moment, count, unit)
