"""Sagitta as a database of a real Superset, by our SQLAlchemy dialect and engine specification over Flight SQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from clients.sales import serving_sales

from superset.server import Superset
from superset.shop import Api

pytestmark = pytest.mark.xdist_group("superset")


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_sales(tmp_path_factory.mktemp("superset-sales")) as server:
        yield f"sagitta://{server.flight.removeprefix('grpc://')}/sales"


@pytest.fixture(scope="module")
def api(superset: Superset) -> Iterator[Api]:
    found = Api(superset.base_url)
    yield found
    found.close()


@pytest.fixture(scope="module")
def database(api: Api, uri: str) -> int:
    return api.database("sagitta_sales", uri)


@pytest.fixture(scope="module")
def dataset(api: Api, database: int) -> dict[str, Any]:
    made = api.call("POST", "/api/v1/dataset/", {"database": database, "schema": "sales", "table_name": "model"})
    found: dict[str, Any] = api.call("GET", f"/api/v1/dataset/{made['id']}")["result"]
    return found


def run(api: Api, database: int, sql: str) -> dict[str, Any]:
    """What SQL Lab does with a statement."""
    body = {"database_id": database, "sql": sql, "schema": "sales", "runAsync": False, "queryLimit": 1000}
    found: dict[str, Any] = api.call("POST", "/api/v1/sqllab/execute/", body)
    return found


def chart(api: Api, dataset: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    """What a chart asks."""
    asked = {"filters": [], "extras": {"having": "", "where": ""}, "row_limit": 1000, "url_params": {}, **query}
    source = {"id": dataset["id"], "type": "table"}
    body = {"datasource": source, "force": True, "queries": [asked], "result_format": "json", "result_type": "full"}
    (found,) = api.call("POST", "/api/v1/chart/data", body)["result"]
    assert found["error"] is None
    rows: list[dict[str, Any]] = found["data"]
    return rows


def test_the_connection_is_tested_and_the_engine_is_known(api: Api, uri: str) -> None:
    body = {"sqlalchemy_uri": uri, "database_name": "sagitta_probe"}
    assert api.call("POST", "/api/v1/database/test_connection/", body) == {"message": "OK"}
    known = api.call("GET", "/api/v1/database/available/")["databases"]
    assert "Sagitta" in {engine["name"] for engine in known}


def test_schemas_tables_and_columns_are_listed(api: Api, database: int) -> None:
    assert api.call("GET", f"/api/v1/database/{database}/schemas/")["result"] == ["sales"]
    tables = api.call("GET", f"/api/v1/database/{database}/tables/", params={"q": "(schema_name:sales)"})["result"]
    assert {(table["value"], table["type"]) for table in tables} == {
        ("Sales", "table"), ("model", "table"), ("dimensions", "view"), ("measures", "view"), ("metrics", "view"),
    }  # fmt: skip
    path = f"/api/v1/database/{database}/table_metadata/"
    found = api.call("GET", path, params={"name": "measures", "schema": "sales"})
    assert {column["name"]: column["type"] for column in found["columns"]}["Revenue"] == "DECIMAL"


def test_sql_lab_runs_a_statement_on_a_model(api: Api, database: int) -> None:
    found = run(api, database, 'SELECT "Region", "Umsatz €", "Orders" FROM model ORDER BY 1')
    assert found["data"] == [
        {"Region": "Nord", "Umsatz €": 40.5, "Orders": 2}, {"Region": "Süd", "Umsatz €": 2.25, "Orders": 1},
    ]  # fmt: skip
    assert [column["type"] for column in found["columns"]] == ["VARCHAR", "DECIMAL(18, 2)", "BIGINT"]


def test_every_type_reaches_sql_lab(api: Api, database: int) -> None:
    found = run(api, database, 'SELECT * FROM "Sales" ORDER BY "Id"')
    first = found["data"][0]
    assert first["Day"] == "2024-02-29"
    assert first["At"] == "2024-02-29T12:34:56.789000"
    assert first["Zoned"].startswith("2024-02-29T12:34:56")
    assert (first["Clock"], first["Done"], first["Weight"]) == ("12:34:56", True, 1.5)
    assert {c["column_name"]: c["is_dttm"] for c in found["columns"]}["Day"] is True


def test_a_mistake_is_told_in_sql_lab(api: Api, database: int) -> None:
    with pytest.raises(RuntimeError, match=r"There is no column.*Regoin.*in sales\.model"):
        run(api, database, 'SELECT "Regoin" FROM model')


def test_a_dataset_has_dimensions_as_columns_and_measures_as_metrics(dataset: dict[str, Any]) -> None:
    assert {column["column_name"] for column in dataset["columns"]} == {"Region", "Day"}
    assert {column["column_name"] for column in dataset["columns"] if column["is_dttm"]} == {"Day"}
    expressions = {metric["metric_name"]: metric["expression"] for metric in dataset["metrics"]}
    assert expressions["Umsatz €"] == 'MEASURE("Umsatz €")'
    assert {"Revenue", "Orders", "Average"} <= set(expressions)


def test_a_chart_groups_filters_and_orders(api: Api, dataset: dict[str, Any]) -> None:
    asked = {"columns": ["Region"], "metrics": ["Revenue", "Average"], "orderby": [["Revenue", False]]}
    assert chart(api, dataset, **asked) == [
        {"Region": "Nord", "Revenue": 40.5, "Average": 20.25}, {"Region": "Süd", "Revenue": 2.25, "Average": 2.25},
    ]  # fmt: skip
    only = [{"col": "Region", "op": "IN", "val": ["Süd"]}]
    assert [row["Region"] for row in chart(api, dataset, **asked, filters=only)] == ["Süd"]


def test_a_time_series_has_a_grain_a_range_and_its_largest_series(api: Api, dataset: dict[str, Any]) -> None:
    axis = {"columnType": "BASE_AXIS", "sqlExpression": "Day", "label": "Day", "expressionType": "SQL"}
    rows = chart(
        api, dataset, columns=[{**axis, "timeGrain": "P1M"}, "Region"], metrics=["Revenue"], granularity="Day",
        time_range="2024-01-01 : 2025-01-01", extras={"time_grain_sqla": "P1M", "having": "", "where": ""},
        series_columns=["Region"], series_limit=1, series_limit_metric="Revenue",
    )  # fmt: skip
    assert sorted((row["Region"], row["Revenue"]) for row in rows) == [("Nord", 0.5), ("Nord", 40.0)]
    assert len({row["Day"] for row in rows}) == 2


def test_an_adhoc_metric_and_a_virtual_dataset(api: Api, dataset: dict[str, Any], database: int) -> None:
    metric = {"expressionType": "SQL", "sqlExpression": 'SUM("Revenue") / SUM("Orders")', "label": "mean"}
    assert chart(api, dataset, columns=[], metrics=[metric]) == [{"mean": pytest.approx(42.75 / 3)}]
    sql = 'SELECT "Region", "Day", "Revenue" FROM sales.model'
    body = {"database": database, "schema": "sales", "table_name": "v_sales", "sql": sql}
    virtual = api.call("POST", "/api/v1/dataset/", body)
    total = {"expressionType": "SIMPLE", "column": {"column_name": "Revenue"}, "aggregate": "SUM", "label": "s"}
    rows = chart(api, virtual, columns=["Region"], metrics=[total])
    assert sorted((row["Region"], row["s"]) for row in rows) == [("Nord", 40.5), ("Süd", 2.25)]


def test_the_values_of_a_filter_are_offered(api: Api, dataset: dict[str, Any]) -> None:
    found = api.call("GET", f"/api/v1/datasource/table/{dataset['id']}/column/Region/values/")["result"]
    assert sorted(found) == ["Nord", "Süd"]


def test_samples_of_a_model_show_its_dimensions(superset: Superset, dataset: dict[str, Any]) -> None:
    browser = Api(superset.base_url)
    browser.use_cookie()
    query = {"datasource_id": dataset["id"], "datasource_type": "table", "force": "true"}
    found = browser.call("POST", "/datasource/samples", {}, params=query)["result"]
    browser.close()
    assert found["colnames"] == ["Region", "Day"]
    assert len(found["data"]) == 3
