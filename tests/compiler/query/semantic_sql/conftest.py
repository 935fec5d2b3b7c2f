"""The shop that SQL is translated for."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from compiler.query.semantic_sql.shop import DATA, MODEL
from sagitta_compiler import load_model
from sagitta_compiler.query.semantic_sql import SqlCatalog


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(DATA)
        yield connection


@pytest.fixture(scope="module")
def catalog() -> SqlCatalog:
    model = load_model(MODEL).model
    assert model is not None
    return SqlCatalog("sagitta", {"shop": model})
