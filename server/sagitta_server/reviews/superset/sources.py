"""Asks Superset what a link names, and which filters come with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from sagitta_server.reviews.json_text import InvalidJsonError, Json, load
from sagitta_server.reviews.superset.client import SupersetClient, SupersetError, result_of, results_of
from sagitta_server.reviews.superset.dashboards import Dashboard, dataset_of, read_dashboard
from sagitta_server.reviews.superset.datasets import DatabaseFacts, SqlText, integer, parameters, text
from sagitta_server.reviews.superset.filters import Mask
from sagitta_server.reviews.superset.links import OWN_PARAMETERS, Link, LinkKind
from sagitta_server.reviews.superset.rison import InvalidRisonError
from sagitta_server.reviews.superset.rison import read as read_rison
from sagitta_server.reviews.values import Condition

_PERMALINK_GONE = frozenset({404, 500})
"""An unknown key of a permalink answers 500 on all versions."""
MAX_NAMED = 100


@dataclass(frozen=True, slots=True)
class Found:
    """What Superset says about a source."""

    missing: str = ""
    """What the source names and Superset does not have; nothing else is known then."""
    datasets: tuple[int, ...] = ()
    """Possible datasets, the likeliest first."""
    chart_counts: Mapping[int, int] = field(default_factory=dict)
    dashboard: Dashboard | None = None
    form: Mapping[str, Json] | None = None
    form_in_url: bool = False
    """The form is spelled out in the URL."""
    in_url: Mask = field(default_factory=dict)
    state: Mask = field(default_factory=dict)
    state_is_lost: bool = False
    """The link names a saved state that is gone."""
    url_params: Mapping[str, str] = field(default_factory=dict)
    sql: SqlText | None = None
    conditions: tuple[Condition, ...] = ()


_GONE = frozenset({"not_found"})
_HIDDEN = frozenset({"not_found", "superset_forbidden"})


class SourceReader:
    """Resolves sources; every method calls Superset.

    Raises:
        SupersetError: a call failed for another reason than that the named thing does not exist.
    """

    def __init__(self, client: SupersetClient, max_depth: int) -> None:
        self._client = client
        self._max_depth = max_depth

    def find(self, link: Link) -> Found:
        """What a source names."""
        match link.kind:
            case LinkKind.DASHBOARD:
                return self._dashboard(link, link.key)
            case LinkKind.DASHBOARD_PERMALINK:
                return self._dashboard_permalink(link)
            case LinkKind.EXPLORE:
                return self._explore(link)
            case LinkKind.EXPLORE_PERMALINK:
                return self._explore_permalink(link, link.key)
            case LinkKind.DATASET:
                return self._dataset(link)
            case LinkKind.DATASET_NAME:
                return self._named(link)
            case LinkKind.SQLLAB_PERMALINK | LinkKind.SAVED_QUERY | LinkKind.QUERY | LinkKind.SQL_TEXT:
                return self._sql(link)

    def database(self, database_id: int) -> DatabaseFacts | None:
        """A database; None when the account may not see it."""
        raw = self._known(f"/api/v1/database/{database_id}", _HIDDEN)
        if raw is None:
            return None
        return DatabaseFacts(
            database_id,
            str(raw.get("database_name") or ""),
            str(raw.get("backend") or ""),
            bool(raw.get("expose_in_sqllab")),
        )

    def dataset(self, dataset_id: int) -> dict[str, Json] | None:
        """A dataset as Superset describes it; None when it does not exist or the account may not see it."""
        return self._known(f"/api/v1/dataset/{dataset_id}")

    def datasets_like(self, name: str) -> list[dict[str, Json]]:
        """Datasets of exactly this `[database.][schema.]table`."""
        *place, table = name.split(".")
        rows = self._listed("table_name", "eq", table)
        if place:
            rows = [r for r in rows if r.get("schema") == place[-1]]
        if len(place) > 1:
            rows = [r for r in rows if _database(r).get("database_name") == place[0]]
        return rows

    def datasets_beside(self, database_id: int, schema: str | None) -> list[dict[str, Json]]:
        """Datasets of the same database and schema."""
        rows = self._listed("database", "rel_o_m", database_id)
        return [r for r in rows if r.get("schema") == schema]

    def _listed(self, column: str, operator: str, value: str | int) -> list[dict[str, Json]]:
        wanted = value if isinstance(value, int) else "'" + value.replace("!", "!!").replace("'", "!'") + "'"
        query = (
            f"(filters:!((col:{column},opr:{operator},value:{wanted})),"
            "columns:!(id,table_name,schema,kind,database.id,database.database_name),"
            f"order_column:table_name,order_direction:asc,page:0,page_size:{MAX_NAMED})"
        )
        return results_of(self._client.get("/api/v1/dataset/", {"q": query}))

    def _known(self, path: str, unknown: frozenset[str] = _GONE) -> dict[str, Json] | None:
        """An object; None when it is gone. An account that is refused altogether has learnt nothing about it."""
        try:
            return result_of(self._client.get(path))
        except SupersetError as error:
            if error.code in unknown:
                return None
            raise

    def _permalink(self, path: str) -> dict[str, Json] | None:
        try:
            answer = self._client.get(path)
        except SupersetError as error:
            if error.status in _PERMALINK_GONE:
                return None
            raise
        return answer if isinstance(answer, dict) else None

    def _dashboard(self, link: Link, key: str, saved: Mapping[str, Json] | None = None) -> Found:
        raw = self._known(f"/api/v1/dashboard/{quote(key, safe='')}")
        if raw is None:
            return Found(missing="the dashboard")
        number = integer(raw.get("id")) or 0
        dashboard = read_dashboard(raw, results_of(self._client.get(f"/api/v1/dashboard/{number}/charts")))
        state, lost = self._state(link, number, saved)
        in_url, conditions = _mask_in_url(link, self._max_depth)
        if lost:
            conditions = (*conditions, _state_lost())
        counts = dashboard.datasets()
        return Found(
            datasets=tuple(sorted(counts, key=lambda d: (-counts[d], d))),
            chart_counts=counts,
            dashboard=dashboard,
            in_url=in_url,
            state=state,
            state_is_lost=lost,
            url_params={**_pairs(saved.get("urlParams") if saved else None), **dict(link.url_params)},
            conditions=conditions,
        )

    def _dashboard_permalink(self, link: Link) -> Found:
        held = self._permalink(f"/api/v1/dashboard/permalink/{quote(link.key, safe='')}")
        state = held.get("state") if held else None
        if held is None or not isinstance(state, dict):
            return Found(missing="the permalink")
        return self._dashboard(link, str(held.get("dashboardId") or ""), state)

    def _state(self, link: Link, dashboard: int, saved: Mapping[str, Json] | None) -> tuple[Mask, bool]:
        """The saved state of a dashboard's filters, and whether the link names one that is gone."""
        key, permalink = link.param("native_filters_key"), link.param("permalink_key")
        if saved is None and permalink is not None:
            held = self._permalink(f"/api/v1/dashboard/permalink/{quote(permalink, safe='')}")
            inner = held.get("state") if held else None
            if not isinstance(inner, dict):
                return {}, True
            saved = inner
        if saved is not None:
            mask = saved.get("dataMask")
            return (mask if isinstance(mask, dict) else {}), False
        if key is None:
            return {}, False
        path = f"/api/v1/dashboard/{dashboard}/filter_state/{quote(key, safe='')}"
        try:
            answer = self._client.get(path)
        except SupersetError as error:
            if error.status == 404:
                return {}, True
            raise
        mask = load(parameters(answer.get("value"))) if isinstance(answer, dict) else {}
        return (mask if isinstance(mask, dict) else {}), False

    def _explore(self, link: Link) -> Found:
        permalink, key = link.param("permalink_key"), link.param("form_data_key")
        if permalink is not None:
            found = self._explore_permalink(link, permalink)
            if not found.missing:
                return found
        saved = self._saved_form(key) if key is not None else None
        lost = (key is not None or permalink is not None) and saved is None
        inline, conditions = _form_in_url(link)
        raw = self._explored(link, saved)
        dataset = raw.get("dataset") if raw else None
        form = raw.get("form_data") if raw else None
        stored: Mapping[str, Json] = form if isinstance(form, dict) else {}
        number = integer(dataset.get("id")) if isinstance(dataset, dict) else None
        if number is None:
            number = dataset_of((inline or saved or {}).get("datasource"))
        if number is None:
            return Found(missing="the chart")
        chosen = inline if inline is not None else saved if saved is not None else stored
        return Found(
            datasets=(number,),
            form=chosen,
            form_in_url=inline is not None,
            state_is_lost=lost,
            url_params=_form_params(chosen, link),
            conditions=(*conditions, _state_lost()) if lost else conditions,
        )

    def _explored(self, link: Link, saved: Mapping[str, Json] | None) -> dict[str, Json] | None:
        """The chart's page without its saved form: which dataset, and the form of the stored chart."""
        names = ("slice_id", "datasource_id", "datasource_type")
        params = {name: value for name in names if (value := link.param(name)) is not None}
        datasource = link.param("datasource") or (text((saved or {}).get("datasource")) if not params else None)
        if datasource is not None and "datasource_id" not in params:
            params["datasource_id"], _, params["datasource_type"] = datasource.partition("__")
        if "datasource_id" in params:
            params.setdefault("datasource_type", "table")
        return result_of(self._client.get("/api/v1/explore/", params)) if params else None

    def _saved_form(self, key: str) -> dict[str, Json] | None:
        try:
            answer = self._client.get(f"/api/v1/explore/form_data/{quote(key, safe='')}")
        except SupersetError as error:
            if error.status in {403, 404}:
                return None
            raise
        form = load(parameters(answer.get("form_data"))) if isinstance(answer, dict) else None
        return form if isinstance(form, dict) and form else None

    def _explore_permalink(self, link: Link, key: str) -> Found:
        held = self._permalink(f"/api/v1/explore/permalink/{quote(key, safe='')}")
        state = held.get("state") if held else None
        if held is None or not isinstance(state, dict):
            return Found(missing="the permalink")
        form = state.get("formData")
        number = integer(held.get("datasourceId")) or dataset_of(held.get("datasource"))
        if number is None or held.get("datasourceType") not in {"table", None}:
            return Found(missing="the dataset of the permalink")
        chosen: Mapping[str, Json] = form if isinstance(form, dict) else {}
        params = {**_form_params(chosen, link), **_pairs(state.get("urlParams")), **dict(link.url_params)}
        return Found(datasets=(number,), form=chosen, url_params=params)

    def _dataset(self, link: Link) -> Found:
        if self.dataset(int(link.key)) is None:
            return Found(missing=f"dataset {link.key}")
        return Found(datasets=(int(link.key),), url_params=dict(link.url_params))

    def _named(self, link: Link) -> Found:
        rows = self.datasets_like(link.key)
        found = tuple(n for r in rows if (n := integer(r.get("id"))) is not None)
        return Found(datasets=found) if found else Found(missing=f"a dataset named {link.key}")

    def _sql(self, link: Link) -> Found:
        source = self._sql_text(link)
        if source is None:
            return Found(missing="the query")
        return Found(sql=source, url_params=dict(link.url_params))

    def _sql_text(self, link: Link) -> SqlText | None:
        if link.kind is LinkKind.SQL_TEXT:
            return SqlText(int(link.key), link.param("sql") or "", link.param("schema"), name=link.param("name") or "")
        if link.kind is LinkKind.SQLLAB_PERMALINK:
            held = self._permalink(f"/api/v1/sqllab/permalink/{quote(link.key, safe='')}")
            return None if held is None else _text_of(held, held.get("dbId"), "name", "templateParams")
        resource = "saved_query" if link.kind is LinkKind.SAVED_QUERY else "query"
        held = self._known(f"/api/v1/{resource}/{link.key}")
        if held is None:
            return None
        database = held.get("database")
        number = database.get("id") if isinstance(database, dict) else None
        return _text_of(held, number, "label", "template_parameters")


def sql_ref(source: SqlText) -> str:
    """The reference of a text of SQL Lab."""
    return f"sqllab:{source.database_id}:{hashlib.sha256(source.sql.encode()).hexdigest()[:12]}"


def _text_of(held: Mapping[str, Json], database: Json, name: str, params: str) -> SqlText | None:
    sql, number = text(held.get("sql")), integer(database)
    if sql is None or number is None:
        return None
    return SqlText(
        database_id=number,
        sql=sql,
        schema=text(held.get("schema")),
        catalog=text(held.get("catalog")),
        template_params=parameters(held.get(params)),
        name=text(held.get(name)) or "",
    )


def _mask_in_url(link: Link, max_depth: int) -> tuple[Mask, tuple[Condition, ...]]:
    given = link.param("native_filters")
    if given is None:
        return {}, ()
    try:
        mask = read_rison(given, max_depth)
    except InvalidRisonError as error:
        return {}, (_unreadable("native_filters", str(error)),)
    if not isinstance(mask, dict):
        return {}, (_unreadable("native_filters", "it is no object"),)
    return mask, ()


def _form_in_url(link: Link) -> tuple[Mapping[str, Json] | None, tuple[Condition, ...]]:
    given = link.param("form_data")
    if given is None:
        return None, ()
    try:
        form = load(given)
    except InvalidJsonError:
        return None, (_unreadable("form_data", "it is no JSON"),)
    # Links that Superset makes itself carry `{"slice_id": 1}` here: a name, not a form.
    return (form if isinstance(form, dict) and form.keys() - {"slice_id"} else None), ()


def _unreadable(parameter: str, reason: str) -> Condition:
    message = f"The filters in the link's {parameter} cannot be read: {reason}. What else was found is used."
    return Condition("NATIVE_FILTERS_UNPARSABLE", message, "link", cause=parameter)


def _state_lost() -> Condition:
    message = "The filter state that the link was saved with is gone; the stored defaults are shown instead."
    return Condition("FILTER_STATE_UNAVAILABLE", message, "link", cause="state")


def _form_params(form: Mapping[str, Json], link: Link) -> dict[str, str]:
    held = form.get("url_params")
    own = held if isinstance(held, dict) else {}
    saved = {k: str(v) for k, v in own.items() if k not in OWN_PARAMETERS and isinstance(v, str | int)}
    return {**saved, **dict(link.url_params)}


def _pairs(value: Json) -> dict[str, str]:
    """URL parameters as permalinks keep them: a list of pairs."""
    pairs = value if isinstance(value, list) else []
    return {str(p[0]): str(p[1]) for p in pairs if isinstance(p, list) and len(p) == 2 and p[0] not in OWN_PARAMETERS}


def _database(row: Mapping[str, Json]) -> Mapping[str, Json]:
    held = row.get("database")
    return held if isinstance(held, dict) else {}
