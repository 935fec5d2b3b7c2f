"""A real engine and a real gateway process on free loopback ports, over a small DuckDB."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import httpx
from sagitta_server.app import Engine
from sagitta_server.config import Settings

MODEL = """\
version: 1.0
owner: team-data
dataObjects:
  Customers:
    code: customers
    schema: main
    owner: team-sales
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Name: {code: name, abstractType: string}
      Country: {code: country, abstractType: string}
  Orders:
    code: orders
    schema: main
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Cust: {code: customer_id, abstractType: int}
      Day: {code: ordered_on, abstractType: date}
      Amount: {code: amount, abstractType: float}
      Status: {code: status, abstractType: string}
    joins:
      - {joinType: many-to-one, joinTo: Customers, columnsFrom: [Cust], columnsTo: [Id]}
  Numbers:
    code: numbers
    schema: main
    columns:
      N: {code: n, abstractType: int, primaryKey: true}
      Text: {code: t, abstractType: string}
dimensions:
  Customer Country: {dataObject: Customers, column: Country, resultType: string, synonyms: [Nation]}
  Order Month: {dataObject: Orders, column: Day, resultType: date, timeGrain: month}
  Status: {dataObject: Orders, column: Status, resultType: string}
  Number: {dataObject: Numbers, column: N, resultType: int}
measures:
  Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum, resultType: float, format: "#,##0.00"}
  Order Count: {columns: [{dataObject: Orders, column: Id}], aggregation: count, resultType: int}
  Total: {columns: [{dataObject: Numbers, column: N}], aggregation: sum, resultType: int}
metrics:
  Revenue per Order: {expression: "{[Revenue]} / {[Order Count]}"}
examples:
  - name: revenue_by_country
    description: Revenue by country
    intentTags: [revenue, geography]
    query: {select: {dimensions: [Customer Country], measures: [Revenue]}}
"""

QUERY: dict[str, Any] = {
    "select": {"dimensions": ["Customer Country"], "measures": ["Revenue"]},
    "order_by": [{"field": "Revenue", "direction": "desc"}],
}
NUMBERS = 25_000


def make_database(path: Path) -> None:
    """Three customers, five orders and 25,000 numbers."""
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            "CREATE TABLE customers AS SELECT * FROM "
            "(VALUES (1, 'Ann', 'US'), (2, 'Bob', 'DE'), (3, 'Cem', 'US')) t(id, name, country)"
        )
        connection.execute(
            "CREATE TABLE orders AS SELECT * FROM (VALUES "
            "(1, 1, DATE '2024-01-05', 100.0, 'paid'), (2, 1, DATE '2024-02-10', 50.0, 'paid'), "
            "(3, 2, DATE '2024-01-20', 80.0, 'open'), (4, 2, DATE '2025-01-15', 120.0, 'paid'), "
            "(5, NULL, DATE '2025-02-01', 30.0, 'paid')) t(id, customer_id, ordered_on, amount, status)"
        )
        connection.execute(f"CREATE TABLE numbers AS SELECT i AS n, 'x' || i AS t FROM range({NUMBERS}) r(i)")


def settings(folder: Path, **changes: Any) -> Settings:
    """Settings of an engine on free ports; the database is made when it is not there."""
    database = folder / "shop.duckdb"
    if not database.exists():
        make_database(database)
    values: dict[str, Any] = {
        "data_dir": folder / "data",
        "sources": {"default": {"uri": f"duckdb:///{database}"}},
        "grpc": {"address": "127.0.0.1:0"},
        "flight": {"enabled": False},
        "sessions": {"rate_limit": 0},
    }
    return Settings(**{**values, **changes})


@dataclass(frozen=True)
class Serving:
    """An engine and the gateway in front of it."""

    engine: Engine
    grpc: str
    client: httpx.Client


@contextmanager
def serving(configured: Settings, *arguments: str) -> Iterator[Serving]:
    """Starts an engine and a gateway, and stops both."""
    engine = Engine(configured)
    ready = engine.start()
    try:
        with (
            gateway(ready.grpc, configured.data_dir / "gateway.json", *arguments) as address,
            httpx.Client(base_url=address, timeout=60) as client,
        ):
            yield Serving(engine, ready.grpc, client)
    finally:
        engine.stop()


@contextmanager
def gateway(engine: str, ready_file: Path, *arguments: str) -> Iterator[str]:
    """Starts a gateway process; gives its address."""
    command = [sys.executable, "-m", "sagitta_gateway", "--engine", engine, "--listen", "127.0.0.1:0"]
    process = subprocess.Popen([*command, "--ready-file", str(ready_file), *arguments])
    try:
        yield _address(process, ready_file)
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0


def _address(process: subprocess.Popen[bytes], ready_file: Path) -> str:
    deadline = time.monotonic() + 60
    while not ready_file.exists():
        assert process.poll() is None, "the gateway ended"
        assert time.monotonic() < deadline, "the gateway does not start"
        time.sleep(0.02)
    address: str = json.loads(ready_file.read_text())["http"]
    return address
