"""A plain interpreter of the expressions that a model holds (parsed trees in, Python values out)."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from fractions import Fraction

from oracle import values as v
from sqlglot import exp

Lookup = Callable[[exp.Column], v.Value]


def evaluate(node: exp.Expression, lookup: Lookup) -> v.Value:
    """Returns the value of an expression; `lookup` gives the value of each reference."""
    if isinstance(node, exp.Column):
        return v.exact(lookup(node))
    if isinstance(node, (exp.And, exp.Or)):
        parts = (evaluate(node.this, lookup), evaluate(node.expression, lookup))
        return v.truth_and(parts) if isinstance(node, exp.And) else v.truth_or(parts)
    if type(node) in _SPECIAL:
        return _SPECIAL[type(node)](node, lookup)
    if type(node) in _BINARY:
        left, right = evaluate(node.this, lookup), evaluate(node.expression, lookup)
        return None if left is None or right is None else _BINARY[type(node)](v.definite(left), v.definite(right))
    if type(node) in _UNARY:
        value = evaluate(node.this, lookup)
        return None if value is None else _UNARY[type(node)](v.definite(value))
    raise v.UndecidedError(f"the judge does not read {type(node).__name__}")


def _literal(node: exp.Literal, _: Lookup) -> v.Value:
    if node.is_string:
        return node.this
    number = Fraction(node.this)
    return int(number) if "." not in node.this and "e" not in node.this.lower() else number


def _case(node: exp.Case, lookup: Lookup) -> v.Value:
    subject = node.this
    for branch in node.args.get("ifs") or ():
        if subject is None:
            hit = evaluate(branch.this, lookup)
        else:
            hit = v.equal(evaluate(subject, lookup), evaluate(branch.this, lookup))
        if hit is True:
            return evaluate(branch.args["true"], lookup)
    default = node.args.get("default")
    return None if default is None else evaluate(default, lookup)


def _if(node: exp.If, lookup: Lookup) -> v.Value:
    if evaluate(node.this, lookup) is True:
        return evaluate(node.args["true"], lookup)
    other = node.args.get("false")
    return None if other is None else evaluate(other, lookup)


def _in(node: exp.In, lookup: Lookup) -> v.Value:
    value = evaluate(node.this, lookup)
    return v.truth_or(v.equal(value, evaluate(item, lookup)) for item in node.expressions)


def _between(node: exp.Between, lookup: Lookup) -> v.Value:
    value = evaluate(node.this, lookup)
    low, high = evaluate(node.args["low"], lookup), evaluate(node.args["high"], lookup)
    return v.truth_and((v.truth_not(v.less(value, low)), v.truth_not(v.less(high, value))))


def _coalesce(node: exp.Coalesce, lookup: Lookup) -> v.Value:
    for item in (node.this, *node.expressions):
        value = evaluate(item, lookup)
        if value is not None:
            return value
    return None


def _extreme(pick: Callable[..., v.Value]) -> Callable[[exp.Expression, Lookup], v.Value]:
    def evaluate_extreme(node: exp.Expression, lookup: Lookup) -> v.Value:
        items = [evaluate(item, lookup) for item in (node.this, *node.expressions)]
        return None if None in items else pick(items)

    return evaluate_extreme


def _nullif(node: exp.Nullif, lookup: Lookup) -> v.Value:
    left, right = evaluate(node.this, lookup), evaluate(node.expression, lookup)
    return None if v.equal(left, right) is True else left


def _is(node: exp.Is, lookup: Lookup) -> v.Value:
    value = evaluate(node.this, lookup)
    if isinstance(node.expression, exp.Null):
        return value is None
    if isinstance(node.expression, exp.Boolean):
        return value is node.expression.this
    raise v.UndecidedError("IS with another operand than NULL or a truth value")


def _like(node: exp.Like | exp.ILike, lookup: Lookup, escape: str | None = None) -> v.Value:
    value, pattern = evaluate(node.this, lookup), evaluate(node.expression, lookup)
    if value is None or pattern is None:
        return None
    found = like(value, pattern, fold=isinstance(node, exp.ILike), escape=escape)
    return not found if node.args.get("negate") else found


def _round(node: exp.Round, lookup: Lookup) -> v.Value:
    value = evaluate(node.this, lookup)
    digits = node.args.get("decimals")
    scale = 0 if digits is None else evaluate(digits, lookup)
    return None if value is None else v.round_half_away(value, scale)


def _concat(node: exp.Expression, lookup: Lookup) -> v.Value:
    parts = [evaluate(item, lookup) for item in node.expressions]
    return None if None in parts else "".join(map(_text, parts))


def _text(value: v.Value) -> str:
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise v.UndecidedError("the text of a value that is neither text nor a whole number")
    return str(value)


def _divide(left: v.Value, right: v.Value) -> v.Value:
    if right == 0:
        return None
    if isinstance(left, float) or isinstance(right, float):
        return float(left) / float(right)
    return Fraction(left) / Fraction(right)


def _remainder(left: v.Value, right: v.Value) -> v.Value:
    return None if right == 0 else left - right * math.trunc(Fraction(left) / Fraction(right))


def _cast(node: exp.Cast, lookup: Lookup) -> v.Value:
    value = evaluate(node.this, lookup)
    if value is None or node.to.this not in _CASTS:
        if value is None:
            return None
        raise v.UndecidedError(f"the judge does not cast to {node.to.sql()}")
    return _CASTS[node.to.this](value)


def _date(value: v.Value) -> dt.date:
    return dt.date.fromisoformat(value) if isinstance(value, str) else v.as_datetime(value).date()


def _timestamp(value: v.Value) -> dt.datetime:
    return dt.datetime.fromisoformat(value) if isinstance(value, str) else v.as_datetime(value)


_CASTS: dict[exp.DataType.Type, Callable[[v.Value], v.Value]] = {
    exp.DataType.Type.DATE: _date,
    exp.DataType.Type.TIMESTAMP: _timestamp,
    exp.DataType.Type.VARCHAR: _text,
    exp.DataType.Type.TEXT: _text,
    exp.DataType.Type.DOUBLE: v.exact,
    exp.DataType.Type.INT: lambda value: int(v.round_half_away(value, 0)),
    exp.DataType.Type.BIGINT: lambda value: int(v.round_half_away(value, 0)),
}


def like(value: str, pattern: str, *, fold: bool = False, escape: str | None = None) -> bool:
    """SQL LIKE: `%` any text, `_` one character."""
    regex, index = "", 0
    while index < len(pattern):
        char = pattern[index]
        if escape is not None and char == escape and index + 1 < len(pattern):
            index += 1
            regex += re.escape(pattern[index])
        else:
            regex += {"%": ".*", "_": "."}.get(char, re.escape(char))
        index += 1
    flags = re.DOTALL | (re.IGNORECASE if fold else 0)
    return re.fullmatch(regex, value, flags) is not None


def _call(node: exp.Anonymous, lookup: Lookup) -> v.Value:
    """A function of the portable catalogue, by name."""
    name = str(node.this).lower()
    if name == "coalesce":
        found = (evaluate(item, lookup) for item in node.expressions)
        return next((value for value in found if value is not None), None)
    arguments = [v.definite(evaluate(item, lookup)) for item in node.expressions]
    if name == "nullif":
        return None if v.equal(*arguments) is True else arguments[0]
    if name not in _FUNCTIONS:
        raise v.UndecidedError(f"the judge does not read {name}()")
    return None if None in arguments else _FUNCTIONS[name](*arguments)


_FUNCTIONS: dict[str, Callable[..., v.Value]] = {
    "abs": abs,
    "ceil": math.ceil,
    "concat": lambda *parts: "".join(map(_text, parts)),
    "floor": math.floor,
    "greatest": lambda *items: max(items),
    "least": lambda *items: min(items),
    "length": len,
    "lower": str.lower,
    "mod": _remainder,
    "round": lambda value, digits=0: v.round_half_away(value, digits),
    "sign": lambda value: (value > 0) - (value < 0),
    "trim": lambda value: value.strip(" "),
    "upper": str.upper,
}
_SPECIAL: dict[type, Callable[..., v.Value]] = {
    exp.Anonymous: _call,
    exp.Literal: _literal,
    exp.Null: lambda _node, _lookup: None,
    exp.Boolean: lambda node, _: node.this,
    exp.Paren: lambda node, lookup: evaluate(node.this, lookup),
    exp.Case: _case,
    exp.If: _if,
    exp.In: _in,
    exp.Between: _between,
    exp.Coalesce: _coalesce,
    exp.Greatest: _extreme(max),
    exp.Least: _extreme(min),
    exp.Nullif: _nullif,
    exp.Is: _is,
    exp.Like: _like,
    exp.ILike: _like,
    exp.Escape: lambda node, lookup: _like(node.this, lookup, evaluate(node.expression, lookup)),
    exp.Round: _round,
    exp.Concat: _concat,
    exp.Cast: _cast,
    exp.Date: lambda node, lookup: _date(evaluate(node.this, lookup)),
}
_BINARY: dict[type, Callable[[v.Value, v.Value], v.Value]] = {
    exp.Add: lambda left, right: left + right,
    exp.Sub: lambda left, right: left - right,
    exp.Mul: lambda left, right: left * right,
    exp.Div: _divide,
    exp.Mod: _remainder,
    exp.DPipe: lambda left, right: _text(left) + _text(right),
    exp.EQ: v.equal,
    exp.NEQ: lambda left, right: v.truth_not(v.equal(left, right)),
    exp.LT: v.less,
    exp.GT: lambda left, right: v.less(right, left),
    exp.LTE: lambda left, right: v.truth_not(v.less(right, left)),
    exp.GTE: lambda left, right: v.truth_not(v.less(left, right)),
}
_UNARY: dict[type, Callable[[v.Value], v.Value]] = {
    exp.Neg: lambda value: -value,
    exp.Not: v.truth_not,
    exp.Upper: str.upper,
    exp.Lower: str.lower,
    exp.Abs: abs,
    exp.Length: len,
    exp.Trim: lambda value: value.strip(" "),
}
