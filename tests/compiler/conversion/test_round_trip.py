"""OBML to OSI and back is the same model; what is changed on the way takes effect."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle.corpus import Entry, read_corpus
from sagitta_compiler import load_model
from sagitta_compiler.conversion import obml_to_osi, osi_to_obml
from sagitta_compiler.conversion.reading import read_mapping

from .models import EVERYTHING, SALES

TPCH = Path(__file__).parents[3] / "server/sagitta_server/demo/tpch.yaml"


def there_and_back(text: str) -> Any:
    return read_mapping(osi_to_obml(obml_to_osi(text).output_yaml).output_yaml)


@pytest.mark.parametrize("text", [SALES, EVERYTHING, TPCH.read_text()], ids=["sales", "everything", "tpch"])
def test_a_model_comes_back_as_it_was(text: str) -> None:
    assert there_and_back(text) == read_mapping(text)


def test_the_way_back_has_nothing_to_warn_of() -> None:
    back = osi_to_obml(obml_to_osi(SALES).output_yaml)
    assert back.warnings == ()
    assert back.validation.schema_valid
    assert back.validation.semantic_valid
    assert back.input_validation is not None
    assert back.input_validation.schema_valid


def test_a_second_journey_changes_nothing() -> None:
    once = obml_to_osi(SALES).output_yaml
    assert obml_to_osi(osi_to_obml(once).output_yaml).output_yaml == once


def edited(change: Any) -> tuple[Any, tuple[str, ...]]:
    root = yaml.safe_load(obml_to_osi(SALES).output_yaml)
    change(root["semantic_model"][0])
    back = osi_to_obml(yaml.safe_dump(root))
    return yaml.safe_load(back.output_yaml), back.warnings


def metric(model: Any, name: str) -> Any:
    (found,) = (each for each in model["metrics"] if each["name"] == name)
    return found


def test_an_edited_description_and_synonym_take_effect() -> None:
    def change(model: Any) -> None:
        metric(model, "Revenue")["description"] = "Money in."
        metric(model, "Revenue")["ai_context"]["synonyms"].append("sales")

    model, warnings = edited(change)
    assert model["measures"]["Revenue"]["description"] == "Money in."
    assert model["measures"]["Revenue"]["synonyms"] == ["turnover", "sales"]
    assert warnings == ()


def test_edited_sql_wins_over_what_the_extension_kept() -> None:
    def change(model: Any) -> None:
        metric(model, "Paid")["expression"]["dialects"][0]["expression"] = "AVG(Orders.Net)"
        metric(model, "Revenue")["expression"]["dialects"][0]["expression"] = "SUM(Orders.AMOUNT) / 2"

    model, warnings = edited(change)
    assert model["measures"]["Paid"] == {
        "aggregation": "avg",
        "columns": [{"dataObject": "Orders", "column": "Net"}],
    }
    assert model["metrics"]["Revenue"]["type"] == "derived"
    assert model["metrics"]["Revenue"]["expression"].endswith("/ 2")
    assert model["metrics"]["Revenue"]["format"] == "#,##0.00"
    assert sum("its SQL was changed" in warning for warning in warnings) == 2


def test_an_edited_formula_of_a_field_wins() -> None:
    def change(model: Any) -> None:
        (orders,) = (each for each in model["datasets"] if each["name"] == "Orders")
        (net,) = (each for each in orders["fields"] if each["name"] == "Net")
        net["expression"]["dialects"][0]["expression"] = "AMOUNT * 0.9"

    model, warnings = edited(change)
    assert model["dataObjects"]["Orders"]["columns"]["Net"]["expression"] == "{[Orders].[Amount]} * 0.9"
    assert any("Net" in warning for warning in warnings)


def test_removed_and_added_parts_are_gone_and_there() -> None:
    def change(model: Any) -> None:
        model["metrics"] = [each for each in model["metrics"] if each["name"] != "Rank"]
        model["relationships"].pop()
        model["metrics"].append({
            "name": "Cheapest",
            "expression": {"dialects": [{"dialect": "ANSI_SQL", "expression": "MIN(Orders.AMOUNT)"}]},
        })  # fmt: skip

    model, _ = edited(change)
    assert "Rank" not in model["metrics"]
    assert len(model["dataObjects"]["Orders"]["joins"]) == 1
    assert model["measures"]["Cheapest"]["aggregation"] == "min"


NAMES = st.text(
    st.characters(codec="utf-8", categories=("L", "N"), include_characters=" -_.'"), min_size=1, max_size=12
)
CLEAN = NAMES.map(str.strip).filter(bool)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=20)
AGGREGATIONS = st.sampled_from(["sum", "count_distinct"])
TYPES = st.sampled_from(["string", "json", "int", "float", "date", "time", "time_tz", "timestamp", "boolean"])


def present(**choices: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=choices)


ABOUT: dict[str, st.SearchStrategy[Any]] = {
    "description": TEXTS,
    "owner": TEXTS,
    "synonyms": st.lists(CLEAN, max_size=2),
    "customExtensions": st.lists(
        st.fixed_dictionaries({"vendor": st.sampled_from(["ACME", "OSI", "ORIONBELT", "COMMON"]), "data": TEXTS}),
        max_size=2,
    ),
}


@st.composite
def models(draw: st.DrawFn) -> dict[str, Any]:
    objects: dict[str, Any] = {}
    for label in draw(st.lists(CLEAN, min_size=1, max_size=3, unique_by=str.casefold)):
        columns = {}
        for name in draw(st.lists(CLEAN, min_size=1, max_size=4, unique=True)):
            kinds = {"code": NAMES, "comment": TEXTS, "primaryKey": st.booleans(), "sqlType": TEXTS}
            columns[name] = {"abstractType": draw(TYPES)} | draw(present(**kinds, **ABOUT))
        table = {"code": draw(CLEAN)} | draw(present(database=NAMES, schema=NAMES, comment=TEXTS, **ABOUT))
        objects[label] = table | {"columns": columns}
    refs = [{"dataObject": label, "column": column} for label, each in objects.items() for column in each["columns"]]
    names = iter(draw(st.lists(CLEAN, min_size=9, max_size=9, unique=True)))
    labels = list(objects)
    for source, target in pairwise(labels):
        join = {
            "joinType": draw(st.sampled_from(["many-to-one", "one-to-one", "many-to-many"])),
            "joinTo": target,
            "columnsFrom": [next(iter(objects[source]["columns"]))],
            "columnsTo": [next(iter(objects[target]["columns"]))],
        }
        objects[source]["joins"] = [join | draw(present(required=st.booleans()))]
        if draw(st.booleans()):
            objects[source]["joins"].append(join | {"secondary": True, "pathName": draw(CLEAN)})
    dimensions = {
        next(names): draw(st.sampled_from(refs)) | draw(present(resultType=TYPES, format=TEXTS, **ABOUT))
        for _ in range(draw(st.integers(0, 3)))
    }
    measures = {
        next(names): {
            "columns": [draw(st.sampled_from(refs))],
            "aggregation": draw(st.sampled_from(["sum", "count_distinct"])),
        }
        | draw(present(total=st.booleans(), defaultValue=st.integers(), resultType=TYPES, format=TEXTS, **ABOUT))
        for _ in range(draw(st.integers(1, 3)))
    }
    metrics = {
        next(names): {"expression": f"{{[{draw(st.sampled_from(sorted(measures)))}]}} * 2"} | draw(present(**ABOUT))
        for _ in range(draw(st.integers(0, 2)))
    }
    head = draw(present(version=st.just(1.0), description=TEXTS, owner=TEXTS, exposeCounts=st.booleans()))
    sections = {"dimensions": dimensions, "measures": measures, "metrics": metrics}
    return head | {"dataObjects": objects} | sections


@settings(max_examples=60, deadline=None)
@given(models())
def test_any_model_comes_back_as_it_was(model: dict[str, Any]) -> None:
    text = json.dumps(model)
    if load_model(text).model is None:
        return
    conversion = obml_to_osi(text)
    assert conversion.validation.schema_errors == ()
    assert there_and_back(text) == model


@pytest.mark.parametrize("entry", list(read_corpus()), ids=lambda entry: entry.name)
def test_the_models_of_the_corpus_come_back_as_they_were(entry: Entry) -> None:
    if load_model(entry.case.model).model is not None:
        text = json.dumps(entry.case.model)
        assert obml_to_osi(text).validation.schema_errors == ()
        assert there_and_back(text) == json.loads(text)
