# ruff: noqa: E501 - statements
"""Drawn SQL on a model gives the rows of the same SQL on the model's table, extracted whole.

The measures here add up, so the extracted table (all dimensions, all measures) holds every answer: SUM of a measure over
its rows is the measure. What SQL says around the table, DuckDB evaluates naively.
"""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import duckdb
import pytest
from compiler.query.semantic_sql.shop import compiled
from sagitta_compiler import CompileError, load_model
from sagitta_compiler.query.semantic_sql import SqlCatalog

MODEL = """
version: 1.0
name: drawn
dataObjects:
  Customers:
    code: customers
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Name: {code: name, abstractType: string}
      Country: {code: country, abstractType: string}
  Orders:
    code: orders
    columns:
      Id: {code: id, abstractType: int, primaryKey: true}
      Cust: {code: customer_id, abstractType: int}
      Day: {code: ordered_on, abstractType: date}
      Amount: {code: amount, abstractType: int}
      Status: {code: status, abstractType: string}
    joins:
      - {joinType: many-to-one, joinTo: Customers, columnsFrom: [Cust], columnsTo: [Id]}
dimensions:
  Country: {dataObject: Customers, column: Country, resultType: string}
  Customer: {dataObject: Customers, column: Name, resultType: string}
  Day: {dataObject: Orders, column: Day, resultType: date}
  Status: {dataObject: Orders, column: Status, resultType: string}
measures:
  Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: sum, resultType: int, dataType: bigint}
  Orders N: {columns: [{dataObject: Orders, column: Id}], aggregation: count, resultType: int, dataType: bigint}
"""
DATA = """
SELECT setseed(0.4);
CREATE TABLE customers AS SELECT i AS id, 'C' || i AS name, CASE WHEN i % 5 < 3 THEN ['US', 'DE', 'FR'][i % 5 + 1] END AS country
  FROM range(12) t(i);
CREATE TABLE orders AS SELECT i AS id, i % 12 AS customer_id, DATE '2024-01-01' + (i * 37 % 500)::INT AS ordered_on,
  CASE WHEN i % 11 > 0 THEN i * 7 % 50 - 5 END AS amount, CASE WHEN i % 7 > 0 THEN ['paid', 'open', 'Late'][i * i % 3 + 1] END AS status
  FROM range(90) t(i);
"""
ROUNDS, EACH = int(os.environ.get("ROUNDS", "12")), 40
REFUSALS = {"NON_ADDITIVE_AGGREGATION", "UNSUPPORTED_SQL_FEATURE", "AGGREGATION_MISMATCH"}


@dataclass(frozen=True)
class Pair:
    """The same statement on the model and on the extracted table."""

    semantic: str
    naive: str


class Drawer:
    """Draws statements."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def statement(self) -> Pair:
        draw = self._random.choice(
            [
                self.plain,
                self.plain,
                self.star,
                self.listed,
                self.listed,
                self.layered,
                self.layered,
                self.top,
                self.union,
            ]
        )
        return draw()

    # parts

    def dimension(self) -> str:
        return self._random.choice(
            ['"Country"', '"Status"', '"Customer"', '"Day"', 'UPPER("Status")', "DATE_TRUNC('month', \"Day\")",
             "DATE_TRUNC('year', \"Day\")", 'EXTRACT(YEAR FROM "Day")', "COALESCE(\"Country\", '-')",
             "CASE WHEN \"Country\" IN ('US', 'DE') THEN 'west' ELSE 'else' END", 'LEFT("Status", 1)', 'QUARTER("Day")',
             "TO_CHAR(\"Day\", 'YYYY-MM')"]
        )  # fmt: skip

    def dimensions(self, most: int = 3) -> list[str]:
        found = [self.dimension() for _ in range(self._random.randint(0, most))]
        return list(dict.fromkeys(found))

    def measure(self) -> Pair:
        name = self._random.choice(['"Revenue"', '"Orders N"'])
        condition = self.condition(1)
        semantic, naive = self._random.choice(
            [
                (name, f"SUM({name})"),
                (f"MEASURE({name})", f"SUM({name})"),
                (f"SUM({name})", f"SUM({name})"),
                (f"SUM(CASE WHEN {condition} THEN {name} END)",) * 2,
                (f"SUM({name}) FILTER (WHERE {condition})",) * 2,
                (f"SUM(CASE WHEN {condition} THEN {name} ELSE 0 END)",) * 2,
                (f"SUM({name}) * 2 - COALESCE(SUM({name}), 0)",) * 2,
                ("COUNT(*)", 'SUM("Orders N")'),
                ("SUM(1)", 'SUM("Orders N")'),
            ]
        )
        # A count of no rows is 0, also under SUM; a sum of no rows is NULL.
        return Pair(semantic, f"COALESCE({naive}, 0)" if "Orders N" in naive or "ELSE 0" in naive else naive)

    @staticmethod
    def _both(text: str) -> Pair:
        return Pair(text, text)

    def condition(self, depth: int = 2) -> str:
        leaf = [
            "\"Country\" = 'US'", "\"Country\" <> 'DE'", '"Country" IS NULL', "\"Status\" IN ('paid', 'open')",
            "\"Status\" NOT IN ('paid', NULL)", "\"Status\" LIKE 'p%'", "\"Status\" NOT ILIKE 'l%'", '"Status" IS NOT NULL',
            "\"Day\" >= DATE '2024-06-01'", "\"Day\" BETWEEN '2024-03-01' AND '2024-12-31'", 'EXTRACT(YEAR FROM "Day") = 2025',
            "DATE_TRUNC('month', \"Day\") = DATE '2024-05-01'", "(\"Country\" = 'FR') IS NOT TRUE",
            "\"Country\" IS DISTINCT FROM 'US'", "(\"Country\", \"Status\") IN (('US', 'paid'), ('DE', 'open'))",
            "LOWER(\"Status\") = 'late'", "LENGTH(\"Status\") > 3", "NULL", "1 = 1", "\"Day\" BETWEEN SYMMETRIC '2025-01-01' AND '2024-04-01'",
        ]  # fmt: skip
        if depth == 0 or self._random.random() < 0.4:
            return self._random.choice(leaf)
        match self._random.randrange(3):
            case 0:
                return f"NOT ({self.condition(depth - 1)})"
            case 1:
                return f"({self.condition(depth - 1)} AND {self.condition(depth - 1)})"
            case _:
                return f"({self.condition(depth - 1)} OR {self.condition(depth - 1)})"

    def where(self) -> str:
        return f" WHERE {self.condition()}" if self._random.random() < 0.6 else ""

    def having(self) -> Pair:
        if self._random.random() < 0.7:
            return Pair("", "")
        text = self._random.choice(
            ['SUM("Revenue") > 40', 'SUM("Orders N") BETWEEN 2 AND 9', 'NOT SUM("Revenue") <= 10']
        )
        return self._both(f" HAVING {text}")

    # shapes

    def _grouped(self, dimensions: list[str], source: Pair, where: str, *, bare: bool = False) -> Pair:
        measures = [self.measure() for _ in range(self._random.randint(1, 3))]
        if not bare:  # a wrapper that lists its columns has rows
            measures = [self._both(self._random.choice(['SUM("Revenue")', 'SUM("Revenue") + 1']))]
        shown = [*dimensions, *(m.semantic for m in measures)]
        naive = [*dimensions, *(m.naive for m in measures)]
        group = f" GROUP BY {', '.join(dimensions)}" if dimensions else ""
        having = self.having() if dimensions else Pair("", "")
        return Pair(
            f"SELECT {self._aliased(shown)} FROM {source.semantic}{where}{group}{having.semantic}",
            f"SELECT {self._aliased(naive)} FROM {source.naive}{where}{group}{having.naive}",
        )

    @staticmethod
    def _aliased(parts: list[str]) -> str:
        return ", ".join(f"{part} AS c{number}" for number, part in enumerate(parts))

    def plain(self) -> Pair:
        return self._grouped(self.dimensions(), Pair("drawn", "extracted"), self.where(), bare=True)

    def star(self) -> Pair:
        inner = self.where()
        source = Pair(f"(SELECT * FROM drawn.model{inner}) t", f"(SELECT * FROM extracted{inner}) t")
        return self._grouped(self.dimensions(), source, self.where(), bare=True)

    def listed(self) -> Pair:
        """A wrapper of columns: its rows are the groups of what it lists."""
        every = '"Country", "Status", "Customer", "Day"'
        where = self.where()
        extra = self._random.choice(["", ' AND "Revenue" > 20', ' AND "Revenue" IS NOT NULL']) if where else ""
        having = extra.replace("AND", "HAVING").replace('"Revenue"', 'SUM("Revenue")')
        source = Pair(
            f'(SELECT {every}, "Revenue", "Orders N" FROM drawn{where}{extra}) t',
            f'(SELECT {every}, SUM("Revenue") AS "Revenue", SUM("Orders N") AS "Orders N" FROM extracted{where} GROUP BY {every}{having}) t',
        )
        return self._grouped(self.dimensions(2), source, self.where())

    def layered(self) -> Pair:
        """Rows of a grouped sub-select, or of a CTE, aggregated again."""
        inner = self._grouped(
            ['"Country"', self.dimension(), '"Status"'], Pair("drawn", "extracted"), self.where(), bare=True
        )
        outer = self._random.choice(
            ["c0 AS g, SUM(c3) AS s, COUNT(*) AS n, MAX(c3) AS m FROM t GROUP BY c0", "AVG(c3) AS a, COUNT(c3) AS n FROM t",
             "c2 AS g, c3 * 2 AS d FROM t WHERE c3 > 5", "c0 AS g, COUNT(DISTINCT c2) AS n FROM t GROUP BY 1",
             "c0 AS g, MIN(c3) AS n FROM t GROUP BY c0 HAVING COUNT(*) > 1"]
        )  # fmt: skip
        if self._random.random() < 0.5:
            return Pair(f"WITH t AS ({inner.semantic}) SELECT {outer}", f"WITH t AS ({inner.naive}) SELECT {outer}")
        where = outer.replace("FROM t", "FROM ({}) t")
        return Pair("SELECT " + where.format(inner.semantic), "SELECT " + where.format(inner.naive))

    def top(self) -> Pair:
        """The groups of the largest countries."""
        count = self._random.randint(1, 3)
        best = (
            'SELECT "Country" FROM {} WHERE "Country" IS NOT NULL GROUP BY "Country" ORDER BY SUM("Revenue") DESC, 1 '
            f"LIMIT {count}"
        )
        negated = self._random.choice(["", "NOT "])
        where = self.where() or " WHERE 1 = 1"
        dimensions = list(dict.fromkeys(['"Country"', *self.dimensions(2)]))
        semantic = self._grouped(
            dimensions, Pair("drawn", "extracted"), f'{where} AND "Country" {negated}IN (@)', bare=True
        )
        return Pair(
            semantic.semantic.replace("@", best.format("drawn")), semantic.naive.replace("@", best.format("extracted"))
        )

    def union(self) -> Pair:
        one, two = (self._grouped(['"Country"'], Pair("drawn", "extracted"), self.where(), bare=True) for _ in range(2))
        cut = "SELECT c0, c1 FROM ({}) a UNION ALL SELECT c0, c1 FROM ({}) b"
        return Pair(cut.format(one.semantic, two.semantic), cut.format(one.naive, two.naive))


@pytest.fixture(scope="module")
def drawn() -> SqlCatalog:
    model = load_model(MODEL).model
    assert model is not None
    return SqlCatalog("sagitta", {"drawn": model})


@pytest.fixture(scope="module")
def extracted(drawn: SqlCatalog) -> Iterator[duckdb.DuckDBPyConnection]:
    sql, _ = compiled('SELECT "Country", "Customer", "Day", "Status", "Revenue", "Orders N" FROM drawn', drawn)
    with duckdb.connect() as connection:
        connection.execute(DATA)
        connection.execute(f"CREATE TABLE extracted AS {sql}")
        yield connection


NOTHING = [Counter([values]) for many in (1, 2, 3) for values in itertools.product((None, 0.0), repeat=many)]
SPELLED = {
    "TO_CHAR(\"Day\", 'YYYY-MM')": "STRFTIME(\"Day\", '%Y-%m')",
    "BETWEEN SYMMETRIC '2025-01-01' AND '2024-04-01'": "BETWEEN '2024-04-01' AND '2025-01-01'",
    "(\"Country\", \"Status\") IN (('US', 'paid'), ('DE', 'open'))":
        "((\"Country\" = 'US' AND \"Status\" = 'paid') OR (\"Country\" = 'DE' AND \"Status\" = 'open'))",
}  # fmt: skip
"""What DuckDB spells otherwise, or compares by rules of its own (NULLs inside rows)."""


def spelled(sql: str) -> str:
    for ours, duckdbs in SPELLED.items():
        sql = sql.replace(ours, duckdbs)
    return sql


def counted(database: duckdb.DuckDBPyConnection, sql: str) -> Counter[tuple[object, ...]]:
    return Counter(tuple(_plain(value) for value in row) for row in database.sql(sql).fetchall())


def _plain(value: object) -> object:
    if isinstance(value, float | Decimal):
        return round(float(value), 6)
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return str(value)[:10] if hasattr(value, "year") else value


def translated(sql: str, catalog: SqlCatalog) -> str | None:
    """The SQL on the tables; None for a refusal that says what the statement should be instead."""
    try:
        return compiled(sql, catalog)[0]
    except CompileError as error:
        if {found.code for found in error.diagnostics} <= REFUSALS:
            return None
        raise


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_drawn_sql_is_right_or_refused(seed: int, drawn: SqlCatalog, extracted: duckdb.DuckDBPyConnection) -> None:
    drawer, refusals = Drawer(seed), 0
    for _ in range(EACH):
        pair = drawer.statement()
        if (sql := translated(pair.semantic, drawn)) is None:
            refusals += 1
            continue
        got, wanted = counted(extracted, sql), counted(extracted, spelled(pair.naive))
        is_empty = not got and wanted in NOTHING  # a WHERE that is never true gives no rows, also without groups
        assert is_empty or got == wanted, f"{pair.semantic}\n{pair.naive}\n{sql}"
    assert refusals <= EACH // 4
