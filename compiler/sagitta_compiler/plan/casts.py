"""The result type of a value put on its scalar."""

from __future__ import annotations

from sagitta_compiler.model.types import BIGINT
from sagitta_compiler.plan.scalars import Cast, Scalar
from sagitta_compiler.plan.typing import COUNTS
from sagitta_compiler.query.bound import LeafValue, NestedValue, Value


def typed(value: Value, scalar: Scalar) -> Scalar:
    """The scalar as the value's type; a count is a bigint by nature."""
    if value.type is None:
        return scalar
    if value.type == BIGINT and isinstance(value, LeafValue | NestedValue) and value.measure.aggregation in COUNTS:
        return scalar
    return Cast(scalar, value.type)
