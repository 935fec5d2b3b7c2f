"""Columns whose cells JSON quotes: neighbours quoted in one call, and dates that are looked up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from sagitta_gateway.results.cells import escaped
from sagitta_gateway.results.numbers import array_of, values_of

Array = Any

_DAYS = 1024
"""Tables of days begin and end at multiples of so many, so that one serves for many batches."""
_COPIED_BYTES = 64 << 20
"""Longer texts are not copied once more."""
_LINE_END = ord("\n")
_NOTHING = pa.scalar("")


def quoted_texts(columns: Sequence[Array], end: str) -> Array:
    """Neighbouring columns of texts and dates without NULL: `"a","2024-12-31"` for each row, with a byte behind it.

    Texts with nothing to escape are quoted by CSV as by JSON, and Arrow's writer of CSV does that in one pass.
    """
    texts = [_plain(column) for column in columns]
    safe = [escaped(column) for column in texts]
    large = sum(column.nbytes for column in texts) > _COPIED_BYTES
    if large or any(one is not other for one, other in zip(safe, texts, strict=True)):
        rows = pc.binary_join_element_wise(*safe, '","')
        return pc.binary_join_element_wise('"', rows, f'"{end}', _NOTHING)
    sink = pa.BufferOutputStream()
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid", batch_size=len(columns[0]))
    pyarrow.csv.write_csv(pa.RecordBatch.from_arrays(texts, names=[""] * len(texts)), sink, options)
    written = bytearray(sink.getvalue())
    bytes_ = np.frombuffer(written, np.uint8)
    ends = np.flatnonzero(bytes_ == _LINE_END)
    bytes_[ends] = ord(end)
    return array_of(written, ends + 1, 0)


def _plain(column: Array) -> Array:
    if pa.types.is_string(column.type):
        return column
    days = date_texts(column, "", "")
    return pc.cast(column, pa.string()) if days is None else days


def date_texts(column: Array, quote: str, after: str) -> Array | None:
    """Dates without NULL, looked up among all days from the first to the last; each in quotes, `after` behind it.

    None where the days are many more than the dates.
    """
    days = values_of(column.view(pa.int32()))
    if int(days.max()) - int(days.min()) > len(days):
        return None
    first, last = int(days.min()) // _DAYS * _DAYS, (int(days.max()) // _DAYS + 1) * _DAYS
    return _day_texts(first, last, quote, after).take(pa.array(days - first))


@lru_cache(maxsize=64)
def _day_texts(first: int, last: int, quote: str, after: str) -> Array:
    """The texts of the days from the first up to the last."""
    days = pc.cast(pa.array(range(first, last), pa.int32()).view(pa.date32()), pa.string())
    return pc.binary_join_element_wise(quote, days, f"{quote}{after}", _NOTHING)
