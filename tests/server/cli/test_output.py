"""A result as a table, CSV, JSON, Parquet and Arrow."""

import datetime as dt
import io
import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet
import pytest
from sagitta_server.cli.output import ROW_GROUP, Format, format_of, writer

TABLE = pa.table(
    {
        "id": pa.array([1, None, 3]),
        "price": pa.array([Decimal("1.50"), None, Decimal("12345678901234567890.25")]),
        "text": ["x [red]y", 'ü,"q', "z"],
        "day": [dt.date(2020, 1, 31)] * 3,
        "at": [dt.datetime.fromisoformat("2020-01-01T02:03:00"), None, None],
        "ratio": [float("nan"), 1.5, float("inf")],
        "raw": [b"ab", None, b"c"],
    }
)


def written(kind: Format, table: pa.Table = TABLE, rows: int = 100) -> bytes:
    sink = io.BytesIO()
    out = writer(kind, table.schema, sink, rows)
    for batch in table.to_batches(max_chunksize=2):
        out.write(batch)
    out.close()
    return sink.getvalue()


@pytest.mark.parametrize("kind", Format)
def test_empty_result_is_a_valid_file_of_every_format(kind: Format) -> None:
    empty = TABLE.slice(0, 0)
    text = written(kind, empty)
    match kind:
        case Format.JSON:
            assert json.loads(text) == []
        case Format.CSV:
            assert text.decode().startswith('"id","price"')
        case Format.PARQUET:
            assert pa.parquet.read_table(io.BytesIO(text)).num_rows == 0
        case Format.ARROW:
            assert pa.ipc.open_stream(text).read_all().schema == TABLE.schema
        case Format.TABLE:
            assert "price" in text.decode()


def test_json_is_exact_and_valid() -> None:
    first, second, third = json.loads(written(Format.JSON), parse_float=Decimal)
    assert first["price"] == Decimal("1.50")
    assert third["price"] == Decimal("12345678901234567890.25")
    assert second["text"] == 'ü,"q'
    assert [second[name] for name in ("id", "price", "at", "raw")] == [None] * 4
    assert first["day"] == "2020-01-31"
    assert first["ratio"] is None, "JSON has no NaN"
    assert first["at"] == "2020-01-01T02:03:00"


def test_arrow_and_parquet_lose_nothing() -> None:
    assert pa.ipc.open_stream(written(Format.ARROW)).read_all().schema == TABLE.schema
    assert pa.parquet.read_table(io.BytesIO(written(Format.PARQUET))).to_pylist()[2] == TABLE.to_pylist()[2]


def test_parquet_gathers_small_batches_into_row_groups() -> None:
    table = pa.table({"n": pa.array(range(ROW_GROUP + 10))})
    sink = io.BytesIO()
    out = writer(Format.PARQUET, table.schema, sink, 1)
    for batch in table.to_batches(max_chunksize=8192):
        out.write(batch)
    out.close()
    assert pa.parquet.ParquetFile(sink).metadata.num_row_groups == 2


def test_table_shows_text_as_it_is_and_says_how_much_it_hides() -> None:
    text = written(Format.TABLE, rows=2).decode()
    assert "x [red]y" in text
    assert "NULL" in text
    assert "12345678901234567890.25" not in text
    assert "1 more rows" in text


def test_format_follows_the_file_name_unless_chosen(tmp_path) -> None:
    assert format_of(tmp_path / "a.PARQUET", None) is Format.PARQUET
    assert format_of(tmp_path / "a.parquet", "csv") is Format.CSV
    assert format_of(None, None) is Format.TABLE
