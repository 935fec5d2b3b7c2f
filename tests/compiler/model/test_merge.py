"""Several files become one model, and nothing is lost from any of them."""

from __future__ import annotations

from sagitta_compiler import LoadedModel, load_model
from sagitta_compiler.model.load import MAX_FRAGMENTS
from sagitta_compiler.model.merge import collect_files

BASE = """
version: 1.0
name: base
description: The base
owner: team-a
settings: {defaultTimezone: UTC, weekStart: monday}
customExtensions: [{vendor: a, data: "1"}]
dataObjects:
  Orders: {code: orders, columns: {Id: {abstractType: int}, Status: {}, Amount: {abstractType: float}}}
dimensions: {Status: {dataObject: Orders, column: Status}}
measures: {Revenue: {columns: [{dataObject: Orders, column: Amount}]}}
metrics: {Half: {expression: "{[Revenue]} / 2"}}
filters: [{dataObject: Orders, column: Amount, operator: gte, value: 0}]
examples: [{name: one, description: First, query: {select: {measures: [Revenue]}}}]
"""
MORE = """
description: More
settings: {weekStart: sunday, defaultDialect: duckdb}
customExtensions: [{vendor: b, data: "2"}]
dimensions: {Order: {dataObject: Orders, column: Id, resultType: int}}
measures:
  Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: avg}
  Orders: {columns: [{dataObject: Orders, column: Id}], aggregation: count}
metrics: {Double: {expression: "{[Revenue]} * 2"}}
filters: [{dataObject: Orders, column: Status, operator: "=", value: paid}]
examples: [{name: two, description: Second, query: {select: {measures: [Orders]}}}]
"""


def check_union(loaded: LoadedModel) -> None:
    model = loaded.model
    assert model is not None, loaded.errors
    assert list(model.dimensions) == ["Status", "Order"]
    assert model.measures["Revenue"].aggregation == "avg"
    assert {"Revenue", "Orders"} <= model.measures.keys()
    assert list(model.metrics) == ["Half", "Double"]
    assert len(model.filters) == 2
    assert [e.name for e in model.examples] == ["one", "two"]
    assert [e.vendor for e in model.about.custom_extensions] == ["a", "b"]
    assert (model.settings.default_timezone, model.settings.week_start) == ("UTC", "sunday")
    assert model.settings.default_dialect == "duckdb"
    assert (model.about.description, model.about.owner) == ("More", "team-a")
    messages = " ".join(d.message for d in loaded.warnings)
    assert {d.code for d in loaded.diagnostics} == {"MERGE_WARNING"}
    assert "'Revenue'" in messages
    assert "'weekStart'" in messages
    assert "'description'" in messages
    assert len(loaded.warnings) == 3


def test_a_fragment_adds_and_overrides_with_a_warning() -> None:
    loaded = load_model(BASE, extends=[MORE])

    check_union(loaded)
    assert loaded.model is not None
    assert loaded.model.name == "base"
    assert loaded.model.extends == ("inline:0",)


def test_a_child_adds_and_overrides_with_a_warning() -> None:
    loaded = load_model("name: child\n" + MORE, inherits=load_model(BASE))

    check_union(loaded)
    assert loaded.model is not None
    assert loaded.model.name == "child"
    assert loaded.model.inherits == "base"


def test_a_parent_file_is_found() -> None:
    loaded = load_model("inherits: ../base.yaml\n" + MORE, files={"../base.yaml": BASE})

    check_union(loaded)


def test_later_fragments_win() -> None:
    last = "measures: {Revenue: {columns: [{dataObject: Orders, column: Amount}], aggregation: max}}"
    loaded = load_model(BASE, extends=[MORE, last])

    assert loaded.model is not None
    assert loaded.model.measures["Revenue"].aggregation == "max"


def test_the_model_s_own_files_come_before_inline_fragments() -> None:
    loaded = load_model("extends: [a/more.yaml]\n" + BASE, extends=["owner: team-b"], files={"a/more.yaml": MORE})

    assert loaded.model is not None
    assert loaded.model.extends == ("a/more.yaml", "inline:0")
    assert loaded.model.about.owner == "team-b"


def test_a_mistake_in_a_fragment_is_placed_in_the_fragment() -> None:
    loaded = load_model(BASE, extends=["measures:\n  Wrong: {columns: [{dataObject: Orders, column: Nothing}]}\n"])

    (mistake,) = loaded.errors
    assert mistake.source == "inline:0"
    assert mistake.span is not None
    assert mistake.span.line == 2
    assert "inline:0:2:" in loaded.render(mistake)


def test_a_broken_fragment_is_a_mistake_of_the_model() -> None:
    loaded = load_model(BASE, extends=["measures: ["])

    assert loaded.model is None
    assert [d.code for d in loaded.errors] == ["YAML_PARSE_ERROR"]


def test_more_fragments_than_anybody_writes_are_not_merged() -> None:
    """Three megabytes of them took most of a minute."""
    assert load_model(BASE, extends=["owner: somebody"] * MAX_FRAGMENTS).model is not None
    refused = load_model(BASE, extends=["owner: somebody"] * (MAX_FRAGMENTS + 1))

    assert refused.model is None
    assert [(d.code, d.path) for d in refused.diagnostics] == [("YAML_SAFETY_ERROR", "extends")]
    assert "1,001 fragments" in refused.diagnostics[0].message


def test_files_are_collected_through_each_other() -> None:
    files = {
        "lib/a.yaml": "extends: [b.yaml]\nowner: a",
        "lib/b.yaml": "extends: [../c.yaml]\nowner: b",
        "c.yaml": "owner: c",
        "unused.yaml": "owner: d",
    }
    model = "extends: [lib/a.yaml, missing.yaml]\n" + BASE

    assert collect_files(model, files.get) == {k: v for k, v in files.items() if k != "unused.yaml"}


def test_files_that_name_each_other_are_collected_once() -> None:
    files = {"a.yaml": "extends: [b.yaml]", "b.yaml": "extends: [a.yaml]"}

    assert collect_files("extends: [a.yaml]", files.get) == files
