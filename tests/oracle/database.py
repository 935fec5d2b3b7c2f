"""DuckDB as the engine that runs what the compiler writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import duckdb

TableTexts = Mapping[str, Mapping[str, Any]]
"""Tables of a case: `{name: {columns: {name: SQL type}, rows: [[...]]}}`."""


def as_rows(tables: TableTexts) -> dict[str, list[dict[str, Any]]]:
    """Returns the tables as the evaluator reads them."""
    return {
        name: [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]] for name, table in tables.items()
    }


class Database:
    """An in-memory DuckDB that holds the tables of one case at a time."""

    dialect: ClassVar = "duckdb"
    exact: ClassVar = True
    errors = (duckdb.Error,)

    def __init__(self) -> None:
        self.connection = duckdb.connect(":memory:", config={"threads": 1})
        self._names: list[str] = []
        self._held: TableTexts | None = None

    def load(self, tables: TableTexts) -> None:
        """Replaces the tables, unless they are the ones already held."""
        if tables is self._held:
            return
        self._held = tables
        for name in self._names:
            self.connection.execute(f'DROP TABLE "{name}"')
        self._names = []
        for name, table in tables.items():
            columns = ", ".join(f'"{column}" {sql_type}' for column, sql_type in table["columns"].items())
            self.connection.execute(f'CREATE TABLE "{name}" ({columns})')
            self._names.append(name)
            self._fill(name, table["rows"])

    def _fill(self, name: str, rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        line = "(" + ", ".join("?" * len(rows[0])) + ")"
        values = [cell for row in rows for cell in row]
        self.connection.execute(f'INSERT INTO "{name}" VALUES ' + ", ".join([line] * len(rows)), values)

    def run(self, sql: str) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Returns the column names and the rows."""
        cursor = self.connection.execute(sql)
        names = tuple(column[0] for column in cursor.description or ())
        return names, cursor.fetchall()

    def close(self) -> None:
        self.connection.close()
