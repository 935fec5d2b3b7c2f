"""A measure as an aggregate over the columns of a scope."""

from __future__ import annotations

from sagitta_compiler.model.resolved import ColumnRef, Measure
from sagitta_compiler.model.types import AbstractType, Aggregation, DataType, Direction
from sagitta_compiler.plan.conditions import is_text
from sagitta_compiler.plan.frames import when
from sagitta_compiler.plan.graph import Path, joined
from sagitta_compiler.plan.scalars import Aggregate, Call, Cast, Literal, Scalar, SortKey, all_of
from sagitta_compiler.plan.scope import Scope
from sagitta_compiler.plan.typing import kept_type

_SEPARATOR = Literal("|")
_TEXT = DataType("string")
_ONE = Literal(1)
_DOUBLE = DataType("double")
_OF_BOOLEANS = {"max": "bool_or", "min": "bool_and"}
"""What the extremes of booleans are called where booleans have no order."""


def aggregate(scope: Scope, to_home: Path, home: str, measure: Measure, condition: Scalar | None) -> Scalar:
    """The aggregate of a measure; its filters are a CASE around the argument, so that they never remove a group."""
    args = arguments(scope, to_home, home, measure)
    kinds = [scope.model.column(ref).type for ref in measure.columns]
    floats = measure.expression is not None or AbstractType.FLOAT in kinds
    kept = kept_type(scope.model, measure)
    return aggregate_of(measure, args, condition, _order(scope, to_home, home, measure), floats=floats, kept=kept)


def aggregate_of(
    measure: Measure,
    args: tuple[Scalar, ...],
    condition: Scalar | None,
    order: tuple[SortKey, ...] = (),
    *,
    floats: bool = True,
    kept: AbstractType | None,
) -> Scalar:
    """The aggregate over given arguments (none: rows).

    `floats` tells that they may be decimals, `kept` their type where the aggregate gives one of them.
    """
    function = measure.aggregation
    if function in (Aggregation.MEDIAN, Aggregation.PERCENTILE) and not measure.percentile_discrete and floats:
        args = tuple(Cast(arg, _DOUBLE) for arg in args)  # some engines interpolate decimals within their scale
    if not args:
        counted = () if condition is None else (when(condition, _ONE),)
        return Aggregate("count", counted)
    option: str | float | None = None
    if function is Aggregation.LISTAGG:
        option = measure.delimiter
    elif function is Aggregation.PERCENTILE:
        option = measure.percentile
    name = "percentile_disc" if function is Aggregation.PERCENTILE and measure.percentile_discrete else function.value
    distinct = measure.distinct
    if function is Aggregation.COUNT_DISTINCT:
        name, distinct = "count", True
    return Aggregate(named(name, kept), (when(condition, args[0]), *args[1:]), distinct, order, option)


def named(function: str, kind: AbstractType | None) -> str:
    """The aggregate function of that name for values of a type."""
    return _OF_BOOLEANS.get(function, function) if kind is AbstractType.BOOLEAN else function


def arguments(scope: Scope, to_home: Path, home: str, measure: Measure) -> tuple[Scalar, ...]:
    """What a measure aggregates; several columns of a count become one."""
    if measure.expression is not None:
        return (scope.formula(to_home, measure.expression, home),)
    found = tuple(_column(scope, to_home, home, ref) for ref in measure.columns)
    if len(found) > 1 and measure.aggregation in (Aggregation.COUNT, Aggregation.COUNT_DISTINCT):
        if measure.aggregation is Aggregation.COUNT and not measure.distinct:
            return (when(all_of(Call("is_not_null", (part,)) for part in found), _ONE),)
        types = tuple(scope.model.column(ref).type for ref in measure.columns)
        return (_combined(found, types),)
    return found


def _combined(parts: tuple[Scalar, ...], types: tuple[AbstractType, ...]) -> Scalar:
    """Several columns as one text that is equal only if all of them are; NULL if one is."""
    texts: list[Scalar] = []
    for part, type_ in zip(parts, types, strict=True):
        text: Scalar = Cast(part, _TEXT)
        if is_text(type_):
            text = Call("replace", (part, Literal("\\"), Literal("\\\\")))
            text = Call("replace", (text, _SEPARATOR, Literal("\\|")))
        texts += [_SEPARATOR, text] if texts else [text]
    return Call("concat", tuple(texts))


def _column(scope: Scope, to_home: Path, home: str, ref: ColumnRef) -> Scalar:
    steps = scope.graph.any_path(home, ref.object)
    assert steps is not None, f"{home} cannot reach {ref}"
    return scope.column(joined(to_home, steps), ref, reason="measure")


def _order(scope: Scope, to_home: Path, home: str, measure: Measure) -> tuple[SortKey, ...]:
    if measure.within_group is None:
        return ()
    column = _column(scope, to_home, home, measure.within_group.column)
    return (SortKey(column, measure.within_group.order is Direction.DESC, nulls_first=False),)
