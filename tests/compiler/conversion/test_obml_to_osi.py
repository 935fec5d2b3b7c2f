from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from sagitta_compiler.conversion import ConversionError, InvalidYamlError, obml_to_osi

from .models import EVERYTHING, SALES

OPEN = (
    "(Orders.STATUS IN ('open', 'new') OR NOT Orders.STATUS IS NULL)"
    " AND NOT LOWER(Orders.STATUS) LIKE '%50\\%%' ESCAPE '\\'"
)
SMALL = "dataObjects: {A: {code: a, columns: {x: {code: x}}}}"
TPCH = Path(__file__).parents[3] / "server/sagitta_server/demo/tpch.yaml"


def osi(text: str = SALES, **options: str) -> dict[str, Any]:
    root = yaml.safe_load(obml_to_osi(text, **options).output_yaml)
    model: dict[str, Any] = root["semantic_model"][0]
    return model


def sql(model: dict[str, Any], metric: str) -> str:
    (found,) = (each for each in model["metrics"] if each["name"] == metric)
    text: str = found["expression"]["dialects"][0]["expression"]
    return text


def field(model: dict[str, Any], dataset: str, name: str) -> dict[str, Any]:
    (found,) = (each for each in model["datasets"] if each["name"] == dataset)
    (result,) = (each for each in found["fields"] if each["name"] == name)
    return dict(result)


def test_the_head_names_version_dialects_and_vendors() -> None:
    root = yaml.safe_load(obml_to_osi(SALES).output_yaml)
    assert root["version"] == "0.2.0.dev0"
    assert root["dialects"] == ["ANSI_SQL"]
    assert root["vendors"] == ["ACME", "ORIONBELT"]


def test_the_request_names_the_model() -> None:
    model = osi(model_name="retail", model_description="Shops.", ai_instructions="Prefer Revenue.")
    assert (model["name"], model["description"]) == ("retail", "Shops.")
    assert model["ai_context"]["instructions"] == "Prefer Revenue."
    assert osi()["name"] == "semantic_model"
    assert osi()["description"] == "What was sold."


def test_a_data_object_is_a_dataset_with_its_table_and_key() -> None:
    (customers,) = (each for each in osi()["datasets"] if each["name"] == "Customers")
    assert customers["source"] == "WH.PUBLIC.CUSTOMERS"
    assert customers["primary_key"] == ["ID"]
    assert customers["ai_context"]["synonyms"] == ["clients", "accounts"]


def test_a_column_is_a_field_by_its_physical_name() -> None:
    country = field(osi(), "Customers", "COUNTRY")
    assert country["expression"]["dialects"] == [{"dialect": "ANSI_SQL", "expression": "COUNTRY"}]
    assert country["datatype"] == "String"
    assert country["dimension"] == {"is_time": False}
    assert country["ai_context"]["synonyms"] == ["Country", "nation"]
    assert field(osi(), "Orders", "DAY")["dimension"] == {"is_time": True}


def test_a_computed_column_keeps_its_formula() -> None:
    """A formula is no physical column, and a reader elsewhere must still compute it."""
    net = field(osi(), "Orders", "Net")
    assert net["expression"]["dialects"][0]["expression"] == "AMOUNT * 0.8"
    margin = field(osi(), "Orders", "Margin")
    assert margin["expression"]["dialects"][0]["expression"] == "(AMOUNT * 0.8) - Customers.DISCOUNT"


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("Revenue", "SUM(Orders.AMOUNT)"),
        ("Net-Revenue", "SUM(Orders.Net)"),
        ("Paid", "SUM(CASE WHEN Orders.STATUS = 'paid' THEN Orders.AMOUNT END)"),
        ("Buyers", "COUNT(DISTINCT Orders.CUSTOMER_ID)"),
        ("Pairs", "COUNT(DISTINCT Orders.CUSTOMER_ID, Orders.STATUS)"),
        ("P95", "PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY Orders.AMOUNT ASC)"),
        ("Names", "LISTAGG(DISTINCT Customers.COUNTRY, ' / ') WITHIN GROUP (ORDER BY Customers.COUNTRY DESC)"),
        ("Open", f"COALESCE(SUM(CASE WHEN {OPEN} THEN Orders.AMOUNT END), 0)"),
        ("Share", "(SUM(Orders.AMOUNT)) / (SUM(Orders.AMOUNT))"),
        ("Rank", "RANK() OVER (ORDER BY SUM(Orders.AMOUNT) DESC)"),
    ],
)  # fmt: skip
def test_measures_and_metrics_are_sql_with_their_filters(metric: str, expected: str) -> None:
    assert sql(osi(), metric) == expected


@pytest.mark.parametrize(
    ("what", "part"),
    [
        ("Measure 'All Revenue'", "total"),
        ("Metric 'Share'", "total"),
        ("Join from 'Orders' to 'Customers'", "a secondary join"),
        ("Model", "static filters"),
        ("Metric 'YoY'", "period"),
    ],
)
def test_what_osi_cannot_say_is_named(what: str, part: str) -> None:
    warnings = obml_to_osi(SALES).warnings
    assert any(warning.startswith(what) and part in warning for warning in warnings), warnings
    assert not any("'Revenue'" in warning for warning in warnings)


@pytest.mark.parametrize("text", [SALES, EVERYTHING, TPCH.read_text()], ids=["sales", "everything", "tpch"])
def test_the_output_is_valid(text: str) -> None:
    conversion = obml_to_osi(text)
    assert conversion.validation.schema_errors == ()
    assert conversion.validation.semantic_errors == ()
    assert conversion.input_validation is None


@pytest.mark.parametrize(
    ("text", "error", "reason"),
    [
        ("", InvalidYamlError, "empty"),
        ("- 1", InvalidYamlError, "mapping"),
        ("a: [", InvalidYamlError, "line 1"),
        ("a: &x 1\nb: *x", InvalidYamlError, "."),
        ("a: 1\na: 2", InvalidYamlError, "line 2"),
        ("a: !!python/object:os.system 1", InvalidYamlError, "."),
        ("[" * 50_000, InvalidYamlError, "."),
        ("dataObjects: {}", ConversionError, "."),
        (
            "dataObjects: {A: {code: a, columns: {x: {}}}}\ndimensions: {D: {dataObject: B, column: x}}",
            ConversionError,
            "B",
        ),
        (
            "extends: [a.yaml]\ndataObjects: {A: {code: a, columns: {x: {}}}}",
            ConversionError,
            "convert what it was merged to",
        ),
    ],
)
def test_what_cannot_be_read_or_converted_says_why(text: str, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        obml_to_osi(text)
