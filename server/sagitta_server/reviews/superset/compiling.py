"""Has Superset compile a dataset: without executing where it can, else by a query that returns no rows.

Three ways, by what the values need and the version offers: `chart_data` (a query of a chart, asked for its text),
`format_sql` (Superset 6.1 renders a text), `probe` (a text around ours is run with `WHERE 1 = 0`). The stored dataset
is never changed.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace

from sagitta_server.reviews.environment import CompilationError, Compiled, CompileRequest
from sagitta_server.reviews.json_text import Json, dump, load
from sagitta_server.reviews.superset.client import SupersetClient, SupersetError, results_of
from sagitta_server.reviews.superset.datasets import Payload, payload_of
from sagitta_server.reviews.superset.inputs import Inputs, QueryFilter, boundaries, inputs_of
from sagitta_server.reviews.superset.wrapping import dataset_text, probe, probed
from sagitta_server.reviews.template_variables import has_template_marks
from sagitta_server.reviews.values import Condition, Dataset

_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_TIME_LITERAL = re.compile(r"(>=|<)[^'<>=]*'(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(?:\.\d+)?)'")
_TRIAL, _RENDERED = "SELECT {{ 1 }} AS rendered", "SELECT 1 AS rendered"
_UNREAD = "rv_unread"
"""A parameter for texts that have none: without any, Superset lays the text out and does not render it."""
_MAX_URL = 3500
"""Characters of URL-borne input; web servers cut request lines at about 4,000."""
_CODES = {
    "superset_timeout": "superset_unreachable",
    "not_found": "dataset_not_accessible",
    "superset_error": "compilation_failed",
}


@dataclass(slots=True)
class _Learnt:
    """What the version turned out to offer."""

    formats: bool | None = None
    """It renders a text with given parameters."""


class Compiler:
    """Compiles; may be called from any thread."""

    def __init__(self, client: SupersetClient, *, allow_probe: bool) -> None:
        self._client = client
        self._allow_probe = allow_probe
        self._learnt = _Learnt()

    def compile(self, request: CompileRequest) -> Compiled:
        """The dataset's SQL as Superset makes it.

        Raises:
            CompilationError: Superset refuses, or its answer is not what was asked for.
        """
        payload, inputs = payload_of(request.dataset), inputs_of(request)
        try:
            return self._compiled(payload, request, inputs)
        except CompilationError as error:
            raise self._explained(payload, error) from error

    def _compiled(self, payload: Payload, request: CompileRequest, inputs: Inputs) -> Compiled:
        try:
            if payload.dataset_id is not None and not inputs.overrides:
                sql, strategy = self._chart_data(payload.dataset_id, request, inputs), "chart_data"
            else:
                sql, strategy = self._rendered(payload, request, inputs)
        except SupersetError as error:
            raise CompilationError(_CODES.get(error.code, error.code), error.message) from error
        text = sql.strip().rstrip(";").rstrip()
        if _is_unrendered(payload, text):
            raise _templates_are_off()
        return Compiled(text, payload.dialect, strategy, kind="superset", warnings=_not_applied(request, inputs, text))

    def formats(self, database_id: int) -> bool:
        """The version renders a text with given parameters, without executing it.

        Raises:
            SupersetError: it cannot be asked.
        """
        if self._learnt.formats is None:
            self._formatted(database_id, "SELECT 1", {}, {})
        return bool(self._learnt.formats)

    def _explained(self, payload: Payload, error: CompilationError) -> CompilationError:
        """Where templates are switched off, Superset complains about their marks as SQL; say what is wrong instead."""
        if error.code != "compilation_failed" or not has_template_marks(payload.sql or ""):
            return error
        return error if self._renders(payload) else _templates_are_off()

    def _renders(self, payload: Payload) -> bool:
        """Templates are rendered at all, as far as it can be found out."""
        try:
            text = self._formatted(payload.database_id, _TRIAL, {}, {}) if self._learnt.formats is not False else None
            if text is None:
                text = self._probed(payload, _TRIAL, {}, Inputs()) if self._allow_probe else _RENDERED
        except CompilationError:
            return False
        except SupersetError as error:
            return error.code != "superset_error"
        return " ".join(text.split()) == _RENDERED

    def _chart_data(self, dataset_id: int, request: CompileRequest, inputs: Inputs) -> str:
        filters = list(inputs.filters)
        if inputs.time_range is not None and inputs.time_column is not None:
            filters.append(QueryFilter(inputs.time_column, "TEMPORAL_RANGE", inputs.time_range))
        query: dict[str, Json] = {
            "columns": [c.name for c in request.dataset.columns],
            "metrics": None,
            "filters": [_as_query_filter(f) for f in filters],
            "extras": {"where": " AND ".join(f"({text}\n)" for text in inputs.conditions)},
            "orderby": [],
            "row_limit": request.row_limit,
            "url_params": dict(inputs.url_params),
        }
        return self._ask_chart_data(dataset_id, query)

    def _ask_chart_data(self, dataset_id: int, query: dict[str, Json]) -> str:
        body: dict[str, Json] = {
            "datasource": {"id": dataset_id, "type": "table"},
            "queries": [query],
            "result_format": "json",
            "result_type": "query",
            "force": False,
        }
        results = results_of(self._client.post("/api/v1/chart/data", body))
        result = results[0] if results else {}
        if result.get("error") or not isinstance(result.get("query"), str):  # a template's error, since 6.1
            raise CompilationError("compilation_failed", str(result.get("error") or "Superset gave no SQL."))
        return str(result["query"])

    def _rendered(self, payload: Payload, request: CompileRequest, inputs: Inputs) -> tuple[str, str]:
        fixed = self._with_fixed_range(payload, inputs)
        if payload.dataset_id is None:
            text = payload.sql or ""
        else:
            text = dataset_text(payload, [c.name for c in request.dataset.columns], fixed, request.row_limit)
        params = _template_params(request.dataset, fixed)
        if self._learnt.formats is not False:
            formatted = self._formatted(payload.database_id, text, params, _form(fixed))
            if formatted is not None:
                return formatted, "format_sql"
        if not self._allow_probe:
            raise CompilationError(
                "template_override_unsupported",
                "This Superset renders changed values only by running a query, which this environment does not permit "
                "(allow_probe). Use the values that are stored with the dataset.",
            )
        return self._probed(payload, text, params, fixed), "probe"

    def _formatted(self, database_id: int, text: str, params: dict[str, Json], form: dict[str, Json]) -> str | None:
        """The rendered text; None where the version does not take parameters."""
        given = params or {_UNREAD: True}
        body: dict[str, Json] = {"sql": text, "database_id": database_id, "template_params": dump(given)}
        try:
            answer = self._client.post("/api/v1/sqllab/format_sql/", body, _form_in_url(form))
        except SupersetError as error:
            unknown = error.status == 400 and "Unknown field" in error.message
            if not unknown and error.status != 404:
                raise
            self._learnt.formats = False
            return None
        self._learnt.formats = True
        result = answer.get("result") if isinstance(answer, dict) else None
        if not isinstance(result, str):
            raise CompilationError("compilation_failed", "Superset gave no SQL.")
        return result

    def _probed(self, payload: Payload, text: str, params: dict[str, Json], inputs: Inputs) -> str:
        given = {**params, "_filters": [_as_query_filter(f) for f in inputs.filters]}
        body: dict[str, Json] = {
            "database_id": payload.database_id,
            "schema": payload.schema,
            "catalog": payload.catalog,
            "sql": probe(text),
            "client_id": secrets.token_hex(6)[:11],
            "queryLimit": 1,
            "runAsync": False,
            "select_as_cta": False,
            "expand_data": False,
            "templateParams": dump(given),
            "tab": "dataset-review probe",
        }
        form: dict[str, Json] = {"url_params": dict(inputs.url_params)} if inputs.url_params else {}
        answer = self._client.post("/api/v1/sqllab/execute/", body, _form_in_url(form))
        query = answer.get("query") if isinstance(answer, dict) else None
        executed = query.get("executedSql") if isinstance(query, dict) else None
        if not isinstance(executed, str):
            raise CompilationError("compilation_failed", "Superset did not say what it ran.")
        return probed(executed, payload.dialect)

    def _with_fixed_range(self, payload: Payload, inputs: Inputs) -> Inputs:
        """The inputs with the boundaries of every time range spelled out."""
        fixed = tuple(
            replace(f, value=self._fixed(payload, f.column, str(f.value))) if f.operator == "TEMPORAL_RANGE" else f
            for f in inputs.filters
        )
        if inputs.time_range is None:
            return replace(inputs, filters=fixed)
        return replace(inputs, filters=fixed, time_range=self._fixed(payload, inputs.time_column, inputs.time_range))

    def _fixed(self, payload: Payload, column: str | None, time_range: str) -> str:
        """A relative range resolved by Superset itself: the text of a query that it filters tells the boundaries."""
        known = boundaries(time_range)
        if known is None and payload.dataset_id is not None and column is not None:
            query: dict[str, Json] = {
                "columns": [column],
                "filters": [{"col": column, "op": "TEMPORAL_RANGE", "val": time_range}],
                "row_limit": 1,
            }
            outer = self._ask_chart_data(payload.dataset_id, query).rpartition("virtual_table")[2]
            found = dict(_TIME_LITERAL.findall(outer))
            known = (found.get(">="), found.get("<")) if found else None
        if known is None:
            raise CompilationError(
                "relative_time_unresolved",
                f"The time range {time_range} cannot be resolved together with changed values; give a fixed one.",
            )
        return f"{known[0] or ''} : {known[1] or ''}"


def _as_query_filter(item: QueryFilter) -> dict[str, Json]:
    valueless = item.value is None and item.operator.startswith("IS ")
    return {"col": item.column, "op": item.operator, **({} if valueless else {"val": item.value})}


def _form(inputs: Inputs) -> dict[str, Json]:
    """What a rendered text reads filters and URL parameters from."""
    adhoc: list[Json] = [
        {
            "clause": "WHERE",
            "expressionType": "SIMPLE",
            "subject": f.column,
            "operator": f.operator,
            "comparator": f.value,
        }
        for f in inputs.filters
    ]
    form: dict[str, Json] = {"adhoc_filters": adhoc} if adhoc else {}
    return {**form, **({"url_params": dict(inputs.url_params)} if inputs.url_params else {})}


def _form_in_url(form: dict[str, Json]) -> dict[str, str] | None:
    if not form:
        return None
    text = dump(form)
    if len(text) > _MAX_URL:
        raise CompilationError(
            "compilation_failed",
            "The filters are too long to be rendered together with changed values. Use fewer filter values.",
        )
    return {"form_data": text}


def _template_params(dataset: Dataset, inputs: Inputs) -> dict[str, Json]:
    stored = load(dataset.template_params)
    known = boundaries(inputs.time_range) if inputs.time_range is not None else None
    start, end = known or (None, None)
    times: dict[str, Json] = {"from_dttm": start} if start else {}
    times = {**times, **({"to_dttm": end} if end else {})}
    return {**(stored if isinstance(stored, dict) else {}), **times, **inputs.values}


def _is_unrendered(payload: Payload, text: str) -> bool:
    """The template came back as it was sent."""
    tags = _TAG.findall(payload.sql or "")
    return bool(tags) and all(tag in text for tag in tags)


def _templates_are_off() -> CompilationError:
    message = "Superset does not render templates (ENABLE_TEMPLATE_PROCESSING is off), so this dataset cannot run."
    condition = Condition("TEMPLATE_PROCESSING_DISABLED", message, "dataset")
    return CompilationError("unresolved_template", message, (condition,))


def _not_applied(request: CompileRequest, inputs: Inputs, text: str) -> tuple[str, ...]:
    """Columns that should be filtered and that the text does not mention."""
    columns = {c.name for c in request.dataset.columns}
    wanted = [f.column for f in inputs.filters if f.column in columns]
    if inputs.time_range is not None:
        wanted.append(inputs.time_column or "the time range")
    lowered = text.lower()
    return tuple(dict.fromkeys(name for name in wanted if name.lower() not in lowered))
