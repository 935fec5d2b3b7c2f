"""What a model tells about itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from sagitta_compiler import CompileError, Query, ResolvedModel, compile_query, load_model, read_query
from sagitta_compiler.discovery import (
    Composable,
    composables,
    er_diagram,
    examples,
    find,
    health,
    join_graph,
    lineage,
)

SHOP = (Path(__file__).parents[1] / "corpus" / "models" / "00-shop.yaml").read_text()
EXAMPLES = """
examples:
  - {name: by_country, description: Revenue by country, intentTags: [revenue, geography],
     query: {select: {dimensions: [Country], measures: [Revenue]}}}
  - {name: orders, description: Orders, intent_tags: [orders], query: {select: {measures: [Orders N]}}}
"""


def model_of(text: str) -> ResolvedModel:
    loaded = load_model(text)
    assert loaded.model is not None, loaded.errors
    return loaded.model


@pytest.fixture(scope="module")
def shop() -> ResolvedModel:
    return model_of(SHOP)


def query(**select: object) -> Query:
    found, diagnostics = read_query({"select": select})
    assert found is not None, diagnostics
    return found


def test_lineage_of_a_metric_ends_at_physical_columns(shop: ResolvedModel) -> None:
    found = lineage(shop, "Return Rate")

    assert found is not None
    assert found.type == "metric"
    assert found.items[0].name == "Return Rate"
    assert set(found.physical_columns) == {"main.returns.amount", "main.orders.amount"}
    assert [i.name for i in found.items if i.type == "measure"] == ["Returned", "Revenue"]


def test_lineage_goes_through_computed_columns(shop: ResolvedModel) -> None:
    found = lineage(shop, "Half")

    assert found is not None
    kinds = [(i.type, i.name) for i in found.items]
    assert ("expression", "{Amount} * 0.5") in kinds
    assert found.physical_columns == ("main.orders.amount",)


def test_lineage_goes_through_unions_and_derived_objects() -> None:
    model = model_of("""
version: 1.0
dataObjects:
  Shop: {code: shop, columns: {Amount: {code: a, abstractType: float}}}
  Web: {code: web, columns: {Total: {code: t, abstractType: float}}}
  Sales:
    unionOf: [{dataObject: Shop, value: shop}, {dataObject: Web, value: web, columns: {Amount: Total}}]
    discriminator: Channel
    columns: {Amount: {abstractType: float}, Channel: {abstractType: string}}
  Channels:
    query: {select: {dimensions: [Channel], measures: [Revenue]}}
    columns: {Name: {code: Channel}, Sum: {code: Revenue, abstractType: float}}
dimensions: {Channel: {dataObject: Sales, column: Channel}}
measures:
  Revenue: {columns: [{dataObject: Sales, column: Amount}], aggregation: sum}
  Best: {columns: [{dataObject: Channels, column: Sum}], aggregation: max}
""")
    found = lineage(model, "Best")

    assert found is not None
    assert set(found.physical_columns) == {"shop.a", "web.t"}


@pytest.mark.parametrize("name", ["", "Nothing", "Orders.Nothing", "No.Such"])
def test_lineage_of_nothing_is_nothing(shop: ResolvedModel, name: str) -> None:
    assert lineage(shop, name) is None


def test_find_takes_a_part_of_a_name_and_puts_the_whole_name_first(shop: ResolvedModel) -> None:
    found = find(shop, "revenue")

    assert found.results[0].name == "Revenue"
    assert {match.match_field for match in found.results} == {"name"}
    assert found.fuzzy_matches == ()


def test_find_looks_at_synonyms_after_names() -> None:
    model = model_of(SHOP.replace("Revenue: {columns", "Revenue: {synonyms: [Turnover, Sales], columns", 1))
    found = find(model, "turnover")

    assert [(m.type, m.name, m.match_field) for m in found.results] == [("measure", "Revenue", "synonym")]


def test_find_offers_what_looks_alike_only_when_nothing_else_is_found() -> None:
    model = model_of(
        SHOP.replace("Country: {dataObject: Customers", "Customer Country: {dataObject: Customers", 1).replace(
            "[Country]", "[Customer Country]"
        )
    )
    found = find(model, "Custmr Cuntry")

    assert found.results == ()
    assert found.fuzzy_matches[0].name == "Customer Country"
    assert found.fuzzy_matches[0].reason == "trigram overlap"
    assert found.fuzzy_matches[0].score == pytest.approx(0.582, abs=0.001)


def test_find_keeps_to_the_types_asked_for(shop: ResolvedModel) -> None:
    assert {match.type for match in find(shop, "o", ["data_object"]).results} == {"data_object"}


def test_examples_match_whole_tags_then_parts_then_likeness() -> None:
    model = model_of(SHOP + EXAMPLES)

    assert [e.name for e in examples(model, "Revenue").examples] == ["by_country"]
    assert [e.name for e in examples(model, "geo").examples] == ["by_country"]
    assert [e.name for e in examples(model, "ordrs").examples] == ["orders"]
    assert len(examples(model).examples) == 2
    missing = examples(model, "foo")
    assert missing.examples == ()
    assert missing.suggestion == "no examples for 'foo'; available tags: revenue, geography, orders"


def test_composables_name_the_price(shop: ResolvedModel) -> None:
    found = composables(shop, query(dimensions=["Country"], measures=["Revenue"]))
    by_name: dict[str, Composable] = {item.name: item for item in found.items}

    assert found.anchor_objects == ("Orders",)
    assert by_name["Status"].cost.is_free
    assert by_name["Returned"].composite
    assert by_name["Returned"].cost.scans == ("Returns",)
    assert by_name["YoY"].cost.requires == ("Order Month",)
    assert not by_name["Credit"].composite
    assert "Return Day" not in by_name, "nothing in the query reaches it"
    assert "Country" not in by_name, "it is already there"


def test_composables_tell_what_is_read_through_a_root(shop: ResolvedModel) -> None:
    found = composables(shop, query(measures=["Credit"]))
    status = next(item for item in found.items if item.name == "Status")

    assert status.cost.deduplicated == ("Credit",)
    assert status.cost.joins == ("Orders",)


def test_composables_of_an_empty_query_are_everything(shop: ResolvedModel) -> None:
    names = {item.name for item in composables(shop, Query()).items}

    assert names == {*shop.dimensions, *shop.measures, *shop.metrics}


def test_the_join_graph_holds_every_join(shop: ResolvedModel) -> None:
    graph = join_graph(shop)

    assert graph.nodes == ("Customers", "Orders", "Returns")
    assert [(e.source, e.target, e.secondary) for e in graph.edges] == [
        ("Orders", "Customers", False),
        ("Orders", "Customers", True),
        ("Returns", "Customers", False),
    ]


def test_the_diagram_draws_keys_and_dots_secondary_joins(shop: ResolvedModel) -> None:
    text = er_diagram(shop)

    assert "erDiagram" in text
    assert "int Id PK" in text
    assert '"Orders" }o--|| "Customers" : "Cust"' in text
    assert '"Orders" }o..|| "Customers" : "ship_to"' in text
    assert "float" not in er_diagram(shop, show_columns=False)
    assert "javascript" not in er_diagram(shop, theme="'}}%% javascript")


def test_health_names_orphans_fan_traps_and_unreachable_dimensions() -> None:
    loaded = load_model(
        SHOP.replace(
            "dimensions:\n",
            "  Rates: {code: rates, columns: {Day: {abstractType: date}}}\ndimensions:\n"
            "  Rate Day: {dataObject: Rates, column: Day}\n",
            1,
        )
    )
    assert loaded.model is not None
    report = health(loaded.model)

    assert report.status == "warnings"
    assert report.orphan_data_objects == ("Rates",)
    assert report.unreachable_dimensions == ("Rate Day",)
    assert report.fan_trap_risks[0].tables == ("main.orders", "main.returns")
    assert report.joins == 2
    assert report.warnings_count == 3
    assert loaded.health == report


def compiles(model: ResolvedModel, query: Query) -> bool:
    try:
        compile_query(model, query)
    except CompileError:
        return False
    return True


@pytest.mark.parametrize(
    "base",
    [
        {"measures": ["Revenue"]},
        {"dimensions": ["Country"], "measures": ["Revenue"]},
        {"dimensions": ["Status"], "measures": ["Revenue"]},
        {"dimensions": ["Country"], "measures": ["Credit"]},
        {"dimensions": ["Country"], "measures": ["Revenue", "Returned"]},
        {"dimensions": ["Return Day"], "measures": ["Returned"]},
        {"dimensions": ["Country"]},
        {"dimensions": ["Order Month"], "measures": ["Running"]},
    ],
)
def test_what_composes_compiles_and_what_does_not_is_refused(shop: ResolvedModel, base: dict[str, list[str]]) -> None:
    """The compiler has the last word; the answers from the join graph must not contradict it."""
    found = composables(shop, query(**base))
    offered = {item.name: item for item in found.items}
    for name in shop.dimensions:
        if name in base.get("dimensions", []):
            continue
        more = {**base, "dimensions": [*base.get("dimensions", []), name]}
        assert compiles(shop, query(**more)) == (name in offered), name
    for name in (*shop.measures, *shop.metrics):
        if name in base.get("measures", []) or name not in offered:
            continue
        dimensions = [*base.get("dimensions", []), *offered[name].cost.requires]
        more = {"dimensions": dimensions, "measures": [*base.get("measures", []), name]}
        assert compiles(shop, query(**more)), name
