"""Cells and formats: what Arrow holds is what the client reads, type by type."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import math
from decimal import Context, Decimal
from typing import Any
from unittest import mock
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sagitta.semantic.v1.diagnostic_pb2 import Diagnostic
from sagitta.semantic.v1.query_service_pb2 import ResultMetadata, ResultSummary
from sagitta.semantic.v1.result_pb2 import ResultColumn
from sagitta_gateway.negotiation import wanted_format
from sagitta_gateway.results import cells, quoted
from sagitta_gateway.results import rows as joining
from sagitta_gateway.results.formats import (
    REMEMBERED_BYTES,
    Delivery,
    ResultFormat,
    pieces,
    result_head,
    result_tail,
    writer_for,
)
from sagitta_gateway.results.formatting import UnknownLocale, display, find_locale
from sagitta_gateway.results.rows import CHUNK_CELLS, CHUNK_ROWS, json_lines, json_rows

MOMENTS = st.datetimes(dt.datetime.fromisoformat("1900-01-01"), dt.datetime.fromisoformat("2200-01-01"))
COLUMNS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "uint8": (pa.uint8(), st.integers(0, 255)),
    "double": (pa.float64(), st.floats()),
    "bool": (pa.bool_(), st.booleans()),
    "string": (pa.string(), st.text(st.characters(exclude_categories=["Cs"]))),
    "large_string": (pa.large_string(), st.text(st.characters(exclude_categories=["Cs"]))),
    "date": (pa.date32(), st.dates(dt.date(1000, 1, 1), dt.date(9999, 1, 1))),
    "timestamp": (pa.timestamp("us"), MOMENTS),
    "timestamp_s": (pa.timestamp("s"), MOMENTS.map(lambda value: value.replace(microsecond=0))),
    "timestamp_tz": (pa.timestamp("us", "America/New_York"), MOMENTS.map(lambda value: value.replace(tzinfo=dt.UTC))),
    "time": (pa.time64("us"), st.times()),
    "decimal": (pa.decimal128(38, 6), st.decimals(-(10**31), 10**31, places=6)),
    "small_decimal": (pa.decimal128(9, 2), st.decimals(-(10**6), 10**6, places=2)),
    "tiny_decimal": (pa.decimal128(20, 18), st.decimals(-9, 9, places=18)),
    "money": (pa.decimal128(18, 2), st.decimals("-0.99", "99999", places=2)),
    "whole_decimal": (pa.decimal128(38, 0), st.integers(-(10**37), 10**37).map(Decimal)),
    "large_decimal": (pa.decimal256(60, 30), st.decimals(-(10**29), 10**29, places=30)),
    "list": (pa.list_(pa.int64()), st.lists(st.integers(-5, 5))),
    "binary": (pa.binary(), st.binary()),
}


def expected(kind: str, value: Any) -> Any:
    """The documented JSON of a value, worked out one at a time."""
    match value:
        case None:
            return None
        case float():
            return value if math.isfinite(value) else None
        case dt.datetime():
            moment = value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
            return moment.isoformat().replace("+00:00", "Z")
        case dt.date() | dt.time():
            return value.isoformat()
        case Decimal():
            scale = COLUMNS[kind][0].scale
            text = str(value.quantize(Decimal(1).scaleb(-scale), context=Context(prec=76)))
            return float(value) if abs(value.scaleb(scale, Context(prec=76))) < 10**15 else text
        case bytes():
            import base64

            return base64.b64encode(value).decode()
        case _:
            return value


@given(st.data())
def test_every_cell_is_the_value(data: st.DataObject) -> None:
    kinds = data.draw(st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4))
    rows = data.draw(st.integers(0, 6))
    columns = [data.draw(st.lists(st.none() | COLUMNS[kind][1], min_size=rows, max_size=rows)) for kind in kinds]
    arrays = [pa.array(values, COLUMNS[kind][0]) for kind, values in zip(kinds, columns, strict=True)]
    batch = pa.RecordBatch.from_arrays(arrays, names=[f"{n} {kind}" for n, kind in enumerate(kinds)])
    wanted = [[expected(kind, column[row]) for kind, column in zip(kinds, columns, strict=True)] for row in range(rows)]
    small = json_rows(batch, "UTC")
    with mock.patch.object(joining, "SMALL_CELLS", 0):
        assert json_rows(batch, "UTC") == small, "few cells are written like many"
    assert json.loads(b"[" + small + b"]") == wanted
    lines = [json.loads(line) for line in json_lines(batch, "UTC").splitlines()]
    assert [list(line.values()) for line in lines] == wanted
    assert all(list(line) == batch.schema.names for line in lines)


NUMBERS: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "int8": (pa.int8(), st.integers(-128, 127)),
    "uint16": (pa.uint16(), st.integers(0, 2**16 - 1)),
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "uint64": (pa.uint64(), st.integers(0, 2**64 - 1)),
    "double": (pa.float64(), st.floats() | st.integers(-(10**16), 10**16).map(float) | st.floats(-1e-4, 1e-4)),
    "price": (
        pa.float64(),
        st.integers(-(10**6), 10**6).map(lambda n: n / 4) | st.sampled_from([-0.0, math.nan, 1e-5]),
    ),
    "whole double": (pa.float64(), st.integers(-(10**6), 10**6).map(float)),
    "money": (pa.decimal128(18, 2), st.decimals("-999", "999", places=2)),
    "large money": (pa.decimal128(38, 4), st.decimals(-(10**15), 10**15, places=4)),
    "total": (pa.decimal128(38, 0), st.integers(-(10**16), 10**16).map(Decimal)),
    "small part": (pa.decimal128(9, 9), st.decimals("-0.9", "0.9", places=9)),
    "date": (pa.date32(), st.dates(dt.date(2024, 12, 1), dt.date(2025, 1, 31))),
}


@given(st.data(), st.sampled_from(sorted(NUMBERS)), st.sampled_from([",", "]", "}\n", ',"é":']))
def test_numbers_and_days_are_written_as_arrow_writes_them(data: st.DataObject, kind: str, after: str) -> None:
    type_, values = NUMBERS[kind]
    drawn = data.draw(st.lists(st.none() | values, min_size=1, max_size=40) | st.lists(values, min_size=60))
    column = pa.array([None, *drawn], type_).slice(data.draw(st.integers(0, 1)))
    parts = [part() if callable(part) else part for part in joining.cell_parts(column, "UTC", after)]
    rows = [
        "".join(part if isinstance(part, str) else part[row].as_py() or "null" for part in parts)
        for row in range(len(column))
    ]
    texts = cells.cell_texts(column).to_pylist()
    assert rows == [("null" if text is None else text) + after for text in texts]


@given(st.lists(MOMENTS, min_size=1, max_size=5), st.sampled_from(["Europe/Berlin", "America/St_Johns", "Asia/Tokyo"]))
def test_a_naive_timestamp_carries_the_offset_of_its_zone(moments: list[dt.datetime], zone: str) -> None:
    batch = pa.RecordBatch.from_arrays([pa.array(moments, pa.timestamp("us"))], names=["t"])
    for written, moment in zip(json.loads(b"[" + json_rows(batch, zone) + b"]"), moments, strict=True):
        read = dt.datetime.fromisoformat(written[0])
        assert read.replace(tzinfo=None) == moment
        place = moment.replace(tzinfo=ZoneInfo(zone))
        if place.astimezone(dt.UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == moment and moment.year > 1950:
            assert read.utcoffset() in {place.utcoffset(), place.replace(fold=1).utcoffset()}


ALIKE = [["int64"], ["uint8"], ["double"], ["whole double", "price"], ["string", "plain", "date", "old date"]]
WORDS = {
    "plain": (pa.string(), st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters='"\\'))),
    "old date": COLUMNS["date"],
}


@given(st.data(), st.sampled_from(ALIKE))
def test_neighbours_of_one_kind_are_written_together(data: st.DataObject, alike: list[str]) -> None:
    rows = data.draw(st.integers(1, 6))
    kinds = data.draw(st.lists(st.sampled_from(alike), min_size=2, max_size=4))
    drawn = [(COLUMNS | NUMBERS | WORDS)[kind] for kind in kinds]
    columns = [pa.array(data.draw(st.lists(values, min_size=rows, max_size=rows)), type_) for type_, values in drawn]
    batch = pa.RecordBatch.from_arrays(columns, names=[f"{number}" for number in range(len(kinds))])
    with mock.patch.object(joining, "SMALL_CELLS", 0):
        written_ = json_rows(batch, "UTC").decode()
        with mock.patch.object(quoted, "_COPIED_BYTES", 0):
            assert json_rows(batch, "UTC").decode() == written_
    texts = [[text or "null" for text in cells.cell_texts(column).to_pylist()] for column in columns]
    assert written_ == ",".join(f"[{','.join(row)}]" for row in zip(*texts, strict=True))


def test_wide_rows_are_written_in_order() -> None:
    count, rows = CHUNK_CELLS // 1000, 2500
    columns = [pa.array(range(number, number + rows)) for number in range(count)]
    batch = pa.RecordBatch.from_arrays(columns, names=[str(number) for number in range(count)])
    wanted = [list(range(row, row + count)) for row in range(rows)]
    assert json.loads(b"[" + json_rows(batch, "UTC") + b"]") == wanted


def test_many_rows_are_written_in_order() -> None:
    rows = CHUNK_ROWS * 3 + 17
    numbers = pa.array(range(rows))
    batch = pa.RecordBatch.from_arrays([numbers, numbers, pa.array(["x"] * rows), numbers], names=["n", "m", "t", "z"])
    wanted = [[n, n, "x", n] for n in range(5, rows)]
    assert json.loads(b"[" + json_rows(batch.slice(5), "UTC") + b"]") == wanted
    assert [list(json.loads(line).values()) for line in json_lines(batch.slice(5), "UTC").splitlines()] == wanted


TABLE = pa.table(
    {
        "Name": pa.array(["a", 'tab\t"quoted"', None, "line\nend"]),
        "Amount": pa.array([Decimal("1234.50"), None, Decimal("-0.05"), Decimal("7.00")], pa.decimal128(18, 2)),
    }
)


def written(delivery: Delivery, table: pa.Table = TABLE) -> bytes:
    metadata = ResultMetadata(
        timezone="UTC",
        columns=[
            ResultColumn(name="Name", type="string"),
            ResultColumn(name="Amount", type="decimal(18, 2)", format="#,##0.00"),
        ],
    )
    writer = writer_for(delivery)
    return b"".join(
        (*pieces(writer, metadata, table.to_reader(max_chunksize=3)), writer.end(ResultSummary(row_count=4)))
    )


def test_tables_of_text_are_quoted_as_documented() -> None:
    tsv = written(Delivery(ResultFormat.TSV, display=True, locale=find_locale("de"))).decode()
    assert tsv == 'Name\tAmount\na\t1.234,50\n"tab\t""quoted"""\t\n\t-0,05\n"line\nend"\t7,00\n'
    rows = list(csv.reader(io.StringIO(written(Delivery(ResultFormat.CSV, display=False)).decode())))
    assert rows == [
        ["Name", "Amount"],
        ["a", "1234.50"],
        ['tab\t"quoted"', ""],
        ["", "-0.05"],
        ["line\nend", "7.00"],
    ]


@pytest.mark.parametrize("warned", [(), (Diagnostic(code="LARGE_RESULT_SET", message="cut"),)])
@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT '" + "x" * REMEMBERED_BYTES + "'"])
def test_what_stands_around_the_rows_is_the_same_again(sql: str, warned: tuple[Diagnostic, ...]) -> None:
    metadata = ResultMetadata(sql=sql, timezone="UTC", columns=[ResultColumn(name="Name", type="string")])
    for rows in (1, 2):
        summary = ResultSummary(row_count=rows, truncated=True, warnings=warned)
        writer = writer_for(Delivery(ResultFormat.JSON, display=False))
        table = pa.table({"Name": ["a"] * rows})
        body = b"".join((*pieces(writer, metadata, table.to_reader()), writer.end(summary)))
        wanted = {**result_head(metadata), "rows": [["a"]] * rows, **result_tail(metadata, summary)}
        assert list(json.loads(body).items()) == list(wanted.items())


def test_arrow_and_parquet_hold_the_table() -> None:
    import pyarrow.parquet as pq

    arrow = pa.ipc.open_stream(written(Delivery(ResultFormat.ARROW, display=False))).read_all()
    assert arrow.equals(TABLE)
    parquet = pq.read_table(io.BytesIO(written(Delivery(ResultFormat.PARQUET, display=False))))
    assert parquet.equals(TABLE)


@pytest.mark.parametrize("format_", list(ResultFormat))
def test_an_empty_result_is_whole_in_every_format(format_: ResultFormat) -> None:
    data = written(Delivery(format_, display=False), TABLE.slice(0, 0))
    if format_ is ResultFormat.JSON:
        assert json.loads(data)["rows"] == []
    elif format_ is ResultFormat.ARROW:
        assert pa.ipc.open_stream(data).read_all().num_rows == 0


@pytest.mark.parametrize(
    ("pattern", "locale", "value", "shown"),
    [
        ("#,##0.00", "en-US", Decimal("1234567.5"), "1,234,567.50"),
        ("#,##0.00", "de", Decimal("1234567.5"), "1.234.567,50"),
        ("#,##0.00", "de-CH", Decimal("1234567.5"), "1\u2019234\u2019567.50"),
        ("0.0%", "en", 0.256, "25.6%"),
        ("0", "en", 7, "7"),
        (None, "de", 7, "7"),
        ("#,##0.00", "en", float("nan"), "nan"),
    ],
)
def test_numbers_are_shown_by_pattern_and_locale(pattern: str | None, locale: str, value: Any, shown: str) -> None:
    assert display(pa.array([value, None, value]), pattern, find_locale(locale)).to_pylist() == [shown, None, shown]


@pytest.mark.parametrize("name", ["", "xx-nonsense", "..", "en_" * 30])
def test_an_unknown_locale_is_told(name: str) -> None:
    with pytest.raises(UnknownLocale):
        find_locale(name)


@pytest.mark.parametrize(
    ("parameter", "accept", "wanted"),
    [
        (None, "", "json"),
        (None, "*/*", "json"),
        (None, "text/csv", "csv"),
        (None, "text/csv;q=0.5, application/vnd.apache.arrow.stream", "arrow"),
        (None, "text/csv;q=0, text/html", "json"),
        (None, "text/html, application/xhtml+xml, */*;q=0.8", "json"),
        (ResultFormat.TSV, "text/csv", "tsv"),
    ],
)
def test_the_parameter_decides_before_the_header(parameter: ResultFormat | None, accept: str, wanted: str) -> None:
    assert wanted_format(parameter, accept) == wanted
