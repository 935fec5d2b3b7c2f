"""Window and cumulative metrics: functions over the finished rows of a frame."""

from __future__ import annotations

from sagitta_compiler.model.types import CumulativeType, Direction, TimeGrain, WindowFunction
from sagitta_compiler.plan.casts import typed
from sagitta_compiler.plan.frames import PRESENCE, Frame, close, when
from sagitta_compiler.plan.planner import Planner
from sagitta_compiler.plan.scalars import (
    Call,
    Case,
    Literal,
    Over,
    Scalar,
    SortKey,
    Truncate,
    WindowFrame,
)
from sagitta_compiler.query.bound import BoundDimension, CumulativeValue, Value, WindowValue
from sagitta_compiler.query.operands import operand

_W = WindowFunction


def time_labels(dims: tuple[BoundDimension, ...], name: str) -> tuple[BoundDimension, ...]:
    """The selected dimensions that are a time dimension at some grain, the finest first."""
    found = [dim for dim in dims if name in dim.names]
    return tuple(sorted(found, key=_fineness))


def _fineness(dim: BoundDimension) -> int:
    if dim.grain is None:
        return -1
    order = (
        *(TimeGrain.SECOND, TimeGrain.MINUTE, TimeGrain.HOUR, TimeGrain.DAY, TimeGrain.WEEK, TimeGrain.MONTH),
        *(TimeGrain.QUARTER, TimeGrain.FISCAL_QUARTER, TimeGrain.YEAR, TimeGrain.FISCAL_YEAR),
    )
    return order.index(dim.grain)


def ready(planner: Planner, frame: Frame, *inputs: Value | None) -> Frame:
    """A frame over which a window may run: aggregates and inner windows are closed first."""
    if frame.grouped or any(value in frame.windows for value in inputs):
        return close(frame, planner.labels, "rows", "finished rows")
    return frame


def others(dims: tuple[BoundDimension, ...], time: tuple[BoundDimension, ...]) -> tuple[BoundDimension, ...]:
    """The dimensions that partition a running value by default."""
    return tuple(dim for dim in dims if dim not in time)


def named(dims: tuple[BoundDimension, ...], names: tuple[str, ...]) -> tuple[BoundDimension, ...]:
    """The selected dimensions among `names`."""
    return tuple(dim for dim in dims if set(names).intersection(dim.names))


def add_cumulative(planner: Planner, frame: Frame, dims: tuple[BoundDimension, ...], value: CumulativeValue) -> Frame:
    """A running, rolling or to-date aggregate along the selected time, per member of the other dimensions."""
    metric = value.metric
    time = time_labels(dims, metric.time_dimension)
    frame = ready(planner, frame, value.input)
    argument = typed(value.input, frame.values[value.input])
    if not time:
        return frame.plus(value, _alone(metric.function, argument))
    if PRESENCE in frame.values:
        argument = when(Call("is_not_null", (frame.values[PRESENCE],)), argument)
    moment = frame.dims[time[0].label]
    parts = others(dims, time) if metric.partition_by is None else named(dims, metric.partition_by)
    partition: list[Scalar] = [frame.dims[dim.label] for dim in parts]
    key: Scalar = moment
    bounds = WindowFrame("RANGE", None)
    if metric.grain_to_date is not None:
        settings = planner.model.settings
        period = Truncate(moment, metric.grain_to_date, time[0].type, settings.week_start, settings.fiscal_year_start)
        partition.append(period)
    elif metric.window is not None:
        key = Call("period_index", (moment, Literal((time[0].grain or TimeGrain.DAY).value)))
        bounds = WindowFrame("RANGE", metric.window - 1)
    scalar = Over(metric.function.value, (argument,), tuple(partition), (SortKey(key, nulls_first=False),), bounds)
    return frame.plus(value, scalar, window=True)


def _alone(function: CumulativeType, argument: Scalar) -> Scalar:
    """The cumulative value of a row that has no time: of itself alone."""
    if function is CumulativeType.COUNT:
        return Case(((Call("is_not_null", (argument,)), Literal(1)),), Literal(0))
    return argument


def add_window(planner: Planner, frame: Frame, dims: tuple[BoundDimension, ...], value: WindowValue) -> Frame:
    """A rank over the whole level, a shift or an edge value along time per member of the other dimensions."""
    metric = value.metric
    frame = ready(planner, frame, value.input)
    argument = None if value.input is None else typed(value.input, frame.values[value.input])
    time = time_labels(dims, metric.time_dimension) if metric.time_dimension is not None else ()
    if metric.time_dimension is not None and not time:
        parts = dims  # the time is rolled up: the row sees itself alone
    elif metric.partition_by:
        parts = named(dims, metric.partition_by)
    elif time and metric.function in (_W.LAG, _W.LEAD, _W.FIRST_VALUE, _W.LAST_VALUE):
        parts = others(dims, time)
    else:
        parts = ()
    partition = tuple(frame.dims[dim.label] for dim in parts)
    descending = metric.order is Direction.DESC
    by_value = () if argument is None else (SortKey(argument, descending, nulls_first=False),)
    by_time = tuple(SortKey(frame.dims[dim.label], nulls_first=False) for dim in time[:1])
    by_dims = tuple(SortKey(frame.dims[dim.label], nulls_first=False) for dim in dims if dim not in parts)
    match metric.function:
        case WindowFunction.RANK | WindowFunction.DENSE_RANK:
            scalar: Scalar = Over(metric.function.value, (), partition, by_value)
        case WindowFunction.ROW_NUMBER:
            scalar = Over("row_number", (), partition, (*(by_value or by_time), *by_dims))
        case WindowFunction.NTILE:
            buckets = Literal(metric.buckets or 1)
            scalar = Over("ntile", (buckets,), partition, (*(by_value or by_time), *by_dims))
        case WindowFunction.LAG | WindowFunction.LEAD:
            default = () if metric.default_value is None else (operand(metric.default_value, None) or Literal(None),)
            args = (argument or Literal(None), Literal(metric.offset or 1), *default)
            scalar = Over(metric.function.value, args, partition, (*by_time, *by_dims))
        case WindowFunction.FIRST_VALUE | WindowFunction.LAST_VALUE:
            order = (*(by_time or by_value), *by_dims)
            bounds = WindowFrame("ROWS", None, None)
            scalar = Over(metric.function.value, (argument or Literal(None),), partition, order, bounds)
    return frame.plus(value, scalar, window=True)
