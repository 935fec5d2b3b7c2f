"""The formats of results: what begins the answer, what each batch adds, what ends it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from babel import Locale
from sagitta.semantic.v1.diagnostic_pb2 import Diagnostic
from sagitta.semantic.v1.query_service_pb2 import ResultMetadata, ResultSummary

from sagitta_gateway.convert import Body, to_body, without_nulls
from sagitta_gateway.results.cells import data_of, plain_texts
from sagitta_gateway.results.formatting import display_batch, model_locale
from sagitta_gateway.results.rows import json_lines, json_rows


class ResultFormat(StrEnum):
    """The formats by the names of the `format` parameter."""

    JSON = "json"
    TSV = "tsv"
    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    ARROW = "arrow"


MEDIA_TYPES = {
    ResultFormat.JSON: "application/json",
    ResultFormat.TSV: "text/tab-separated-values; charset=utf-8",
    ResultFormat.CSV: "text/csv; charset=utf-8",
    ResultFormat.NDJSON: "application/x-ndjson",
    ResultFormat.PARQUET: "application/vnd.apache.parquet",
    ResultFormat.ARROW: "application/vnd.apache.arrow.stream",
}


REMEMBERED, REMEMBERED_BYTES = 256, 8192
"""So many texts that stand around rows are kept, of metadata up to so many bytes: the same queries come again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the client wants the cells."""

    format: ResultFormat
    display: bool
    """Whether numeric cells are display texts."""
    locale: Locale | None = None
    """The locale of the display texts; None takes the model's."""


class Writer(Protocol):
    """Turns a result into the bytes of an answer."""

    def begin(self, metadata: ResultMetadata, schema: Any) -> bytes: ...

    def batch(self, batch: Any) -> bytes: ...

    def end(self, summary: ResultSummary) -> bytes: ...


def result_head(metadata: ResultMetadata) -> Body:
    """The keys of the documented body that are known before the rows."""
    columns = [without_nulls(to_body(column)) for column in metadata.columns]
    return {"sql": metadata.sql, "dialect": metadata.dialect, "columns": columns}


def result_tail(metadata: ResultMetadata, summary: ResultSummary) -> Body:
    """The keys of the documented body that follow the rows."""
    return {**_counts(summary), **_circumstances(metadata, summary.warnings)}


def _counts(summary: ResultSummary) -> Body:
    return {
        "row_count": summary.row_count,
        "execution_time_ms": summary.execution_time_ms,
        "truncated": summary.truncated,
    }


def _circumstances(metadata: ResultMetadata, late_warnings: Iterable[Diagnostic] = ()) -> Body:
    tail: Body = {
        "timezone": metadata.timezone,
        "resolved": to_body(metadata.resolved),
        "sql_valid": metadata.sql_valid,
        "warnings": [to_body(warning) for warning in (*metadata.warnings, *late_warnings)],
        "explain": to_body(metadata.explain),
        "physical_tables": list(metadata.physical_tables),
        **to_body(metadata.cache),
    }
    if metadata.HasField("query_text"):
        tail["query"] = orjson.loads(metadata.query_text)
    return tail


@lru_cache(maxsize=REMEMBERED)
def _written(serialized: bytes) -> tuple[bytes, bytes]:
    """The text before the rows, and what follows the counts after them, when nothing was warned of after the rows."""
    metadata = ResultMetadata.FromString(serialized)
    head, tail = orjson.dumps(result_head(metadata)), orjson.dumps(_circumstances(metadata))
    return head[:-1] + b',"rows":[', tail[1:]


class _Columns:
    """What a writer remembers of a result's columns."""

    def __init__(self, delivery: Delivery) -> None:
        self._delivery = delivery
        self._locale: Locale | None = None
        self._patterns: list[str | None] = []
        self._zone = "UTC"

    def remember(self, metadata: ResultMetadata) -> None:
        self._zone = metadata.timezone or "UTC"
        if self._delivery.display:
            self._locale = self._delivery.locale or model_locale(metadata.locale)
        self._patterns = [column.format if column.HasField("format") else None for column in metadata.columns]

    def shown(self, batch: Any) -> Any:
        return batch if self._locale is None else display_batch(batch, self._patterns, self._locale)


class JsonWriter(_Columns):
    """The documented body, rows as arrays of cells."""

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery)
        self._metadata = ResultMetadata()
        self._tail = b""
        self._empty = True

    def begin(self, metadata: ResultMetadata, schema: Any) -> bytes:
        self.remember(metadata)
        self._metadata = metadata
        serialized = metadata.SerializeToString()
        write = _written if len(serialized) <= REMEMBERED_BYTES else _written.__wrapped__
        head, self._tail = write(serialized)
        return head

    def batch(self, batch: Any) -> bytes:
        if not batch.num_rows:
            return b""
        rows = json_rows(self.shown(batch), self._zone)
        if self._empty:
            self._empty = False
            return rows
        return b"," + rows

    def end(self, summary: ResultSummary) -> bytes:
        if summary.warnings:
            return b"]," + orjson.dumps(result_tail(self._metadata, summary))[1:]
        return b"]," + orjson.dumps(_counts(summary))[1:-1] + b"," + self._tail


class LinesWriter(_Columns):
    """One JSON object per line."""

    def begin(self, metadata: ResultMetadata, schema: Any) -> bytes:
        self.remember(metadata)
        return b""

    def batch(self, batch: Any) -> bytes:
        return json_lines(self.shown(batch), self._zone)

    def end(self, summary: ResultSummary) -> bytes:
        return b""


class TextWriter(_Columns):
    """A header and a line per row; a cell is quoted where it holds the separator, a quote or a line end."""

    def __init__(self, delivery: Delivery) -> None:
        super().__init__(delivery)
        separator = "\t" if delivery.format is ResultFormat.TSV else ","
        self._separator, self._end = pa.scalar(separator), pa.scalar("\n")
        self._special = f'[{separator}"\r\n]'

    def begin(self, metadata: ResultMetadata, schema: Any) -> bytes:
        self.remember(metadata)
        names = self._cells(pa.array(schema.names, pa.string())).to_pylist()
        return f"{self._separator.as_py().join(names)}\n".encode()

    def batch(self, batch: Any) -> bytes:
        if not batch.num_rows:
            return b""
        columns = [self._cells(plain_texts(column, self._zone)) for column in self.shown(batch).columns]
        columns[-1] = _joined([columns[-1], self._end], _NOTHING)
        return bytes(data_of(_joined(columns, self._separator)))

    def end(self, summary: ResultSummary) -> bytes:
        return b""

    def _cells(self, texts: Any) -> Any:
        special = pc.match_substring_regex(texts, self._special)
        if not pc.any(special).as_py():
            return texts
        quoted = pc.binary_join_element_wise(_QUOTE, pc.replace_substring(texts, '"', '""'), _QUOTE, _NOTHING)
        return pc.if_else(special, quoted, texts)


_NOTHING, _QUOTE = pa.scalar(""), pa.scalar('"')


def _joined(columns: list[Any], separator: Any) -> Any:
    """Texts of a row joined; NULL is empty."""
    return pc.binary_join_element_wise(*columns, separator, null_handling="replace", null_replacement="")


class ArrowWriter:
    """The Arrow IPC stream as the engine makes it."""

    def __init__(self, _: Delivery) -> None:
        self._sink = _Drain()
        self._writer: Any = None

    def begin(self, metadata: ResultMetadata, schema: Any) -> bytes:
        del metadata
        self._writer = pa.ipc.new_stream(pa.PythonFile(self._sink, mode="w"), schema)
        return self._sink.take()

    def batch(self, batch: Any) -> bytes:
        self._writer.write_batch(batch)
        return self._sink.take()

    def end(self, summary: ResultSummary) -> bytes:
        del summary
        self._writer.close()
        return self._sink.take()


class ParquetWriter:
    """A Parquet file, a row group per batch."""

    def __init__(self, _: Delivery) -> None:
        self._sink = _Drain()
        self._writer: Any = None

    def begin(self, metadata: ResultMetadata, schema: Any) -> bytes:
        del metadata
        self._writer = pyarrow.parquet.ParquetWriter(pa.PythonFile(self._sink, mode="w"), schema, compression="zstd")
        return self._sink.take()

    def batch(self, batch: Any) -> bytes:
        self._writer.write_batch(batch)
        return self._sink.take()

    def end(self, summary: ResultSummary) -> bytes:
        del summary
        self._writer.close()
        return self._sink.take()


class _Drain(io.RawIOBase):
    """A file whose bytes are taken while it is written."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._position += len(part)
        return len(part)

    def take(self) -> bytes:
        """What was written since it was last asked."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data


_WRITERS: dict[ResultFormat, Callable[[Delivery], Writer]] = {
    ResultFormat.JSON: JsonWriter,
    ResultFormat.TSV: TextWriter,
    ResultFormat.CSV: TextWriter,
    ResultFormat.NDJSON: LinesWriter,
    ResultFormat.PARQUET: ParquetWriter,
    ResultFormat.ARROW: ArrowWriter,
}


def writer_for(delivery: Delivery) -> Writer:
    """A new writer of the wanted format."""
    return _WRITERS[delivery.format](delivery)


def pieces(writer: Writer, metadata: ResultMetadata, reader: Any) -> Iterator[bytes]:
    """The answer without its end: the beginning, then a piece per batch."""
    yield writer.begin(metadata, reader.schema)
    for batch in reader:
        if data := writer.batch(batch):
            yield data
