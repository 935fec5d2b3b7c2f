"""Columns of numbers -> their JSON texts, each with one byte behind it.

orjson writes an array of numpy in a fifth of the time of Arrow's casts. Its commas are where one text ends and the next
begins, and become the byte that the caller wants behind each. What orjson would write otherwise than Arrow does (whole
doubles get a `.0`, large and very small ones another exponent) is written from integers, or by Arrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

Array = Any
Values = np.ndarray[tuple[int], np.dtype[Any]]

EXACT_DIGITS = 15
"""Decimal digits that every double keeps."""
TABLE_SCALE = 4
"""The most digits behind the point for which every fraction has a place in a table."""
_EXACT = 10**EXACT_DIGITS
_ALIKE_FROM, _ALIKE_UNTIL = 1e-5, 1e10
"""Only between these are fractions written alike by Arrow and orjson, which begin to use exponents elsewhere."""
_COMMA, _POINT, _ZERO = b",.0"
_NULL = np.frombuffer(b"null", np.uint8)
_FOUR_BYTES = 1000
"""A number as long as `null`."""
_THREE_DIGITS = 100
"""A number that is as long as `null` with the point behind it."""


def integer_texts(column: Array, end: str) -> Array:
    """Integers with a byte behind each; NULL is `null`."""
    return _written(values_of(column), ord(end), nulls_of(column))


def run_texts(columns: Sequence[Array], end: str) -> Array | None:
    """Neighbouring columns of one type, integers or doubles without NULL: `1,2,3` for each row, with a byte behind it.

    None when a double among them is not written by orjson as Arrow does.
    """
    values = [values_of(column) for column in columns]
    if values[0].dtype == np.float64 and any(each.any() for column in values for each in _exceptions(column)):
        return None
    texts, ends = _split(np.stack(values, axis=1).ravel(), ord(end), len(columns))
    return _array(texts, ends)


def double_texts(column: Array, end: str) -> Array:
    """Doubles with a byte behind each; NULL, NaN and infinity are `null`."""
    values, nulls = values_of(column), nulls_of(column)
    if nulls is not None:
        values = np.where(nulls, np.nan, values)
    short, rare = _exceptions(values)
    if short.all():
        return _written(values.astype(np.int64), ord(end))
    texts = _written(values, ord(end))
    if short.any():
        texts = pc.replace_with_mask(texts, pa.array(short), _written(values[short].astype(np.int64), ord(end)))
    if rare.any():
        told = pc.binary_join_element_wise(pc.cast(pa.array(values[rare]), pa.string()), end, "")
        texts = pc.replace_with_mask(texts, pa.array(rare), told)
    return texts


def _exceptions(values: Values) -> tuple[Values, Values]:
    """Which doubles Arrow writes as integers, and which otherwise than orjson."""
    size = np.abs(values)
    with np.errstate(invalid="ignore"):
        short = (values == np.trunc(values)) & (size < _ALIKE_UNTIL) & ~((size == 0) & np.signbit(values))
    return short, np.isfinite(values) & ((size < _ALIKE_FROM) & ~short | (size >= _ALIKE_UNTIL))


def decimal_texts(column: Array, after: str) -> tuple[Array | str, ...] | None:
    """Decimals of 128 bits with few digits behind the point, as texts to be joined, the last with `after` behind it.

    NULL is `null`. None when a value has more digits than a double keeps, or the type more behind the point than a
    table of fractions has.
    """
    scale = column.type.scale
    if not 0 <= scale <= TABLE_SCALE:
        return None
    nulls = nulls_of(column)
    values = _unscaled(column, nulls)
    if values is None:
        return None
    if not scale:
        return _written(values, ord(after[0]), nulls), after[1:]
    unit = 10**scale
    fraction = np.abs(values) % unit
    if nulls is not None:
        fraction[nulls] = unit
    return _wholes(values, nulls, unit), _fractions(scale, after).take(pa.array(fraction.astype(np.int32)))


def _wholes(values: Values, nulls: Values | None, unit: int) -> Array:
    """What stands before the point, and the point; `null` for NULL."""
    negative, whole = values < 0, np.abs(values) // unit
    below_zero = negative & (whole == 0)
    np.negative(whole, out=whole, where=negative)
    whole[below_zero] = -1  # an integer has no sign at zero: it is written as -1, and the digit changed
    if nulls is not None:
        whole[nulls] = _THREE_DIGITS
    texts, ends = _split(whole, _POINT)
    bytes_ = np.frombuffer(texts, np.uint8)
    bytes_[ends[below_zero] - 2] = _ZERO
    if nulls is not None:
        _overwrite(bytes_, ends[nulls], 0)
    return _array(texts, ends)


def values_of(column: Array) -> Values:
    """The values of a column of numbers, without a copy; whatever lies below NULL is among them."""
    kind = np.dtype(column.type.to_pandas_dtype())
    return np.frombuffer(column.buffers()[1], kind, len(column), column.offset * kind.itemsize)


def nulls_of(column: Array) -> Values | None:
    """Whether each is NULL; None where nothing is."""
    if not column.null_count:
        return None
    nulls: Values = pc.is_null(column).to_numpy(zero_copy_only=False)
    return nulls


def _unscaled(column: Array, nulls: Values | None) -> Values | None:
    """The digits of decimals of 128 bits as integers, zero for NULL; None when a double does not keep them all."""
    words = np.frombuffer(column.buffers()[1], np.int64, 2 * len(column), column.offset * 16)
    low, high = words[::2].copy(), words[1::2]
    if nulls is not None:
        low[nulls] = 0
        high = np.where(nulls, 0, high)
    exact = bool((low >> 63 == high).all()) and low.max() < _EXACT and low.min() > -_EXACT
    return low if exact else None


@lru_cache(maxsize=64)
def _fractions(scale: int, after: str) -> Array:
    """What stands behind the point, for every fraction; `after` alone behind the last of them, for NULL."""
    return pa.array([*(f"{number:0{scale}d}{after}" for number in range(10**scale)), after], pa.string())


def _written(values: Values, end: int, nulls: Values | None = None) -> Array:
    if nulls is not None:
        values = np.where(nulls, _FOUR_BYTES, values if values.dtype == np.uint64 else values.astype(np.int64))
    texts, ends = _split(values, end)
    if nulls is not None:
        _overwrite(np.frombuffer(texts, np.uint8), ends[nulls], 1)
    return _array(texts, ends)


def _split(values: Values, end: int, count: int = 1) -> tuple[bytearray, Values]:
    """The texts as orjson writes them, so many together, from the second byte on; where each ends, its end included."""
    texts = bytearray(orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY))
    bytes_ = np.frombuffer(texts, np.uint8)
    bytes_[-1] = _COMMA
    ends = np.flatnonzero(bytes_ == _COMMA)[count - 1 :: count]
    if end != _COMMA:
        bytes_[ends] = end
    return texts, ends + 1


def _overwrite(bytes_: Values, ends: Values, behind: int) -> None:
    """Writes `null` so many bytes before each of the ends."""
    for position, letter in enumerate(_NULL):
        bytes_[ends - behind - 4 + position] = letter


def _array(texts: bytearray, ends: Values) -> Array:
    offsets = np.empty(len(ends) + 1, np.int32)
    offsets[0], offsets[1:] = 1, ends
    return pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(texts))
