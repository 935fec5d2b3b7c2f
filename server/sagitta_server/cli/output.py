"""Writes a result as its batches arrive: a table for people, CSV, JSON, Parquet or Arrow for programs.

Memory does not grow with the result, whatever the format: a table shows its first rows and says how many follow.
"""

from __future__ import annotations

import base64
import datetime as dt
import io
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Protocol

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sagitta_server.cli.failures import Failure


class Format(StrEnum):
    """What a result can be written as."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    ARROW = "arrow"


SUFFIXES = {
    ".csv": Format.CSV,
    ".json": Format.JSON,
    ".parquet": Format.PARQUET,
    ".pq": Format.PARQUET,
    ".arrow": Format.ARROW,
    ".arrows": Format.ARROW,
    ".feather": Format.ARROW,
    ".txt": Format.TABLE,
}
"""The format that a file's name asks for."""

UNLIMITED = 100_000
"""The width of a table that no terminal shows."""

ROW_GROUP = 122_880
"""Rows of a Parquet row group."""

Batch = Any
"""A `pyarrow.RecordBatch` (pyarrow has no types)."""
Schema = Any
"""A `pyarrow.Schema`."""


class Writer(Protocol):
    """Takes batches of one schema; `close` ends the file and is called once."""

    def write(self, batch: Batch) -> None: ...

    def close(self) -> None: ...


def format_of(path: Path | None, chosen: str | None) -> Format:
    """Returns the chosen format, else the one of the file's name, else a table.

    Raises:
        Failure: the file's name says nothing.
    """
    if chosen is not None:
        return Format(chosen)
    if path is None:
        return Format.TABLE
    if (found := SUFFIXES.get(path.suffix.lower())) is None:
        raise Failure(
            "UNKNOWN_FORMAT",
            f"the name {path.name} does not say in which format to write",
            f"End it with {', '.join(SUFFIXES)}, or choose --format.",
        )
    return found


def writer(kind: Format, schema: Schema, sink: IO[bytes], rows: int) -> Writer:
    """Returns the writer of a format; `rows` is how many a table shows."""
    match kind:
        case Format.TABLE:
            return TableWriter(schema, sink, rows)
        case Format.CSV:
            return pa.csv.CSVWriter(sink, schema)  # type: ignore[no-any-return]
        case Format.JSON:
            return JsonWriter(sink)
        case Format.PARQUET:
            return ParquetWriter(schema, sink)
        case Format.ARROW:
            return pa.ipc.new_stream(sink, schema)  # type: ignore[no-any-return]


class ParquetWriter:
    """A Parquet file; batches are gathered into row groups of a useful size."""

    def __init__(self, schema: Schema, sink: IO[bytes]) -> None:
        self._schema = schema
        self._file = pa.parquet.ParquetWriter(sink, schema)
        self._batches: list[Batch] = []
        self._rows = 0

    def write(self, batch: Batch) -> None:
        self._batches.append(batch)
        self._rows += batch.num_rows
        if self._rows >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        self._file.write_table(pa.Table.from_batches(self._batches, self._schema))
        self._batches, self._rows = [], 0

    def close(self) -> None:
        if self._batches:
            self._flush()
        self._file.close()


class JsonWriter:
    """One JSON array of objects, a row per line; decimals are written exactly."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._sink = sink
        self._separator = b"[\n"

    def write(self, batch: Batch) -> None:
        for row in batch.to_pylist():
            self._sink.write(self._separator)
            self._sink.write(orjson.dumps(row, default=json_value))
            self._separator = b",\n"

    def close(self) -> None:
        self._sink.write(b"[]\n" if self._separator == b"[\n" else b"\n]\n")


def json_value(value: object) -> object:
    """Returns what JSON has no type for: exact numbers for decimals, ISO 8601 text for times, base 64 for bytes."""
    match value:
        case Decimal():
            return orjson.Fragment(format(value, "f"))
        case dt.datetime() | dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta():
            return value.total_seconds()
        case bytes():
            return base64.b64encode(value).decode()
        case _:
            return str(value)


def cell(value: object) -> Text:
    """Returns a table's cell: NULL is dim and told apart from the text."""
    match value:
        case None:
            return Text("NULL", style="dim")
        case bool():
            return Text(str(value).lower())
        case int():
            return Text(str(value))
        case Decimal():
            return Text(format(value, "f"))
        case dt.datetime():
            return Text(value.isoformat(sep=" "))
        case _:
            return Text(str(value))


def is_numeric(kind: Any) -> bool:
    """Says whether an Arrow type is a number."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


class TableWriter:
    """A table of the first rows; numbers stand right, NULL is dim."""

    def __init__(self, schema: Schema, sink: IO[bytes], rows: int) -> None:
        self._schema = schema
        self._sink = sink
        self._limit = rows
        self._kept: list[tuple[object, ...]] = []
        self._count = 0

    def write(self, batch: Batch) -> None:
        self._count += batch.num_rows
        missing = self._limit - len(self._kept)
        if missing > 0:
            columns = [column.to_pylist() for column in batch.slice(0, missing).columns]
            self._kept.extend(zip(*columns, strict=True))

    def close(self) -> None:
        text = io.TextIOWrapper(self._sink, encoding="utf-8", write_through=True)
        console = Console(file=text, width=None if text.isatty() else UNLIMITED, highlight=False)
        table = Table(header_style="bold")
        for field in self._schema:
            table.add_column(Text(field.name), justify="right" if is_numeric(field.type) else "left", overflow="fold")
        for row in self._kept:
            table.add_row(*map(cell, row))
        console.print(table)
        if hidden := self._count - len(self._kept):
            console.print(f"{hidden:,} more rows: --rows N shows more, --format csv (json, parquet, arrow) writes all")
        text.detach()
