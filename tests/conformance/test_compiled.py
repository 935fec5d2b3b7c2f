"""The same questions without any server: what the compiler writes is what a person would have written."""

import datetime as dt

import duckdb
import pytest
from conformance.questions import QUESTIONS, Question
from conformance.same import assert_same_rows
from harness import tpch
from sagitta_compiler import CompileContext, ResolvedModel, compile_query, load_model, read_query


@pytest.fixture(scope="module")
def model() -> ResolvedModel:
    loaded = load_model(tpch.MODEL.read_text(encoding="utf-8"))
    assert loaded.model is not None, loaded.diagnostics
    assert loaded.diagnostics == (), "the demo's model is an example to follow"
    return loaded.model


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_compiled_query_equals_hand_written_sql(
    warehouse: duckdb.DuckDBPyConnection, model: ResolvedModel, question: Question
) -> None:
    query, diagnostics = read_query(question.query)
    assert query is not None, diagnostics
    compiled = compile_query(model, query, CompileContext("duckdb", dt.datetime(2026, 11, 21, tzinfo=dt.UTC)))
    assert_same_rows(warehouse.sql(question.reference_sql).fetchall(), warehouse.sql(compiled.sql).fetchall())


def test_examples_of_the_model_compile_and_answer(warehouse: duckdb.DuckDBPyConnection, model: ResolvedModel) -> None:
    assert model.examples
    for example in model.examples:
        query, diagnostics = read_query(dict(example.query))
        assert query is not None, (example.name, diagnostics)
        compiled = compile_query(model, query, CompileContext("duckdb", dt.datetime(2026, 11, 21, tzinfo=dt.UTC)))
        assert warehouse.sql(compiled.sql).fetchall(), example.name


def test_every_name_of_the_model_can_be_asked_for(warehouse: duckdb.DuckDBPyConnection, model: ResolvedModel) -> None:
    """Each dimension with a measure, each measure and metric with what it needs beside it."""
    dated = ["Order Date:month"]
    asked = [{"dimensions": [name], "measures": ["Revenue"]} for name in model.dimensions]
    asked += [{"dimensions": dated, "measures": [name]} for name in (*model.measures, *model.metrics)]
    for select in asked:
        query, diagnostics = read_query({"select": select, "limit": 5})
        assert query is not None, (select, diagnostics)
        compiled = compile_query(model, query, CompileContext("duckdb", dt.datetime(2026, 11, 21, tzinfo=dt.UTC)))
        assert warehouse.sql(compiled.sql).fetchall(), select
