"""Queries that people may write, each with its expected outcome: rows, rows of hand-written SQL, codes, or a twin.

A case has `query` and one of
`rows` (the rows, in any order unless `ordered`), `sql` (hand-written SQL that returns the same rows),
`codes` (what refuses it) or `warnings` (what is said about it), `same_as` (another query that is read as the same one).
Warnings are compared always; `dialect` is duckdb unless it is given; the folder names the model.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pytest
from sagitta_compiler import (
    CompileContext,
    CompiledQuery,
    CompileError,
    Diagnostic,
    compile_query,
    load_model,
    query_to_dict,
    read_query,
)
from sagitta_compiler.model.resolved import ResolvedModel
from sagitta_compiler.schema import query_schema
from sagitta_compiler.source import read_document

CORPUS = Path(__file__).parents[1] / "corpus"
NOW = dt.datetime(2025, 2, 15, 12, tzinfo=dt.UTC)
LOOSER_THAN_THE_SCHEMA = {"null_options"}
"""A key without a value is read as absent; the schema guides to leaving it out."""
VALIDATOR = jsonschema.Draft202012Validator(query_schema())


def cases() -> Iterable[Any]:
    for path in sorted((CORPUS / "queries").glob("*/*.yaml")):
        for case in read_document(path.read_text()).root:
            yield pytest.param({"model": path.parent.name, **case}, id=f"{path.stem}-{case['name']}")


CASES = list(cases())


@cache
def model_of(name: str) -> ResolvedModel:
    loaded = load_model((CORPUS / "queries" / name / "model.yml").read_text())
    assert loaded.model is not None, loaded.errors
    return loaded.model


@pytest.fixture(scope="module")
def data() -> Iterable[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute((CORPUS / "queries" / "shop" / "data.sql").read_text())
        yield connection


def outcome(case: dict[str, Any], key: str = "query") -> tuple[CompiledQuery | None, tuple[Diagnostic, ...]]:
    """Reads and compiles; returns the result and every diagnostic."""
    model, written, dialect = model_of(case["model"]), case[key], case.get("dialect", "duckdb")
    query, found = read_query(written)
    if query is None:
        return None, found
    try:
        compiled = compile_query(model, query, CompileContext(dialect=dialect, now=NOW))
    except CompileError as error:
        return None, (*found, *error.diagnostics)
    return compiled, (*found, *compiled.warnings)


def plain(value: object) -> object:
    match value:
        case bool() | None | str():
            return value
        case int() | float() | Decimal():
            return round(float(value), 4)
        case dt.datetime():
            return value.date().isoformat() if value.time() == dt.time() else value.isoformat()
        case dt.date():
            return value.isoformat()
    return str(value)


def table(rows: Iterable[Iterable[object]], *, ordered: bool) -> list[tuple[object, ...]]:
    plain_rows = [tuple(plain(value) for value in row) for row in rows]
    return plain_rows if ordered else sorted(plain_rows, key=repr)


@pytest.mark.parametrize("case", CASES)
def test_a_query_has_its_outcome(case: dict[str, Any], data: duckdb.DuckDBPyConnection) -> None:
    compiled, found = outcome(case)
    codes = {d.code for d in found if d.is_error}

    assert codes == set(case.get("codes", ())), [d.message for d in found]
    assert {d.code for d in found if not d.is_error} == set(case.get("warnings", ()))
    assert all(d.hint for d in found if d.is_error), [d.message for d in found if not d.hint]
    if compiled is None:
        assert codes
        return
    if not {"rows", "sql", "same_as"} & case.keys():
        return
    ordered = case.get("ordered", False)
    rows = table(data.execute(compiled.sql).fetchall(), ordered=ordered)
    if "same_as" in case:
        twin, _ = outcome(case, "same_as")
        assert twin is not None
        assert rows == table(data.execute(twin.sql).fetchall(), ordered=ordered)
        assert read_query(case["query"])[0] == read_query(case["same_as"])[0]
    else:
        expected = case["rows"] if "rows" in case else data.execute(case["sql"]).fetchall()
        assert rows == table(expected, ordered=ordered), compiled.sql


@pytest.mark.parametrize("case", [case for case in CASES if "codes" not in case.values[0]])
def test_a_query_survives_being_written_and_read(case: dict[str, Any]) -> None:
    query, _ = read_query(case["query"])

    assert query is not None
    assert read_query(query_to_dict(query)) == (query, ())


@pytest.mark.parametrize("case", [case for case in CASES if "codes" not in case.values[0]])
def test_the_schema_accepts_what_is_read(case: dict[str, Any]) -> None:
    query, _ = read_query(case["query"])
    assert query is not None
    if not isinstance(case["query"], str) and case["name"] not in LOOSER_THAN_THE_SCHEMA:
        VALIDATOR.validate(case["query"])
    VALIDATOR.validate(query_to_dict(query))


def test_the_corpus_is_large() -> None:
    assert len(CASES) >= 200
