"""The worked examples of the model language, compiled and run on DuckDB: the answers are written by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from sagitta_compiler import CompileError, load_model, read_query
from sagitta_compiler.compile import compile_query

VECTORS = yaml.safe_load((Path(__file__).parents[2] / "oracle" / "cases" / "vectors.yaml").read_text(encoding="utf-8"))
CASES = VECTORS["cases"]


@pytest.fixture(scope="module")
def shop() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for name, table in VECTORS["tables"].items():
        columns = ", ".join(f"{column} {kind}" for column, kind in table["columns"].items())
        connection.execute(f"CREATE TABLE {name} ({columns})")
        marks = ", ".join("?" * len(table["columns"]))
        connection.executemany(f"INSERT INTO {name} VALUES ({marks})", table["rows"])
    return connection


def same(found: Any, wanted: Any) -> bool:
    if found is None or wanted is None or isinstance(wanted, str):
        return str(found) == str(wanted)
    try:
        return abs(float(found) - float(wanted)) < 5e-7
    except TypeError:
        return str(found) == str(wanted)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"][:60])
def test_the_answer_is_the_one_worked_out_by_hand(case: dict[str, Any], shop: duckdb.DuckDBPyConnection) -> None:
    model = load_model(_merged(case)).model
    assert model is not None
    query, _ = read_query(case["query"])
    if case.get("refused"):
        assert query is not None
        with pytest.raises(CompileError) as refusal:
            compile_query(model, query)
        assert {d.code for d in refusal.value.diagnostics} & set(case["refused"])
        return
    assert query is not None
    rows = shop.sql(compile_query(model, query).sql).fetchall()
    left = [list(row) for row in case["rows"]]
    for row in rows:
        match = [want for want in left if len(want) == len(row) and all(map(same, row, want))]
        assert match, f"{row} is not expected: {left}"
        left.remove(match[0])
    assert not left


def test_there_are_49_and_none_twice() -> None:
    numbers = Counter(case["name"].split()[0] for case in CASES)
    assert sorted(numbers) == [f"v{at:02}" for at in range(1, 50)]
    assert set(numbers.values()) == {1}


def _merged(case: dict[str, Any]) -> dict[str, Any]:
    model = dict(VECTORS["model"])
    for section, names in case.get("model", {}).items():
        model[section] = {**model.get(section, {}), **names}
    return model
