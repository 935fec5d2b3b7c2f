"""Other engines give the evaluator's answers too: the corpus, the golden queries and every feature of the matrix."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
import yaml
from oracle.corpus import read_corpus
from oracle.engines import ClickHouse, Engine, Postgres, Spark, SQLite
from oracle.judge import Outcome, Verdict, describe, judge
from oracle.matrix import SETTLED, cell, features
from oracle.queries import Case
from sagitta_compiler import CompileContext, compile_query, load_model, read_query
from sagitta_compiler.sql.dialects import DIALECTS
from server.execution.postgres import start_postgres

GOLDEN = Path(__file__).parents[1] / "golden"
ENGINES = ("sqlite", "postgres", "clickhouse", "spark")
LACKING = {"UNSUPPORTED_AGGREGATION", "UNSUPPORTED_NESTED_ACCESS"}
"""What an engine may lack altogether, and says so."""

pytestmark = [
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas"),
    pytest.mark.timeout(900),
]


def golden_cases() -> Iterator[tuple[str, Case]]:
    """The golden queries with their tables, which DuckDB makes of their data."""
    for folder in sorted(path.parent for path in GOLDEN.glob("*/model.yaml")):
        model = yaml.safe_load((folder / "model.yaml").read_text(encoding="utf-8"))
        connection = duckdb.connect()
        connection.execute((folder / "data.sql").read_text(encoding="utf-8"))
        tables = {}
        for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            table = connection.table(f'"{name}"')
            types = {column: str(kind) for column, kind in zip(table.columns, table.types, strict=True)}
            tables[name] = {"columns": types, "rows": [list(row) for row in table.fetchall()]}
        for path in sorted(folder.glob("cases/*/query.yaml")):
            query = yaml.safe_load(path.read_text(encoding="utf-8"))
            yield f"golden: {path.parent.name}", Case(model, tables, query)


def all_cases() -> Iterator[tuple[str, Case]]:
    yield from ((entry.name, entry.case) for entry in read_corpus())
    yield from golden_cases()
    yield from ((feature.title, cell((feature,))) for feature in features())


@contextmanager
def _opened(name: str, folder: Path) -> Iterator[Engine]:
    """The engine, or a skip that says what is missing."""
    if name == "sqlite":
        yield SQLite()
    elif name == "postgres":
        server = start_postgres(folder)
        if server is None:
            pytest.skip("PostgreSQL is not installed")
        try:
            yield Postgres(server.uri)
        finally:
            server.stop()
    elif name == "clickhouse":
        pytest.importorskip("chdb", reason="chdb (ClickHouse) has no wheel for this platform")
        yield ClickHouse()
    else:
        if importlib.util.find_spec("pyspark") is None or shutil.which("java") is None:
            pytest.skip("`make dialects` installs pyspark; it needs a Java")
        yield Spark()


def _is_right(outcome: Outcome, dialect: str) -> bool:
    if outcome.verdict is Verdict.REFUSED_ALONE:
        return set(outcome.codes) <= LACKING and (
            bool(DIALECTS[dialect].unsupported) or outcome.codes == ("UNSUPPORTED_NESTED_ACCESS",)
        )
    return outcome.verdict in SETTLED


_VIEW = """CREATE VIEW main.metrics WITH METRICS LANGUAGE YAML AS $$
version: 0.1
source: main.sold
dimensions: [{name: kind, expr: kind}]
measures: [{name: Total, expr: SUM(amount)}]
$$"""
_METRICS = {
    "version": 1.0,
    "dataObjects": {
        "Sold": {"code": "metrics", "schema": "main", "columns": {"Kind": {"code": "kind", "abstractType": "string"}}}
    },
    "dimensions": {"Kind": {"dataObject": "Sold", "column": "Kind", "resultType": "string"}},
    "measures": {"Total": {"aggregation": "measure"}},
    "metrics": {"Double": {"expression": "{[Total]} * 2"}},
}


def test_a_measure_of_the_warehouse_is_what_its_metric_view_says(tmp_path: Path) -> None:
    with _opened("spark", tmp_path) as engine:
        columns = {"kind": "VARCHAR", "amount": "DOUBLE"}
        engine.load({"sold": {"columns": columns, "rows": [["a", 2.0], ["b", 3.0], ["a", 5.0]]}})
        engine.run(_VIEW)
        model = load_model(_METRICS).model
        assert model is not None
        select = {"dimensions": ["Kind"], "measures": ["Total", "Double"]}
        having = [{"field": "Total", "op": "gt", "value": 4}]
        query, _ = read_query({"select": select, "having": having})
        assert query is not None
        assert engine.run(compile_query(model, query, CompileContext("spark")).sql)[1] == [("a", 7.0, Decimal("14.00"))]
        engine.close()


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_gives_the_rows_of_the_evaluator(name: str, tmp_path: Path) -> None:
    with _opened(name, tmp_path) as engine:
        wrong, equal = [], 0
        for title, case in all_cases():
            outcome = judge(case, engine)
            equal += outcome.verdict is Verdict.EQUAL
            if not _is_right(outcome, name):
                wrong.append(f"{title}\n{describe(outcome)}")
        engine.close()
        assert not wrong, f"{len(wrong)} differ\n\n" + "\n\n".join(wrong[:5])
        assert equal > 330
