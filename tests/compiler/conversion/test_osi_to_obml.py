from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sagitta_compiler.conversion import Conversion, ConversionError, InvalidYamlError, obml_to_osi, osi_to_obml
from sagitta_compiler.conversion.names import join_source, split_source

from .models import SALES

RETAIL = """
version: "0.2.0.dev0"
semantic_model:
- name: retail
  description: Sales of shops.
  ai_context: {instructions: Prefer revenue., synonyms: [shop]}
  datasets:
  - name: sales
    source: wh.public.fact_sales
    primary_key: [sale_id]
    unique_keys: [[ticket, line]]
    fields:
    - {name: sale_id, expression: {dialects: [{dialect: ANSI_SQL, expression: sale_id}]}, datatype: Integer}
    - name: ticket
      expression: {dialects: [{dialect: ANSI_SQL, expression: ticket_no}]}
      datatype: String
      label: Ticket
    - {name: line, expression: {dialects: [{dialect: ANSI_SQL, expression: line}]}, datatype: Integer}
    - {name: customer_id, expression: {dialects: [{dialect: ANSI_SQL, expression: customer_id}]}, datatype: Integer}
    - {name: date_id, expression: {dialects: [{dialect: ANSI_SQL, expression: date_id}]}, datatype: Integer}
    - {name: sold_at, expression: {dialects: [{dialect: ANSI_SQL, expression: sold_at}]}, dimension: {is_time: true}}
    - {name: amount, expression: {dialects: [{dialect: ANSI_SQL, expression: amount}]}, datatype: Decimal}
    - {name: net, expression: {dialects: [{dialect: ANSI_SQL, expression: amount * (1 - tax_rate)}]}, datatype: Float}
    - {name: cube, expression: {dialects: [{dialect: MDX, expression: "[x]"}]}, datatype: String}
  - name: customer
    source: customer
    primary_key: [id]
    fields:
    - {name: id, expression: {dialects: [{dialect: ANSI_SQL, expression: id}]}, datatype: Integer}
    - name: state
      expression: {dialects: [{dialect: SNOWFLAKE, expression: "IFF(st = '', 'none', st)"}]}
      dimension: {is_time: false}
      datatype: String
  - name: date
    source: dim_date
    fields:
    - {name: date_id, expression: {dialects: [{dialect: ANSI_SQL, expression: date_id}]}, datatype: Integer}
    - {name: state, expression: {dialects: [{dialect: ANSI_SQL, expression: state}]}, dimension: {}, datatype: String}
  relationships:
  - {name: sales_to_customer, from: sales, to: customer, from_columns: [customer_id], to_columns: [id]}
  - {name: sales_to_date, from: sales, to: date, from_columns: [date_id], to_columns: [date_id]}
  - {name: delivered, from: sales, to: date, from_columns: [delivery_id], to_columns: [date_id]}
  metrics: METRICS
  custom_extensions:
  - {vendor_name: ACME, data: '{"tier": 1}'}
"""
METRICS = {
    "revenue": "SUM(sales.amount)",
    "buyers": "COUNT(DISTINCT sales.customer_id)",
    "aov": "SUM(sales.amount) / NULLIF(COUNT(sales.sale_id), 0)",
    "west": "SUM(sales.amount * 2) FILTER (WHERE customer.state = 'CA')",
    "p90": "PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY sales.amount DESC)",
    "safe": "COALESCE(MAX(sales.amount), 0)",
    "spread": "STDDEV_SAMP(net)",
    "fit": "CORR(sales.amount, sales.net)",
    "states": "LISTAGG(customer.state, '; ') WITHIN GROUP (ORDER BY customer.state)",
    "running": "SUM(SUM(sales.amount)) OVER (ORDER BY sales.sold_at)",
    "rows": "COUNT(*)",
    "nothing": "sales.amount",
    "broken": "SUM(",
}


def text(metrics: dict[str, str] = METRICS) -> str:
    written = [
        {"name": name, "expression": {"dialects": [{"dialect": "ANSI_SQL", "expression": sql}]}}
        for name, sql in metrics.items()
    ]
    return RETAIL.replace("METRICS", json.dumps(written))


@pytest.fixture(scope="module")
def conversion() -> Conversion:
    return osi_to_obml(text())


@pytest.fixture(scope="module")
def model(conversion: Conversion) -> Any:
    return yaml.safe_load(conversion.output_yaml)


def test_the_result_is_a_valid_model(conversion: Conversion) -> None:
    assert conversion.validation.schema_errors == ()
    assert conversion.validation.semantic_errors == ()
    assert conversion.input_validation is not None
    assert conversion.input_validation.schema_valid


def test_a_source_is_taken_apart(model: Any) -> None:
    sales = model["dataObjects"]["sales"]
    assert (sales["database"], sales["schema"], sales["code"]) == ("wh", "public", "fact_sales")
    assert "schema" not in model["dataObjects"]["customer"]


@pytest.mark.parametrize("parts", [("a", "b", "c"), ("", "b", "c"), ("", "", "c"), ('a "b"', "x.y", "c d")])
def test_sources_survive_the_journey(parts: tuple[str, str, str]) -> None:
    assert split_source(join_source(*parts)) == parts


@pytest.mark.parametrize("source", ["SELECT 1", "a.b.c.d", "", "a..b", '"a'])
def test_what_is_no_table_is_not_taken_apart(source: str) -> None:
    assert split_source(source) is None


def test_fields_are_columns(model: Any, conversion: Conversion) -> None:
    columns = model["dataObjects"]["sales"]["columns"]
    assert columns["sale_id"] == {"code": "sale_id", "abstractType": "int", "primaryKey": True}
    assert columns["ticket"]["code"] == "ticket_no"
    assert columns["amount"]["abstractType"] == "float"
    assert columns["net"]["expression"] == "{[sales].[amount]} * (1 - {[sales].[tax_rate]})"
    assert columns["tax_rate"] == {"code": "tax_rate", "abstractType": "float"}
    assert columns["sold_at"]["abstractType"] == "timestamp"
    state = model["dataObjects"]["customer"]["columns"]["state"]
    assert state["expression"] == "CASE WHEN {[customer].[st]} = '' THEN 'none' ELSE {[customer].[st]} END"
    assert any("'cube': no expression in SQL" in warning for warning in conversion.warnings)
    assert any("no datatype for sold_at" in warning for warning in conversion.warnings)


def test_what_only_osi_can_say_is_kept(model: Any) -> None:
    extensions = {item["vendor"]: json.loads(item["data"]) for item in model["customExtensions"]}
    assert extensions["ACME"] == {"tier": 1}
    assert extensions["OSI"]["ai_context"] == {"instructions": "Prefer revenue.", "synonyms": ["shop"]}
    (label,) = model["dataObjects"]["sales"]["columns"]["ticket"]["customExtensions"]
    assert json.loads(label["data"]) == {"obml_field_label": "Ticket"}


def test_dimensions_get_names_of_their_own(model: Any, conversion: Conversion) -> None:
    dimensions = model["dimensions"]
    assert dimensions["sold_at"] == {"dataObject": "sales", "column": "sold_at", "resultType": "timestamp"}
    assert dimensions["state"]["dataObject"] == "customer"
    assert dimensions["date state"]["dataObject"] == "date"
    assert any("'date state'" in warning for warning in conversion.warnings)


def test_relationships_are_joins(model: Any, conversion: Conversion) -> None:
    customer, date, delivered = model["dataObjects"]["sales"]["joins"]
    assert customer == {
        "joinType": "many-to-one",
        "joinTo": "customer",
        "columnsFrom": ["customer_id"],
        "columnsTo": ["id"],
    }
    assert "secondary" not in date
    assert (delivered["secondary"], delivered["pathName"]) == (True, "delivered")
    assert model["dataObjects"]["sales"]["columns"]["delivery_id"]["code"] == "delivery_id"
    expected = "Relationship 'sales_to_date': no type specified, defaulting to many-to-one."
    assert expected in conversion.warnings


@pytest.mark.parametrize(
    ("from_key", "to_key", "expected"),
    [
        ([["a"]], [["b"]], "one-to-one"),
        ([["x"]], [["b"]], "many-to-one"),
        ([], [["b"]], "many-to-one"),
        ([], [["y"]], "many-to-many"),
        ([], [], "many-to-one"),
    ],
)
def test_keys_decide_the_cardinality(from_key: list[list[str]], to_key: list[list[str]], expected: str) -> None:
    def dataset(name: str, keys: list[list[str]]) -> dict[str, Any]:
        fields = [
            {"name": each, "expression": {"dialects": [{"dialect": "ANSI_SQL", "expression": each}]}} for each in "abxy"
        ]
        return {"name": name, "source": name, "fields": fields, "unique_keys": keys}

    relationship = {"name": "r", "from": "f", "to": "t", "from_columns": ["a"], "to_columns": ["b"]}
    osi = {"name": "m", "datasets": [dataset("f", from_key), dataset("t", to_key)], "relationships": [relationship]}
    root = {"version": "0.2.0.dev0", "semantic_model": [osi]}
    result = yaml.safe_load(osi_to_obml(json.dumps(root)).output_yaml)
    assert result["dataObjects"]["f"]["joins"][0]["joinType"] == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("revenue", {"aggregation": "sum", "columns": [{"dataObject": "sales", "column": "amount"}]}),
        ("buyers", {"aggregation": "count_distinct", "columns": [{"dataObject": "sales", "column": "customer_id"}]}),
        (
            "west",
            {
                "aggregation": "sum",
                "expression": "CASE WHEN {[customer].[state]} = 'CA' THEN {[sales].[amount]} * 2 END",
            },
        ),
        (
            "p90",
            {"aggregation": "percentile", "columns": [{"dataObject": "sales", "column": "amount"}], "percentile": 0.1},
        ),
        ("safe", {"aggregation": "max", "columns": [{"dataObject": "sales", "column": "amount"}], "defaultValue": 0}),
        ("spread", {"aggregation": "stddev", "columns": [{"dataObject": "sales", "column": "net"}]}),
        (
            "states",
            {
                "aggregation": "listagg",
                "columns": [{"dataObject": "customer", "column": "state"}],
                "delimiter": "; ",
                "withinGroup": {"column": {"dataObject": "customer", "column": "state"}, "order": "ASC"},
            },
        ),
    ],
)
def test_an_aggregate_is_a_measure(model: Any, name: str, expected: dict[str, Any]) -> None:
    assert model["measures"][name] == expected


def test_a_formula_over_aggregates_is_a_metric_of_hidden_measures(model: Any) -> None:
    """A measure that is there already is taken instead of another one like it."""
    assert model["metrics"]["aov"]["expression"] == "{[revenue]} / NULLIF({[_sales_sale_id_count]}, 0)"
    assert model["measures"]["_sales_sale_id_count"]["aggregation"] == "count"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("running", "window function"),
        ("rows", "whose rows"),
        ("nothing", "does not aggregate"),
        ("broken", "cannot be read"),
    ],
)
def test_what_cannot_be_converted_is_kept_and_named(model: Any, conversion: Conversion, name: str, reason: str) -> None:
    assert name not in model["measures"]
    assert name not in model["metrics"]
    assert any(w.startswith(f"LOSSY: Metric '{name}'") and reason in w for w in conversion.warnings)
    (osi,) = (json.loads(item["data"]) for item in model["customExtensions"] if item["vendor"] == "OSI")
    assert name in {metric["name"] for metric in osi["obml_unconverted_metrics"]}


def test_osi_comes_back_with_everything_that_was_kept(conversion: Conversion) -> None:
    back = yaml.safe_load(obml_to_osi(conversion.output_yaml, model_name="retail").output_yaml)["semantic_model"][0]
    assert back["ai_context"] == {"instructions": "Prefer revenue.", "synonyms": ["shop"]}
    assert {"running", "rows", "revenue"} <= {metric["name"] for metric in back["metrics"]}
    (sales,) = (each for each in back["datasets"] if each["name"] == "sales")
    assert sales["unique_keys"] == [["ticket_no", "line"]]
    assert {field.get("label") for field in sales["fields"]} == {None, "Ticket"}
    again = osi_to_obml(obml_to_osi(conversion.output_yaml).output_yaml)
    assert yaml.safe_load(again.output_yaml) == yaml.safe_load(conversion.output_yaml)


OTHER_WRITER = r"""
version: "0.2.0.dev0"
semantic_model:
- name: m
  datasets:
  - name: Orders
    source: main.orders_table
    primary_key: [id]
    fields:
    - name: id
      expression: {dialects: [{dialect: ANSI_SQL, expression: id}]}
      datatype: Integer
      ai_context: {synonyms: [Order ID]}
      custom_extensions: [{vendor_name: ORIONBELT, data: '{"obml_field_label": "Order ID"}'}]
    - name: day
      expression: {dialects: [{dialect: ANSI_SQL, expression: day}]}
      datatype: Date
      dimension: {is_time: true}
      custom_extensions:
      - {vendor_name: COMMON, data: '{"obml_dimension_name": "Month", "obml_time_grain": "month"}'}
    - name: amount
      expression: {dialects: [{dialect: ANSI_SQL, expression: amount}]}
      datatype: Float
      custom_extensions: [{vendor_name: ORIONBELT, data: '{"obml_num_class": "additive"}'}]
    custom_extensions: [{vendor_name: ORIONBELT, data: '{"obml_owner": "me", "obml_refresh": {"mode": "static"}}'}]
  metrics:
  - name: Total
    expression: {dialects: [{dialect: ANSI_SQL, expression: SUM(orders_table.amount)}]}
    custom_extensions: [{vendor_name: ORIONBELT, data: '{"obml_aggregation": "sum", "obml_total": true}'}]
  - name: Buyers
    expression: {dialects: [{dialect: ANSI_SQL, expression: COUNT_DISTINCT(orders_table.id)}]}
  - name: Half
    expression: {dialects: [{dialect: ANSI_SQL, expression: SUM(orders_table.id) / 2}]}
    custom_extensions: [{vendor_name: ORIONBELT, data: '{"obml_metric_type": "derived", "obml_format": "0.0"}'}]
  - name: Running
    expression: {dialects: [{dialect: ANSI_SQL, expression: SUM(SUM(orders_table.amount)) OVER (ORDER BY day)}]}
    custom_extensions:
    - vendor_name: ORIONBELT
      data: '{"obml_metric_type": "cumulative", "obml_cumulative_measure": "Total", "obml_cumulative_window": 3,
        "obml_cumulative_time_dimension": "Month", "obml_cumulative_type": "sum"}'
  custom_extensions: [{vendor_name: ORIONBELT, data: '{"source_format": "OBML", "obml_owner": "us"}'}]
"""


def test_extensions_of_other_writers_are_understood() -> None:
    """They use the documented keys, but keep less: SQL fills the rest in."""
    conversion = osi_to_obml(OTHER_WRITER)
    assert conversion.validation.semantic_errors == conversion.validation.schema_errors == ()
    assert conversion.warnings == ()
    model = yaml.safe_load(conversion.output_yaml)
    orders = model["dataObjects"]["Orders"]
    assert (model["owner"], orders["owner"], orders["refresh"]) == ("us", "me", {"mode": "static"})
    assert orders["columns"]["Order ID"] == {"code": "id", "abstractType": "int", "primaryKey": True}
    assert orders["columns"]["amount"]["numClass"] == "additive"
    assert model["dimensions"]["Month"] == {"dataObject": "Orders", "column": "day", "timeGrain": "month"}
    amount = {"dataObject": "Orders", "column": "amount"}
    assert model["measures"]["Total"] == {"aggregation": "sum", "columns": [amount], "total": True}
    assert model["measures"]["Buyers"]["aggregation"] == "count_distinct"
    half = {"type": "derived", "expression": "{[_orders_order_id_sum]} / 2", "format": "0.0"}
    assert model["metrics"]["Half"] == half
    assert model["metrics"]["Running"] == {
        "type": "cumulative",
        "measure": "Total",
        "timeDimension": "Month",
        "window": 3,
        "cumulativeType": "sum",
    }


LEGACY = """
version: 0.1.1
semantic_model:
- name: old
  datasets:
  - name: t
    source: t
    fields: [id, {name: amount, data_type: Float}]
    custom_extensions: [{vendor_name: COMMON, data: '{"obml_primary_key": ["id"], "obml_unique_keys": [["amount"]]}'}]
  metrics:
  - {name: total, expression: {dialects: [{dialect: ANSI_SQL, expression: SUM(t.amount)}]}}
"""


@pytest.mark.parametrize("version", ["version: 0.1.1", "version: '0.0.9'", ""])
def test_version_0_1_is_read_with_one_warning(version: str) -> None:
    conversion = osi_to_obml(LEGACY.replace("version: 0.1.1", version))
    model = yaml.safe_load(conversion.output_yaml)
    assert model["dataObjects"]["t"]["columns"]["id"]["primaryKey"] is True
    assert model["dataObjects"]["t"]["columns"]["amount"]["abstractType"] == "float"
    assert model["measures"]["total"]["aggregation"] == "sum"
    assert sum("0.2.0.dev0" in warning for warning in conversion.warnings) == 1
    assert conversion.input_validation is not None
    assert not conversion.input_validation.schema_valid
    assert conversion.validation.schema_valid


@pytest.mark.parametrize(
    ("broken", "error", "reason"),
    [
        ("", InvalidYamlError, "empty"),
        ("just text", InvalidYamlError, "mapping"),
        ("a: &a [*a]", InvalidYamlError, "."),
        ("x: 1", ConversionError, "no semantic_model"),
        ("semantic_model: 7", ConversionError, "no semantic_model"),
        ("semantic_model: [{name: x}]", ConversionError, "no datasets"),
        ("semantic_model: [{name: x, datasets: [{name: a}, {name: a}]}]", ConversionError, "same name"),
    ],
)
def test_what_is_no_osi_model_says_why(broken: str, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        osi_to_obml(broken)


@pytest.mark.parametrize(
    "odd",
    [
        "{name: x, datasets: [{name: a}]}",
        "{name: x, datasets: [{name: a, source: 5, fields: 7}]}",
        "{name: x, datasets: [{name: a, source: SELECT 1, fields: [{name: f, expression: 3}]}], metrics: 5}",
        "{name: x, datasets: [{name: a, fields: [{name: f}, {name: f}]}], metrics: [{name: m}, 4]}",
        "{datasets: [{name: a, fields: [{name: f, expression: {dialects: [7]}}]}], relationships: [{name: r}]}",
        (
            "{datasets: [{name: a, primary_key: [zz], unique_keys: [[q]], custom_extensions: [{vendor_name: ORIONBELT,"
            " data: '['}], ai_context: 3}]}"
        ),
        (
            "{datasets: [{name: a, fields: [{name: f}]}], relationships: [{name: r, from: a, to: a, from_columns: [f],"
            " to_columns: [f, f]}, {name: s, from: a, to: a, from_columns: 3, to_columns: 4}]}"
        ),
        (
            "{datasets: [{name: a, fields: [{name: f}], custom_extensions: [{vendor_name: ORIONBELT, data:"
            ' \'{"obml_kind": 3, "obml_code": [], "obml_unwritten": 1}\'}]}]}'
        ),
        (
            "{datasets: [{name: a}], custom_extensions: [{vendor_name: ORIONBELT,"
            ' data: \'{"obml_unwritten": {"columns":'
            " [1]}}'}]}"
        ),
        (
            "{datasets: [{name: a, fields: [{name: f, dimension: {}, custom_extensions: [{vendor_name: COMMON, data:"
            ' \'{"obml_extra_dimensions": [1], "obml_dimension_name": 3}\'}]}]}]}'
        ),
        (
            "{datasets: [{name: a}], metrics: [{name: m, custom_extensions: [{vendor_name: COMMON, data:"
            ' \'{"obml_metric_type": "cumulative"}\'}]}]}'
        ),
    ],
)
def test_odd_shapes_are_advised_of_and_converted_as_far_as_they_go(odd: str) -> None:
    conversion = osi_to_obml(f"version: 0.2.0.dev0\nsemantic_model: [{odd}]")
    assert conversion.input_validation is not None
    assert not (conversion.input_validation.schema_valid and conversion.input_validation.semantic_valid)
    assert yaml.safe_load(conversion.output_yaml)["dataObjects"]


def test_dangerous_texts_are_refused_fast() -> None:
    bomb = "a: &a [x,x]\n" + "\n".join(f"b{n}: &b{n} [*a,*a]" for n in range(50))
    for dangerous in (bomb, "[" * 100_000, "a: " + "x" * 6_000_000):
        with pytest.raises(InvalidYamlError):
            osi_to_obml(dangerous)


ODD_VALUES = st.sampled_from([None, 0, -1.5, True, "", "x", "a.b", [], {}, [None], [1, 2], {"name": "x"}, {"a": []}])


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, value in items for place in places(value, (*path, key)))]


def opened(node: Any) -> Any:
    """The text with our extensions as mappings, so that their insides change too."""
    if isinstance(node, list):
        return [opened(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("vendor_name") == "ORIONBELT":
        return {**node, "data": json.loads(node["data"])}
    return {key: opened(value) for key, value in node.items()}


BASES = [yaml.safe_load(text()), opened(yaml.safe_load(obml_to_osi(SALES).output_yaml))]
PLACES = [[place for place in places(base) if len(place) > 2] for base in BASES]
CHANGES = st.integers(0, 1).flatmap(
    lambda number: st.tuples(
        st.just(number), st.lists(st.tuples(st.sampled_from(PLACES[number]), ODD_VALUES), min_size=1, max_size=3)
    )
)


def put(root: Any, place: tuple[Any, ...], value: Any) -> None:
    """Replaces a value, unless an earlier change took its place away."""
    *way, last = place
    node = root
    try:
        for step in way:
            node = node[step]
        node[last]
        node[last] = value
    except (KeyError, IndexError, TypeError):
        return


@settings(max_examples=100, deadline=None)
@given(CHANGES)
def test_no_text_breaks_the_reader(changes: Any) -> None:
    number, replacements = changes
    root = copy.deepcopy(BASES[number])
    for place, value in replacements:
        put(root, place, value)
    try:
        conversion = osi_to_obml(json.dumps(root))
    except ConversionError:
        return
    assert conversion.input_validation is not None
