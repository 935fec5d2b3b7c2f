"""Every case: the plan and the SQL of some dialects as kept, and rows that a hand-written statement confirms.

`pytest tests/golden --snapshot-update` writes `plan.txt`, `<dialect>.sql` and `rows.csv` anew; `reference.sql` is
written by hand and never touched.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

import duckdb
import pytest
import sqlglot
import yaml
from sagitta_compiler import CompileContext, CompiledQuery, load_model, read_query
from sagitta_compiler.compile import compile_query
from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.sql.dialects import DIALECTS

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*/cases/*/query.yaml"))
KEPT = ("duckdb", "postgres", "snowflake", "bigquery")


def model_of(folder: Path) -> ResolvedModel:
    loaded = load_model((folder / "model.yaml").read_text(encoding="utf-8"))
    assert loaded.model is not None, loaded.diagnostics
    return loaded.model


def compiled(case: Path, dialect: str) -> CompiledQuery:
    query, diagnostics = read_query(yaml.safe_load(case.read_text(encoding="utf-8")))
    assert query is not None, diagnostics
    return compile_query(model_of(case.parents[2]), query, CompileContext(dialect=dialect))


def database(folder: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute((folder / "data.sql").read_text(encoding="utf-8"))
    return connection


def as_csv(columns: list[str], rows: list[tuple[object, ...]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([["∅" if cell is None else cell for cell in row] for row in rows])
    return out.getvalue()


def pretty(sql: str, dialect: str) -> str:
    return sqlglot.parse_one(sql, dialect=dialect).sql(dialect=dialect, pretty=True) + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.parent.name)
def test_the_rows_are_those_of_the_statement_written_by_hand(case: Path) -> None:
    connection = database(case.parents[2])
    rows = connection.sql(compiled(case, "duckdb").sql).fetchall()
    reference = connection.sql((case.parent / "reference.sql").read_text(encoding="utf-8")).fetchall()
    assert rows == reference


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.parent.name)
def test_plan_sql_and_rows_are_as_kept(case: Path, pytestconfig: pytest.Config) -> None:
    answer = compiled(case, "duckdb")
    result = database(case.parents[2]).execute(answer.sql)
    columns = [column[0] for column in result.description or []]
    found = {"plan.txt": answer.explain.tree + "\n", "rows.csv": as_csv(columns, result.fetchall())}
    found |= {f"{dialect}.sql": pretty(compiled(case, dialect).sql, dialect) for dialect in KEPT}
    for name, text in found.items():
        path = case.parent / name
        if pytestconfig.getoption("update_snapshots"):
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text, f"{path.name} has changed: --snapshot-update accepts it"


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@pytest.mark.parametrize("case", CASES, ids=lambda path: path.parent.name)
def test_every_dialect_can_read_its_sql(case: Path, dialect: str) -> None:
    sqlglot.parse_one(compiled(case, dialect).sql, dialect=dialect)


def test_columns_are_described_in_the_order_of_the_result() -> None:
    for case in CASES:
        answer = compiled(case, "duckdb")
        result = database(case.parents[2]).execute(answer.sql)
        assert [column.name for column in answer.columns] == [column[0] for column in result.description or []]
