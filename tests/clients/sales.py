"""A small warehouse of every type with its model, for clients in other languages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.server import Server, serving

MODEL = """\
version: 1.0
name: sales
dataObjects:
  Sales:
    code: sales
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Region: {code: region, abstractType: string}
      Amount: {code: amount, abstractType: float}
      Wide: {code: wide, abstractType: float}
      Day: {code: day, abstractType: date}
      At: {code: moment, abstractType: timestamp}
      Zoned: {code: zoned, abstractType: timestamp_tz}
      Clock: {code: clock, abstractType: time}
      Done: {code: done, abstractType: boolean}
      Weight: {code: weight, abstractType: float}
dimensions:
  Region: {dataObject: Sales, column: Region, resultType: string, description: Where it was sold}
  Day: {dataObject: Sales, column: Day, resultType: date}
measures:
  Revenue: {columns: [{dataObject: Sales, column: Amount}], aggregation: sum, dataType: "decimal(18, 2)"}
  Umsatz €: {columns: [{dataObject: Sales, column: Amount}], aggregation: sum, dataType: "decimal(18, 2)"}
  Orders: {columns: [{dataObject: Sales, column: Id}], aggregation: count, resultType: int}
metrics:
  Average: {expression: "{[Revenue]} / {[Orders]}"}
"""

TABLE = """\
CREATE TABLE sales (
    id BIGINT, region VARCHAR, amount DECIMAL(10, 2), wide DECIMAL(38, 10), day DATE, moment TIMESTAMP,
    zoned TIMESTAMPTZ, clock TIME, done BOOLEAN, weight DOUBLE)
"""
ROWS = """\
INSERT INTO sales VALUES
    (1, 'Nord', 40.00, 1234567890123456789012345678.0123456789, '2024-02-29', '2024-02-29 12:34:56.789',
     '2024-02-29 12:34:56+00', '12:34:56', true, 1.5),
    (2, 'Nord', 0.50, -1.0000000001, '2024-03-01', '2024-03-01 00:00:00', '2024-03-01 00:00:00+00', '00:00:00', false,
     'NaN'),
    (3, 'Süd', 2.25, NULL, NULL, NULL, NULL, NULL, NULL, 'Infinity')
"""


@contextmanager
def serving_sales(folder: Path, *, curated: bool = True) -> Iterator[Server]:
    """Serves the warehouse, with its model unless clients bring it; its text lies beside the log as `sales.yaml`."""
    import duckdb

    with duckdb.connect(str(folder / "sales.duckdb")) as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute(TABLE)
        database.execute(ROWS)
    model = folder / "sales.yaml"
    model.write_text(MODEL, encoding="utf-8")
    flags = [f"--source=duckdb:///{folder / 'sales.duckdb'}"]
    with serving(folder, [*flags, f"--model={model}"] if curated else flags) as running:
        yield running
