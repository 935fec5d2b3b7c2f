"""Record batches -> rows of JSON, joined by Arrow in chunks that several threads turn.

A column becomes a few parts, arrays of texts and constants, and a row is its parts one after the other. Each part costs
the same however short it is, so that a part brings what stands behind it where it can.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import partial
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
)
from sagitta_gateway.results.quoted import date_texts, quoted_texts

Array = Any
Batch = Any
Part = Array | str | Callable[[], Array]
"""What stands next in every row: a text of its own for each, made already or by Arrow alone, or the same for all."""

SMALL_CELLS = 256
"""Up to so many cells Arrow's calls cost more than the cells do in Python, and each gives the interpreter lock away."""
CHUNK_ROWS, CHUNK_CELLS = 24_576, 262_144
"""At most so many rows, and cells, are turned at a time: orjson keeps the interpreter for five milliseconds at most."""
_NOTHING = pa.scalar("")
_QUOTED = "quoted"
"""The kind of runs of texts and dates."""
_POOL = ThreadPoolExecutor(2, thread_name_prefix="cells")
"""Two keep up with the thread that makes the parts; more only wait for the interpreter, and cost a third more."""


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
    """The rows, a piece per chunk.

    Here is what needs the interpreter; other threads do meanwhile what Arrow does alone, and wait for nobody.
    """
    size = max(1, min(CHUNK_ROWS, CHUNK_CELLS // batch.num_columns))
    chunks = [batch.slice(start, size) for start in range(0, batch.num_rows, size)]
    if len(chunks) == 1:
        return [data_of(_joined(_arguments(parts_of(chunks[0]))))]
    joined = [_POOL.submit(_joined, _arguments(parts_of(chunk))) for chunk in chunks]
    return [data_of(each.result()) for each in joined]


def _row_parts(chunk: Batch, zone: str) -> Iterator[Part]:
    """The parts of `1,2,3],[`: the cells of a row, and what stands between rows."""
    columns = chunk.columns
    after = [*"," * (len(columns) - 1), "],["]
    for kind, cells in itertools.groupby(zip(columns, after, strict=True), lambda cell: _kind_of_run(cell[0])):
        run, behind = zip(*cells, strict=True)
        texts = _run_texts(kind, run, behind[-1][0]) if len(run) > 1 else None
        if texts is not None:
            yield from (texts, behind[-1][1:])
        else:
            yield from itertools.chain(*map(cell_parts, run, itertools.repeat(zone), behind))


def _kind_of_run(column: Array) -> Any:
    """Says of which columns neighbours are written together; None for those that are not."""
    kind, types = column.type, pa.types
    if column.null_count:
        return None
    if types.is_integer(kind) or types.is_float64(kind):
        return kind
    return _QUOTED if types.is_string(kind) or types.is_date32(kind) else None


def _run_texts(kind: Any, columns: Sequence[Array], end: str) -> Part | None:
    if kind is None:
        return None
    if kind is _QUOTED:
        return partial(quoted_texts, columns, end)
    return integer_texts(columns, end) if pa.types.is_integer(kind) else double_texts(columns, end)


def _line_parts(chunk: Batch, zone: str, keys: Sequence[str]) -> Iterator[Part]:
    """The parts of `{"a":1,"b":2}` and the end of the line."""
    yield "{"
    for key, column, after in zip(keys, chunk.columns, [*"," * (len(keys) - 1), "}\n"], strict=True):
        yield key
        yield from cell_parts(column, zone, after)


def _joined(arguments: Iterable[Any]) -> Array:
    made = [argument() if callable(argument) else argument for argument in arguments]
    return pc.binary_join_element_wise(*made, _NOTHING, null_handling="replace", null_replacement="null")


def _arguments(parts: Iterable[Part]) -> list[Any]:
    return [pa.scalar(part, pa.string()) if isinstance(part, str) else part for part in _merged(parts)]


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
    if not column.null_count and (parts := _fast_parts(column, after)) is not None:
        return parts
    return partial(cell_texts, column, zone), after


def _fast_parts(column: Array, after: str) -> Iterable[Part] | None:
    kind, types = column.type, pa.types
    if types.is_string(kind):
        return '"', partial(escaped, column), f'"{after}'
    if types.is_integer(kind):
        return integer_texts([column], after[0]), after[1:]
    if types.is_float64(kind) and (doubles := double_texts([column], after[0])) is not None:
        return doubles, after[1:]
    if types.is_decimal128(kind):
        return decimal_texts(column, after)
    if types.is_date32(kind) and (dates := date_texts(column, '"', after)) is not None:
        return (dates,)
    return None
