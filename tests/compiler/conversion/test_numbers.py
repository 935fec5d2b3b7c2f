"""Without our extensions a reader sees only the OSI; the numbers of what was not warned of stay the same."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from oracle.corpus import read_corpus
from oracle.database import Database
from sagitta_compiler import CompileContext, ResolvedModel, compile_query, load_model, read_query
from sagitta_compiler.conversion import obml_to_osi, osi_to_obml

CASE = next(entry.case for entry in read_corpus() if entry.name.startswith("vectors"))
CONTEXT = CompileContext(dialect="duckdb", now=dt.datetime(2026, 3, 2, tzinfo=dt.UTC))


def stripped(node: Any) -> Any:
    """The OSI text as someone else would have written it."""
    if isinstance(node, list):
        return [stripped(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: stripped(value) for key, value in node.items() if key != "custom_extensions"}


def loaded(text: str) -> ResolvedModel:
    model = load_model(text).model
    assert model is not None, load_model(text).errors
    return model


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    opened = Database()
    opened.load(CASE.tables)
    yield opened
    opened.close()


CONVERSION = obml_to_osi(json.dumps(CASE.model))
OWN = loaded(json.dumps(CASE.model))
FOREIGN = loaded(osi_to_obml(yaml.safe_dump(stripped(yaml.safe_load(CONVERSION.output_yaml)))).output_yaml)
WARNED = {name for text in CONVERSION.warnings for name in re.findall(r"^(?:Measure|Metric) '([^']+)'", text)}
NAMES = [name for name in (*CASE.model["measures"], *CASE.model["metrics"]) if name not in WARNED]


def answer(database: Database, model: ResolvedModel, dimension: str, name: str) -> list[tuple[Any, ...]]:
    query, _ = read_query({"select": {"dimensions": [dimension], "measures": [name]}})
    assert query is not None
    _, rows = database.run(compile_query(model, query, CONTEXT).sql)
    return sorted((key or "", None if value is None else round(float(value), 4)) for key, value in rows)


def test_enough_is_compared() -> None:
    assert {"Revenue", "Half", "Buyers", "Paid Revenue", "Open Default", "AOV", "Mid", "Pairs"} <= set(NAMES)
    assert {"Grand Revenue", "Running", "YoY", "Rank"} <= WARNED


@pytest.mark.parametrize("name", NAMES)
def test_a_measure_has_the_same_values_on_the_other_side(database: Database, name: str) -> None:
    country = next(
        each.name for each in FOREIGN.dimensions.values() if each.object == "Customers" and "ountry" in each.column
    )
    assert answer(database, FOREIGN, country, name) == answer(database, OWN, "Country", name)
