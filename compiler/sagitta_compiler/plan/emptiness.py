"""What a value is where there are no rows at all: aggregates of nothing, and formulas over those."""

from __future__ import annotations

from sagitta_compiler.plan.frames import empty_of
from sagitta_compiler.plan.scalars import NULL, Scalar, Template
from sagitta_compiler.query.bound import FormulaValue, LeafValue, NestedValue, Value


def over_nothing(value: Value) -> Scalar | None:
    """The value over no rows; None where that is surely NULL."""
    if isinstance(value, LeafValue | NestedValue):
        return empty_of(value)
    if not isinstance(value, FormulaValue) or not _can_be_known(value):
        return None
    return _scalar(value)


def _can_be_known(value: FormulaValue) -> bool:
    """Whether a formula may have a value though an input has none."""
    if any(over_nothing(part) is not None for _, part in value.inputs):
        return True
    text = value.expression.text.lower()
    return any(word in text for word in ("coalesce", "case", "null"))


def _scalar(value: Value) -> Scalar:
    if isinstance(value, FormulaValue):
        return Template(value.expression, tuple((name, _scalar(part)) for name, part in value.inputs))
    return over_nothing(value) or NULL
