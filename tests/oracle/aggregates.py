"""The aggregate functions over a list of arguments, by their textbook definitions; NULLs are already NULL here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction

from oracle import values as v
from sagitta_compiler.model.types import Aggregation

Arguments = Sequence[v.Value]


def of_nothing(aggregation: Aggregation) -> v.Value:
    """Returns the aggregate of no rows: a count is 0, everything else NULL."""
    return 0 if aggregation in (Aggregation.COUNT, Aggregation.COUNT_DISTINCT) else None


def aggregate(aggregation: Aggregation, arguments: Arguments) -> v.Value:
    """Aggregates the non-NULL arguments; two-column aggregates take pairs."""
    present = [v.definite(argument) for argument in arguments if argument is not None]
    if not present:
        return of_nothing(aggregation)
    return _FUNCTIONS[aggregation](present)


def quantile(arguments: Arguments, share: float, *, discrete: bool) -> v.Value:
    """PERCENTILE_CONT (interpolated) or PERCENTILE_DISC (the first member whose cumulative share is enough)."""
    ordered = sorted(argument for argument in arguments if argument is not None)
    if not ordered:
        return None
    exact_share = Fraction(str(share))
    if discrete:
        return ordered[max(math.ceil(exact_share * len(ordered)), 1) - 1]
    position = exact_share * (len(ordered) - 1)
    low = math.floor(position)
    high = math.ceil(position)
    if low == high:
        return ordered[low]
    return ordered[low] + (Fraction(ordered[high]) - ordered[low]) * (position - low)


def _mean(numbers: Arguments) -> Fraction:
    return Fraction(sum(numbers)) / len(numbers)


def _squares(numbers: Arguments) -> Fraction:
    mean = _mean(numbers)
    return sum(((Fraction(number) - mean) ** 2 for number in numbers), Fraction(0))


def _variance(numbers: Arguments) -> v.Value:
    return None if len(numbers) < 2 else _squares(numbers) / (len(numbers) - 1)


def _deviation(numbers: Arguments) -> v.Value:
    variance = _variance(numbers)
    return None if variance is None else math.sqrt(variance)


def _mode(values: Arguments) -> v.Value:
    counts = Counter(values)
    most = max(counts.values())
    return v.one_of(value for value, count in counts.items() if count == most)


def _split(pairs: Arguments) -> tuple[list[v.Value], list[v.Value]]:
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def _covariance(pairs: Arguments) -> Fraction:
    ys, xs = _split(pairs)
    y_mean, x_mean = _mean(ys), _mean(xs)
    return sum(((Fraction(y) - y_mean) * (Fraction(x) - x_mean) for y, x in pairs), Fraction(0))


def _correlation(pairs: Arguments) -> v.Value:
    ys, xs = _split(pairs)
    spread = _squares(ys) * _squares(xs)
    return None if spread == 0 else float(_covariance(pairs)) / math.sqrt(spread)


def _slope(pairs: Arguments) -> v.Value:
    spread = _squares(_split(pairs)[1])
    return None if spread == 0 else _covariance(pairs) / spread


def _intercept(pairs: Arguments) -> v.Value:
    slope = _slope(pairs)
    ys, xs = _split(pairs)
    return None if slope is None else _mean(ys) - slope * _mean(xs)


_FUNCTIONS: dict[Aggregation, Callable[[Arguments], v.Value]] = {
    Aggregation.SUM: sum,
    Aggregation.COUNT: len,
    Aggregation.COUNT_DISTINCT: lambda values: len(set(values)),
    Aggregation.AVG: _mean,
    Aggregation.MIN: min,
    Aggregation.MAX: max,
    Aggregation.ANY_VALUE: v.one_of,
    Aggregation.MEDIAN: lambda values: quantile(values, 0.5, discrete=False),
    Aggregation.MODE: _mode,
    Aggregation.STDDEV: _deviation,
    Aggregation.STDDEV_POP: lambda values: math.sqrt(_squares(values) / len(values)),
    Aggregation.VARIANCE: _variance,
    Aggregation.VAR_POP: lambda values: _squares(values) / len(values),
    Aggregation.CORR: _correlation,
    Aggregation.COVAR_POP: lambda pairs: _covariance(pairs) / len(pairs),
    Aggregation.COVAR_SAMP: lambda pairs: None if len(pairs) < 2 else _covariance(pairs) / (len(pairs) - 1),
    Aggregation.REGR_SLOPE: _slope,
    Aggregation.REGR_INTERCEPT: _intercept,
}
