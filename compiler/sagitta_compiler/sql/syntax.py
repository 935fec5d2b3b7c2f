"""Small constructors of sqlglot expressions. Every call gives fresh nodes, for a tree owns its children."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, DataType

E = exp.Expr
D = exp.DType

_COMPOSITE = (exp.Binary, exp.Not, exp.Neg, exp.Between, exp.In, exp.Is, exp.AtTimeZone, exp.Interval)

ABSTRACT_TYPES: dict[AbstractType, exp.DType] = {
    AbstractType.STRING: D.TEXT,
    AbstractType.JSON: D.JSON,
    AbstractType.INT: D.BIGINT,
    AbstractType.FLOAT: D.DOUBLE,
    AbstractType.DATE: D.DATE,
    AbstractType.TIME: D.TIME,
    AbstractType.TIME_TZ: D.TIMETZ,
    AbstractType.TIMESTAMP: D.TIMESTAMP,
    AbstractType.TIMESTAMP_TZ: D.TIMESTAMPTZ,
    AbstractType.BOOLEAN: D.BOOLEAN,
}
SIMPLE_TYPES: dict[str, exp.DType] = {
    "bigint": D.BIGINT,
    "integer": D.INT,
    "double": D.DOUBLE,
    "date": D.DATE,
    "timestamp": D.TIMESTAMP,
    "time": D.TIME,
    "string": D.TEXT,
    "boolean": D.BOOLEAN,
}


def name(text: str) -> exp.Identifier:
    """A quoted name."""
    return exp.Identifier(this=text, quoted=True)


def column(table: str, label: str) -> exp.Column:
    """A column, qualified unless `table` is empty."""
    return exp.Column(this=name(label), table=name(table)) if table else exp.Column(this=name(label))


def number(value: float | Decimal) -> E:
    """A numeric constant; decimals are written in full."""
    text = format(value, "f") if isinstance(value, Decimal) else repr(value)
    if text.startswith("-"):
        return exp.Neg(this=exp.Literal(this=text[1:], is_string=False))
    return exp.Literal(this=text, is_string=False)


def text(value: str) -> exp.Literal:
    """A text constant."""
    return exp.Literal(this=value, is_string=True)


def wrap(node: E) -> E:
    """The node in parentheses if it is an operator, for sqlglot adds none."""
    return exp.Paren(this=node) if isinstance(node, _COMPOSITE) and not isinstance(node, exp.Dot) else node


def call(function: str, *args: E) -> exp.Anonymous:
    """A function call written exactly so."""
    return exp.Anonymous(this=function, expressions=list(args))


def binary(kind: type[exp.Binary], left: E, right: E) -> exp.Binary:
    """An operator between two operands."""
    return kind(this=wrap(left), expression=wrap(right))


def connect(kind: type[exp.Connector], parts: Iterable[E]) -> E:
    """AND or OR over any number of conditions."""
    whole: E | None = None
    for part in parts:
        operand = exp.Paren(this=part) if isinstance(part, exp.Connector) and not isinstance(part, kind) else part
        whole = operand if whole is None else kind(this=whole, expression=operand)
    assert whole is not None
    return whole


def cast(node: E, to: exp.DataType) -> E:
    """A conversion."""
    return exp.Cast(this=node, to=to)


def typed(kind: exp.DType, *parameters: int) -> exp.DataType:
    """A type with its parameters."""
    if not parameters:
        return exp.DataType(this=kind)
    return exp.DataType(this=kind, expressions=[exp.DataTypeParam(this=number(p)) for p in parameters])


def data_type(type_: DataType, max_precision: int) -> exp.DataType:
    """A result type; a decimal is as wide as the warehouse can."""
    if type_.precision is None:
        return typed(SIMPLE_TYPES[type_.name])
    return typed(D.DECIMAL, min(type_.precision, max_precision), min(type_.scale or 0, max_precision))


def case(whens: Iterable[tuple[E, E]], default: E | None) -> exp.Case:
    """CASE WHEN ... END."""
    return exp.Case(ifs=[exp.If(this=condition, true=value) for condition, value in whens], default=default)
