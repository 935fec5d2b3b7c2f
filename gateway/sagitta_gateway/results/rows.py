"""Record batches -> rows of JSON, joined by Arrow in chunks that several threads turn.

A column becomes a few parts, arrays of texts and constants, and a row is its parts one after the other. Each part costs
the same however short it is, so that a part brings what stands behind it where it can.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from sagitta_gateway.results.cells import cell_texts, data_of, escaped
from sagitta_gateway.results.numbers import (
    EXACT_DIGITS,
    decimal_texts,
    double_texts,
    integer_texts,
    nulls_of,
    run_texts,
    values_of,
)

Array = Any
Batch = Any
Part = Array | str
"""What stands next in every row: a text of its own for each, or the same for all."""

SMALL_CELLS = 256
"""Up to so many cells Arrow's calls cost more than the cells do in Python, and each gives the interpreter lock away."""
CHUNK_ROWS = 16_384
"""Rows that one thread turns at a time."""
_DAYS = 1024
"""Tables of days begin and end at multiples of so many, so that one serves for many chunks."""
_POOL = ThreadPoolExecutor(thread_name_prefix="cells")


def json_rows(batch: Batch, zone: str) -> bytes:
    """The rows of a batch as JSON arrays, joined by commas; empty for no rows."""
    if not batch.num_columns:
        return b",".join([b"[]"] * batch.num_rows)
    if batch.num_rows * batch.num_columns <= SMALL_CELLS:
        return _small_rows(batch, zone)
    parts = _turned(batch, partial(_row_parts, zone=zone))
    if not parts:
        return b""
    parts[-1] = parts[-1][: -len(",[")]
    return b"".join((b"[", *parts))


def json_lines(batch: Batch, zone: str) -> bytes:
    """The rows of a batch as JSON objects, one per line."""
    if not batch.num_columns:
        return b"".join([b"{}\n"] * batch.num_rows)
    keys = [f"{orjson.dumps(name).decode()}:" for name in batch.schema.names]
    return b"".join(_turned(batch, partial(_line_parts, zone=zone, keys=keys)))


def _small_rows(batch: Batch, zone: str) -> bytes:
    """The same texts, for a few cells."""
    columns = [_small_cells(column, zone) for column in batch.columns]
    return orjson.dumps(list(zip(*columns, strict=True)))[1:-1]


def _small_cells(column: Array, zone: str) -> list[Any]:
    """Cells that orjson writes as Arrow would; those of other types are Arrow's own texts."""
    kind, types = column.type, pa.types
    if types.is_integer(kind) or types.is_boolean(kind) or types.is_string(kind):
        values: list[Any] = column.to_pylist()
        return values
    if types.is_decimal(kind) and kind.scale >= 0:
        return [None if value is None else _small_decimal(value) for value in column.to_pylist()]
    texts = cell_texts(column, zone).to_pylist()
    return [None if text is None else orjson.Fragment(text) for text in texts]


def _small_decimal(value: Decimal) -> Any:
    """A number where a double keeps every digit, else a text."""
    text = str(value)
    exact = len(text) <= EXACT_DIGITS or len(value.as_tuple().digits) <= EXACT_DIGITS
    return orjson.Fragment(text) if exact else text


def _turned(batch: Batch, parts_of: Callable[[Batch], Iterable[Part]]) -> list[memoryview]:
    """The rows, a piece per chunk. Parts are made here, for that needs the interpreter; others join them meanwhile."""
    chunks = [batch.slice(start, CHUNK_ROWS) for start in range(0, batch.num_rows, CHUNK_ROWS)]
    if len(chunks) == 1:
        return [data_of(_joined(parts_of(chunks[0])))]
    joined = [_POOL.submit(_joined, list(parts_of(chunk))) for chunk in chunks]
    return [data_of(each.result()) for each in joined]


def _row_parts(chunk: Batch, zone: str) -> Iterator[Part]:
    """The parts of `1,2,3],[`: the cells of a row, and what stands between rows."""
    columns = chunk.columns
    after = [*"," * (len(columns) - 1), "],["]
    for alike, cells in itertools.groupby(zip(columns, after, strict=True), lambda cell: _run_type(cell[0])):
        run, behind = zip(*cells, strict=True)
        texts = run_texts(run, behind[-1][0]) if alike is not None and len(run) > 1 else None
        if texts is not None:
            yield from (texts, behind[-1][1:])
        else:
            yield from itertools.chain(*map(cell_parts, run, itertools.repeat(zone), behind))


def _run_type(column: Array) -> Any:
    """The type of a column that can be written together with neighbours of the same; None for others."""
    types = pa.types
    together = types.is_integer(column.type) or types.is_float64(column.type)
    return column.type if together and not column.null_count else None


def _line_parts(chunk: Batch, zone: str, keys: Sequence[str]) -> Iterator[Part]:
    """The parts of `{"a":1,"b":2}` and the end of the line."""
    yield "{"
    for key, column, after in zip(keys, chunk.columns, [*"," * (len(keys) - 1), "}\n"], strict=True):
        yield key
        yield from cell_parts(column, zone, after)


def _joined(parts: Iterable[Part]) -> Array:
    texts = [pa.scalar(part, pa.string()) if isinstance(part, str) else part for part in _merged(parts)]
    return pc.binary_join_element_wise(*texts, "", null_handling="replace", null_replacement="null")


def _merged(parts: Iterable[Part]) -> list[Part]:
    """The parts with constants that are neighbours in one; none is empty."""
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif not isinstance(part, str) or part:
            merged.append(part)
    return merged


def cell_parts(column: Array, zone: str, after: str) -> Iterable[Part]:
    """The parts of a column's cells, and of what stands behind each (one character at least)."""
    kind, types = column.type, pa.types
    if types.is_integer(kind):
        return integer_texts(column, after[0]), after[1:]
    if types.is_float64(kind):
        return double_texts(column, after[0]), after[1:]
    if types.is_decimal128(kind) and (parts := decimal_texts(column, after)) is not None:
        return parts
    if types.is_date32(kind) and (dates := _dates(column, after)) is not None:
        return (dates,)
    if types.is_string(kind) and not column.null_count:
        return '"', escaped(column), f'"{after}'
    return cell_texts(column, zone), after


def _dates(column: Array, after: str) -> Array | None:
    """Dates looked up among all days from the first to the last; None where those are more than the dates."""
    days, nulls = values_of(column.view(pa.int32())), nulls_of(column)
    known = days if nulls is None else days[~nulls]
    if not len(known) or known.max() - known.min() > len(days):
        return None
    first, last = int(known.min()) // _DAYS * _DAYS, (int(known.max()) // _DAYS + 1) * _DAYS
    places = days - first
    if nulls is not None:
        places[nulls] = last - first
    return _day_texts(first, last, after).take(pa.array(places))


@lru_cache(maxsize=64)
def _day_texts(first: int, last: int, after: str) -> Array:
    """The texts of the days from the first up to the last, and behind them that of NULL."""
    days = pa.array(range(first, last), pa.int32()).view(pa.date32())
    return pa.concat_arrays([_joined([cell_texts(days), after]), pa.array([f"null{after}"])])
