"""A small shop inside Superset: databases, datasets, a chart, a dashboard, and a link of every kind.

Everything is made through Superset's public REST API, as its own pages would.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import duckdb
import httpx

COUNTRIES = (("DE", "Germany", "EU"), ("FR", "France", "EU"), ("US", "United States", "NA"), ("JP", "Japan", "APAC"))
STATES = ("new", "paid", "shipped", "cancelled")
DICTIONARY = (
    ("amount", "Order amount", "Gross order value in EUR", ",.2f"),
    ("qty", "Quantity", "Units per order", ",d"),
    ("country", "Country code", "ISO 3166-1 alpha-2 code of the ship-to country", None),
)
TABLES = {
    "countries": "code varchar primary key, name varchar, region varchar",
    "orders": "order_id integer primary key, order_ts timestamp, country varchar, status varchar, "
    "customer_id integer, amount decimal(12,2), qty integer",
    "dict_columns": "column_name varchar, verbose_name varchar, description varchar, d3format varchar",
}
V_ORDERS = """SELECT o.order_id, o.order_ts, o.country, c.region, o.status, o.amount, o.qty
FROM orders o JOIN countries c ON c.code = o.country
WHERE 1 = 1
{% if filter_values('country') %} AND o.country IN {{ filter_values('country') | where_in }} {% endif %}
{% if from_dttm %} AND o.order_ts >= '{{ from_dttm }}' {% endif %}
{% if to_dttm %} AND o.order_ts < '{{ to_dttm }}' {% endif %}
AND o.status = '{{ url_param('status', 'paid') }}'
AND o.amount >= {{ min_amount | default(0) }}"""
V_REQUIRED = (
    "SELECT order_id, country, qty, amount FROM orders WHERE amount >= %s AND qty >= {{ min_qty | default(1) }}"
)
_COLUMN_KEYS = frozenset(
    [
        "id",
        "column_name",
        "verbose_name",
        "description",
        "expression",
        "extra",
        "filterable",
        "groupby",
        "is_active",
        "is_dttm",
        "python_date_format",
        "type",
        "advanced_data_type",
    ]
)
_METRIC_KEYS = frozenset(
    [
        "id",
        "metric_name",
        "verbose_name",
        "description",
        "expression",
        "extra",
        "metric_type",
        "d3format",
        "currency",
        "warning_text",
    ]
)


def orders() -> list[tuple[Any, ...]]:
    """400 orders, 17 hours apart; every third is paid."""
    return [
        (
            number,
            (datetime(2024, 1, 1) + timedelta(hours=17 * number)).isoformat(sep=" "),  # noqa: DTZ001 - shop's own time
            COUNTRIES[(number * 7) % 4][0],
            STATES[(number * 5) % 4] if number % 3 else "paid",
            1000 + number % 37,
            round(10 + (number * 37 % 900) / 7, 2),
            1 + number % 5,
        )
        for number in range(1, 401)
    ]


def make_databases(home: Path) -> None:
    """The same tables in SQLite and in DuckDB."""
    rows: dict[str, Iterable[tuple[Any, ...]]] = {
        "countries": COUNTRIES,
        "orders": orders(),
        "dict_columns": DICTIONARY,
    }
    lite, duck = sqlite3.connect(home / "shop.sqlite"), duckdb.connect(str(home / "shop.duckdb"))
    for connection in (lite, duck):
        for table, columns in TABLES.items():
            data = list(rows[table])
            connection.execute(f"CREATE TABLE {table} ({columns})")
            connection.executemany(f"INSERT INTO {table} VALUES ({','.join('?' * len(data[0]))})", data)
        connection.commit()
        connection.close()


class Api:
    """Superset's REST API as a person at a browser uses it: a token, a CSRF token, and a cookie."""

    def __init__(self, base_url: str, user: str = "admin") -> None:
        self._http = httpx.Client(base_url=base_url, timeout=60, headers={"Referer": base_url})
        login = {"username": user, "password": user, "provider": "db", "refresh": True}
        token = self.call("POST", "/api/v1/security/login", login)["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
        self._csrf = self.call("GET", "/api/v1/security/csrf_token/")["result"]
        self._http.headers["X-CSRFToken"] = self._csrf
        self._user = user

    def close(self) -> None:
        self._http.close()

    def call(
        self, method: str, path: str, body: Any = None, params: dict[str, Any] | None = None, also: tuple[int, ...] = ()
    ) -> Any:
        """The decoded answer; an empty object for the statuses in `also`."""
        answer = self._http.request(method, path, json=body, params=params)
        if answer.status_code in also:
            return {}
        if answer.is_error:
            raise RuntimeError(f"{method} {path} -> {answer.status_code}: {answer.text[:800]}")
        return answer.json()

    def find(self, resource: str, column: str, value: str) -> int | None:
        """The id of a named thing."""
        query = f"(filters:!((col:{column},opr:eq,value:{value})),columns:!(id))"
        found = self.call("GET", f"/api/v1/{resource}/", params={"q": query})["result"]
        return found[0]["id"] if found else None

    def use_cookie(self) -> None:
        """Logs in as a browser does; Superset 6 guards the writing of filter states with the cookie alone."""
        form = {"username": self._user, "password": self._user, "csrf_token": self._csrf}
        self._http.post("/login/", data=form, follow_redirects=True)

    def database(self, name: str, uri: str) -> int:
        """The id of a database, made when it is not there."""
        body = {
            "database_name": name,
            "sqlalchemy_uri": uri,
            "expose_in_sqllab": True,
            "extra": json.dumps({"allows_virtual_table_explore": True}),
        }
        return self.find("database", "database_name", name) or self.call("POST", "/api/v1/database/", body)["id"]

    def dataset(self, database: int, name: str, sql: str | None = None) -> int:
        """The id of a dataset, made when it is not there."""
        body = {"database": database, "schema": "main", "table_name": name, **({"sql": sql} if sql else {})}
        return self.find("dataset", "table_name", name) or self.call("POST", "/api/v1/dataset/", body)["id"]

    def change_dataset(
        self,
        pk: int,
        top: dict[str, Any] | None = None,
        columns: dict[str, dict[str, Any]] | None = None,
        metrics: dict[str, dict[str, Any]] | None = None,
        new_metrics: Iterable[dict[str, Any]] = (),
    ) -> None:
        """Changes a dataset; what is not changed is sent again, because lists replace the stored ones."""
        now = self.call("GET", f"/api/v1/dataset/{pk}")["result"]
        kept_columns = [
            {k: c[k] for k in _COLUMN_KEYS if k in c} | (columns or {}).get(c["column_name"], {})
            for c in now["columns"]
        ]
        kept_metrics = [
            {k: m[k] for k in _METRIC_KEYS if k in m} | (metrics or {}).get(m["metric_name"], {})
            for m in now["metrics"]
        ]
        body = {**(top or {}), "columns": kept_columns, "metrics": [*kept_metrics, *new_metrics]}
        self.call("PUT", f"/api/v1/dataset/{pk}", body)


def make_fixtures(base_url: str, home: Path) -> dict[str, Any]:
    """Ids of everything that was made, and the links."""
    api = Api(base_url)
    try:
        made = _datasets(api, home)
        made["chart"] = _chart(api, made["ds_v_orders"])
        made["dashboard"] = _dashboard(api, made["ds_v_orders"], made["chart"])
        _let_sam_run(api)
        api.use_cookie()
        made["links"] = _links(api, base_url, made)
    finally:
        api.close()
    return made


def _datasets(api: Api, home: Path) -> dict[str, Any]:
    lite = api.database("shop_sqlite", f"sqlite:///{home}/shop.sqlite")
    duck = api.database("shop_duckdb", f"duckdb:///{home}/shop.duckdb?access_mode=read_only")
    made: dict[str, Any] = {
        "db_sqlite": lite,
        "db_duckdb": duck,
        "ds_orders": api.dataset(lite, "orders"),
        "ds_v_orders": api.dataset(lite, "v_orders", V_ORDERS),
        "ds_countries_ref": api.dataset(duck, "countries"),
        "ds_dict": api.dataset(duck, "dict_columns"),
        # Making it runs its SQL once to learn the columns, so the variable loses its default only afterwards.
        "ds_v_required": api.dataset(duck, "v_required", V_REQUIRED % "{{ min_amount | default(0) }}"),
    }
    api.change_dataset(made["ds_v_required"], {"sql": V_REQUIRED % "{{ min_amount }}"})
    revenue = {
        "metric_name": "revenue",
        "expression": "SUM(amount)",
        "metric_type": "sum",
        "verbose_name": "Revenue",
        "d3format": ",.2f",
        "description": "Total order value",
    }
    api.change_dataset(
        made["ds_v_orders"],
        {"template_params": json.dumps({"min_amount": 5}), "main_dttm_col": "order_ts"},
        {"order_ts": {"is_dttm": True}},
        new_metrics=[revenue],
    )
    api.change_dataset(
        made["ds_orders"],
        {"description": "One row per order"},
        {"amount": {"verbose_name": "Order amount", "description": "Gross order value in EUR"}},
        {"count": {"verbose_name": "Orders", "d3format": ",d"}},
    )
    return made


def _form(dataset: int) -> dict[str, Any]:
    anytime = {
        "clause": "WHERE",
        "comparator": "No filter",
        "expressionType": "SIMPLE",
        "operator": "TEMPORAL_RANGE",
        "subject": "order_ts",
    }
    return {
        "datasource": f"{dataset}__table",
        "viz_type": "table",
        "query_mode": "aggregate",
        "groupby": ["country"],
        "metrics": ["revenue"],
        "row_limit": 1000,
        "adhoc_filters": [anytime],
    }


def _explored_form(dataset: int) -> dict[str, Any]:
    country = {"subject": "country", "operator": "IN", "operatorId": "IN", "comparator": ["DE"]}
    spring = {"subject": "order_ts", "operator": "TEMPORAL_RANGE", "comparator": "2024-02-01 : 2024-04-01"}
    return {
        **_form(dataset),
        "adhoc_filters": [
            {"clause": "WHERE", "expressionType": "SIMPLE", **country},
            {"clause": "WHERE", "expressionType": "SQL", "sqlExpression": "amount > 10"},
            {"clause": "WHERE", "expressionType": "SIMPLE", **spring},
        ],
        "url_params": {"status": "shipped"},
    }


def _chart(api: Api, dataset: int) -> int:
    body = {
        "slice_name": "Revenue by country",
        "viz_type": "table",
        "datasource_id": dataset,
        "datasource_type": "table",
        "params": json.dumps(_form(dataset)),
    }
    return int(api.call("POST", "/api/v1/chart/", body)["id"])


def native_filter(
    name: str, title: str, kind: str, targets: list[dict[str, Any]], extra: dict[str, Any], value: Any
) -> dict[str, Any]:
    """A native filter as a dashboard stores it."""
    return {
        "id": f"NATIVE_FILTER-{name}",
        "name": title,
        "filterType": kind,
        "type": "NATIVE_FILTER",
        "targets": targets,
        "defaultDataMask": {
            "extraFormData": extra,
            "filterState": {} if value is None else {"value": value},
            "ownState": {},
        },
        "controlValues": {"multiSelect": True, "enableEmptyFilter": False},
        "cascadeParentIds": [],
        "scope": {"rootPath": ["ROOT_ID"], "excluded": []},
        "description": "",
    }


def _dashboard(api: Api, dataset: int, chart: int) -> int:
    def on(column: str) -> list[dict[str, Any]]:
        return [{"datasetId": dataset, "column": {"name": column}}]

    germany = {"filters": [{"col": "country", "op": "IN", "val": ["DE"]}]}
    half_year = "2024-01-01 : 2024-07-01"
    filters = [
        native_filter("country", "Country", "filter_select", on("country"), germany, ["DE"]),
        native_filter("time", "Order time", "filter_time", [{}], {"time_range": half_year}, half_year),
        native_filter("amount", "Amount", "filter_range", on("amount"), {}, None),
    ]
    return make_dashboard(api, "Shop", "shop", filters, [chart])


def make_dashboard(api: Api, title: str, slug: str | None, filters: list[dict[str, Any]], charts: list[int]) -> int:
    """A dashboard with charts side by side."""
    keys = [f"CHART-{chart}" for chart in charts]
    layout: dict[str, Any] = {
        "DASHBOARD_VERSION_KEY": "v2",
        "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
        "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": ["ROW-1"], "parents": ["ROOT_ID"]},
        "ROW-1": {"type": "ROW", "id": "ROW-1", "children": keys, "parents": ["ROOT_ID", "GRID_ID"], "meta": {}},
        "HEADER_ID": {"type": "HEADER", "id": "HEADER_ID", "meta": {"text": title}},
    }
    for chart, key in zip(charts, keys, strict=True):
        meta = {"chartId": chart, "width": 4, "height": 50}
        layout[key] = {"type": "CHART", "id": key, "children": [], "parents": ["ROOT_ID", "GRID_ID", "ROW-1"]}
        layout[key]["meta"] = meta
    metadata = {"native_filter_configuration": filters, "chart_configuration": {}}
    body = {
        "dashboard_title": title,
        "slug": slug,
        "published": True,
        "position_json": json.dumps(layout),
        "json_metadata": json.dumps(metadata),
    }
    dashboard = int(api.call("POST", "/api/v1/dashboard/", body)["id"])
    for chart in charts:
        api.call("PUT", f"/api/v1/chart/{chart}", {"dashboards": [dashboard]})
    return dashboard


def _let_sam_run(api: Api) -> None:
    """Alpha does not include SQL Lab."""
    roles = api.call("GET", "/api/v1/security/roles/", params={"q": "(page_size:100)"})["result"]
    ids = [r["id"] for r in roles if r["name"] in {"Alpha", "sql_lab"}]
    query = "(filters:!((col:username,opr:eq,value:sam)))"
    sam = api.call("GET", "/api/v1/security/users/", params={"q": query})["result"][0]["id"]
    api.call("PUT", f"/api/v1/security/users/{sam}", {"roles": ids})


def country_mask(*codes: str) -> dict[str, Any]:
    """The state of the filter Country, as the dashboard saves it."""
    return {
        "NATIVE_FILTER-country": {
            "id": "NATIVE_FILTER-country",
            "ownState": {},
            "extraFormData": {"filters": [{"col": "country", "op": "IN", "val": list(codes)}]},
            "filterState": {"label": ", ".join(codes), "value": list(codes)},
        }
    }


def dashboard_permalink(api: Api, base_url: str, dashboard: int, mask: dict[str, Any], **parameters: str) -> str:
    """A link to a dashboard with a saved state."""
    body = {"dataMask": mask, "activeTabs": [], "anchor": "", "urlParams": [list(p) for p in parameters.items()]}
    return (
        f"{base_url}/superset/dashboard/p/{api.call('POST', f'/api/v1/dashboard/{dashboard}/permalink', body)['key']}/"
    )


def explore_link(api: Api, base_url: str, dataset: int, form: dict[str, Any], chart: int = 0) -> str:
    """A link to an unsaved chart."""
    body = {"datasource_id": dataset, "datasource_type": "table", "chart_id": chart, "form_data": json.dumps(form)}
    key = api.call("POST", "/api/v1/explore/form_data", body, {"tab_id": 2})["key"]
    chosen = f"&slice_id={chart}" if chart else ""
    return f"{base_url}/explore/?form_data_key={key}{chosen}&datasource_id={dataset}&datasource_type=table"


def _links(api: Api, base_url: str, made: dict[str, Any]) -> dict[str, str]:
    dataset, dashboard, chart, lite = made["ds_v_orders"], made["dashboard"], made["chart"], made["db_sqlite"]
    mask, form = country_mask("FR", "US"), _explored_form(dataset)
    state = {"value": json.dumps(mask)}
    state_key = api.call("POST", f"/api/v1/dashboard/{dashboard}/filter_state", state, {"tab_id": 1})["key"]
    permalink = {"formData": form, "urlParams": [["status", "shipped"]]}
    explored = api.call("POST", "/api/v1/explore/permalink", permalink)["key"]
    text = {"schema": "main", "catalog": None, "sql": V_ORDERS}
    parameters = json.dumps({"min_amount": 5})
    lab_body = {"dbId": lite, "name": "fixture", "autorun": False, "templateParams": parameters, **text}
    lab = api.call("POST", "/api/v1/sqllab/permalink", lab_body, also=(404,)).get("key")  # since 5.0
    saved_body = {"db_id": lite, "label": "fixture saved query", "description": "", "template_parameters": parameters}
    saved = api.call("POST", "/api/v1/saved_query/", {**saved_body, "schema": "main", "sql": V_ORDERS})["id"]
    rison = (
        "(NATIVE_FILTER-country:(id:NATIVE_FILTER-country,extraFormData:(filters:!((col:country,op:IN,"
        "val:!(DE,JP)))),filterState:(value:!(DE,JP)),ownState:()))"
    )
    return {
        "dashboard": f"{base_url}/superset/dashboard/{dashboard}/",
        "dashboard_slug": f"{base_url}/superset/dashboard/shop/?status=shipped",
        "dashboard_native_filters": f"{base_url}/superset/dashboard/shop/?native_filters={quote(rison)}",
        "dashboard_native_filters_key": f"{base_url}/superset/dashboard/{dashboard}/?native_filters_key={state_key}",
        "dashboard_permalink": dashboard_permalink(api, base_url, dashboard, mask, status="shipped"),
        "explore_form_data_key": explore_link(api, base_url, dataset, form, chart),
        "explore_slice": f"{base_url}/explore/?slice_id={chart}",
        "explore_datasource": f"{base_url}/explore/?datasource={dataset}__table",
        "explore_permalink": f"{base_url}/superset/explore/p/{explored}/",
        "dataset_edit": f"{base_url}/tablemodelview/edit/{dataset}",
        **({"sqllab_permalink": f"{base_url}/sqllab/p/{lab}/"} if lab else {}),
        "sqllab_saved_query": f"{base_url}/sqllab?savedQueryId={saved}",
    }
