"""The examples in the documentation of the language are models and queries."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sagitta_compiler import CompileContext, LoadedModel, compile_query, load_model, read_query
from sagitta_compiler.codes import CODES
from sagitta_compiler.model.document import (
    ColumnDocument,
    DataObjectDocument,
    DimensionDocument,
    JoinDocument,
    MeasureDocument,
    MetricDocument,
    ModelDocument,
    SettingsDocument,
)
from sagitta_compiler.model.types import FilterOperator
from sagitta_compiler.query.document import QueryDocument, SelectDocument
from sagitta_compiler.source import read_document

DOCS = Path(__file__).parents[3] / "docs"
FENCE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MODEL_FENCES = FENCE.findall((DOCS / "model-language.md").read_text())
QUERY_FENCES = FENCE.findall((DOCS / "query-language.md").read_text())


def merged(base: Any, more: Any) -> Any:
    """Returns the base with more keys, lists replaced."""
    if not (isinstance(base, dict) and isinstance(more, dict)):
        return more
    return {**base, **{key: merged(base.get(key), value) for key, value in more.items()}}


def documented_model() -> LoadedModel:
    """Returns the first example with all the others added."""
    document: Any = {}
    for text in MODEL_FENCES:
        found = read_document(text)
        assert not found.diagnostics
        document = merged(document, found.root)
    return load_model(document)


def test_all_examples_of_models_make_one_model() -> None:
    loaded = documented_model()

    assert [loaded.render(d) for d in loaded.errors] == []
    assert {d.code for d in loaded.warnings} == {"ORPHAN_DATA_OBJECT"}, "Stock stands alone"


@pytest.mark.parametrize("text", QUERY_FENCES)
def test_an_example_of_a_query_compiles(text: str) -> None:
    model = documented_model().model
    assert model is not None
    query, found = read_query(text)
    assert query is not None, found

    assert compile_query(model, query, CompileContext(row_policies={})).sql


@pytest.mark.parametrize(
    "node",
    [
        *(ModelDocument, SettingsDocument, DataObjectDocument, ColumnDocument, JoinDocument, DimensionDocument),
        *(MeasureDocument, MetricDocument),
    ],
)
def test_every_key_of_a_model_is_documented(node: type[Any]) -> None:
    text = (DOCS / "model-language.md").read_text()

    assert sorted(key for key in node.known if f"`{key}`" not in text and f"`{key}:" not in text) == []


@pytest.mark.parametrize("node", [QueryDocument, SelectDocument])
def test_every_key_of_a_query_is_documented(node: type[Any]) -> None:
    text = (DOCS / "query-language.md").read_text()

    assert sorted(key for key in node.known if f"`{key}`" not in text) == []


def test_every_operator_is_documented() -> None:
    text = (DOCS / "query-language.md").read_text()

    assert sorted(operator for operator in FilterOperator if f"`{operator}`" not in text) == []


def test_every_code_named_in_the_docs_exists() -> None:
    for page in ("model-language.md", "query-language.md"):
        named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", (DOCS / page).read_text()))
        assert named - CODES.keys() == set()
