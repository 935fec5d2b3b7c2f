"""Formulas of a model with their references bound: copied, never changed, with safe division and portable functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from sagitta_compiler.model.types import AbstractType, TimeGrain
from sagitta_compiler.plan.scalars import Scalar, Template
from sagitta_compiler.sql.dialects import Dialect
from sagitta_compiler.sql.functions import nullif
from sagitta_compiler.sql.syntax import E, number, wrap

LowerScalar = Callable[[Scalar], E]


def lower_template(template: Template, scalar: LowerScalar, dialect: Dialect) -> E:
    """The formula as a fresh expression."""
    return _Copy(dict(template.bindings), scalar, dialect).of(template.expression.tree)


class _Copy:
    def __init__(self, bindings: dict[str, Scalar], scalar: LowerScalar, dialect: Dialect) -> None:
        self._bindings = bindings
        self._scalar = scalar
        self._dialect = dialect

    def of(self, node: E) -> E:
        match node:
            case exp.Column():
                key = f"{node.table}.{node.name}" if node.table else node.name
                return self._scalar(self._bindings[key])
            case exp.Div():
                return self._quotient(node)
            case exp.Mod():
                divisor = nullif((self.of(node.expression), number(0)))
                return exp.Mod(this=wrap(self.of(node.this)), expression=divisor)
            case exp.Escape() if isinstance(node.this, exp.Like):
                return self._like(node.this, node.expression)
            case exp.Like():
                return self._like(node)
            case exp.Anonymous():
                return self._function(node)
            case exp.Paren() if isinstance(node.this, exp.Column):
                return self.of(node.this)
            case _:
                return self._same_kind(node)

    def _like(self, node: exp.Like, *escape: E) -> E:
        like = self._dialect.operator("like", tuple(self.of(arg) for arg in (node.this, node.expression, *escape)))
        return exp.Paren(this=exp.Not(this=like)) if node.args.get("negate") else like

    def _quotient(self, node: exp.Div) -> E:
        divisor = self.of(node.expression)
        constant = node.expression
        if not (isinstance(constant, exp.Literal) and not constant.is_string and float(constant.this) != 0):
            divisor = nullif((divisor, number(0)))
        return self._dialect.operator("div", (self.of(node.this), divisor))

    def _function(self, node: exp.Anonymous) -> E:
        function = str(node.this)
        unit = node.expressions[0].this if node.expressions and isinstance(node.expressions[0], exp.Literal) else ""
        if function in ("date_trunc", "date_add", "date_diff", "extract"):
            return self._dated(function, str(unit), [self.of(arg) for arg in node.expressions[1:]])
        args = tuple(self.of(arg) for arg in node.expressions)
        return self._dialect.function(function, args) or exp.Anonymous(this=function, expressions=list(args))

    def _dated(self, function: str, unit: str, args: list[E]) -> E:
        dialect = self._dialect
        match function:
            case "date_trunc":
                return dialect.truncate(args[0], TimeGrain(unit), AbstractType.TIMESTAMP, "monday", 1)
            case "date_add":
                return dialect.date_add(unit, args[0], args[1])
            case "date_diff":
                return dialect.date_diff(TimeGrain(unit), args[0], args[1])
            case _:
                return dialect.extract(unit, args[0])

    def _same_kind(self, node: E) -> E:
        """A node of the same kind over copied children; operands keep their parentheses."""
        operator = isinstance(node, exp.Binary | exp.Unary) and not isinstance(node, exp.Paren | exp.Connector)
        parts: dict[str, Any] = {}
        for key, value in node.args.items():
            if isinstance(value, exp.Expression):
                copied = self.of(value)
                parts[key] = wrap(copied) if operator and isinstance(value, exp.Column) else copied
            elif isinstance(value, list):
                parts[key] = [self.of(v) if isinstance(v, exp.Expression) else v for v in value]
            else:
                parts[key] = value
        return type(node)(**parts)
