"""Model files that people may write, each with its expected outcome in its first line."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import pytest
from sagitta_compiler import load_model
from sagitta_compiler.schema import model_schema
from sagitta_compiler.source import read_document

MODELS = Path(__file__).parents[1] / "corpus" / "models"
INVALID = Path(__file__).parent / "diagnostics"
VALIDATOR = jsonschema.Draft202012Validator(model_schema())
LOOSER_THAN_THE_SCHEMA = {"35-empty-sections.yaml"}
NAMES = sorted(path.name for path in MODELS.glob("*.yaml"))


def expected(text: str) -> set[str]:
    """The codes that the first line announces; none for `ok` and for JSON."""
    match = re.match(r"# expect: (.+)", text)
    return set() if match is None or match[1] == "ok" else set(match[1].split(", "))


@pytest.mark.parametrize("name", NAMES)
def test_a_model_loads_as_it_says(name: str) -> None:
    text = (MODELS / name).read_text()
    loaded = load_model(text)

    assert {d.code for d in loaded.diagnostics} == expected(text), [loaded.render(d) for d in loaded.diagnostics]
    assert loaded.model is not None


@pytest.mark.parametrize("name", NAMES)
def test_a_model_read_as_a_mapping_is_the_same_model(name: str) -> None:
    text = (MODELS / name).read_text()
    document = load_model(text).document

    again = load_model(document.model_dump(mode="json", by_alias=True, exclude_unset=True))
    assert again.model == load_model(text).model


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_accepts_what_loads(name: str) -> None:
    """The schema guides an editor: it refuses keys without a value."""
    text = (MODELS / name).read_text()
    read = load_model(text).document.model_dump(mode="json", by_alias=True, exclude_unset=True)

    VALIDATOR.validate(read)
    if name not in LOOSER_THAN_THE_SCHEMA:
        VALIDATOR.validate(read_document(text).root)


@pytest.mark.parametrize("name", sorted(path.name for path in INVALID.glob("*_PARSE_ERROR.yaml")))
def test_the_schema_refuses_most_mistakes_of_shape(name: str) -> None:
    root = read_document((INVALID / name).read_text()).root
    beyond = {"METRIC_PARSE_ERROR.yaml", "REFRESH_PARSE_ERROR.yaml", "YAML_PARSE_ERROR.yaml", "FILTER_PARSE_ERROR.yaml"}

    assert VALIDATOR.is_valid(root) == (name in beyond)


def test_the_corpus_is_large() -> None:
    assert len(NAMES) + len(list(INVALID.glob("*.yaml"))) >= 100
