"""`sagitta.semantic.v1.QueryService`."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Query, Request
from pydantic import BaseModel, ConfigDict, Field, InstanceOf, WithJsonSchema
from sagitta.semantic.v1 import query_service_pb2 as pb
from sagitta.semantic.v1 import result_pb2
from starlette.responses import Response

from sagitta_gateway.bodies import JsonText, answer_of, json_text
from sagitta_gateway.convert import Body as JsonBody
from sagitta_gateway.convert import to_body
from sagitta_gateway.engine import metadata, stubs
from sagitta_gateway.error_schema import errors
from sagitta_gateway.errors import HttpError
from sagitta_gateway.negotiation import wanted_format
from sagitta_gateway.openapi import COMPONENT, answers, body_of, object_of, properties_of
from sagitta_gateway.results.formats import MEDIA_TYPES, Delivery, ResultFormat
from sagitta_gateway.results.formatting import UnknownLocale, find_locale
from sagitta_gateway.results.stream import answer as result_answer
from sagitta_gateway.routes.direct import DirectRoute
from sagitta_gateway.routes.scope import SessionId
from sagitta_gateway.schemas import COMPONENTS

router = APIRouter(tags=["queries"], default_response_class=Response, route_class=DirectRoute)

MAX_SQL = 200_000
_QUERY_OBJECT = WithJsonSchema({"type": "object", COMPONENT: "QueryObject"})
QueryBody = Annotated[dict[str, Any], _QUERY_OBJECT]
"""A query object; the engine reads it, so that every surface answers its mistakes alike."""
ListedQuery = Annotated[dict[str, Any] | InstanceOf[JsonText], _QUERY_OBJECT]
"""The same among others, perhaps left as the text that it came as."""


class QueryRequest(BaseModel):
    """A question to a model of the session."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_id: str = Field(min_length=1, description="The model.", examples=["abcd1234"])
    query: QueryBody = Field(description="The question.")
    dialect: str | None = Field(
        default=None,
        description="When omitted: the model's default, else `DB_VENDOR`, else that of the first warehouse.",
        examples=["duckdb"],
    )


class PlanRequest(QueryRequest):
    """A question whose plan is wanted."""

    include_database_explain: bool = Field(
        default=False, description="Also runs EXPLAIN; one round trip, which some warehouses bill."
    )


class ShortcutPlanRequest(PlanRequest):
    """The same, for the only model."""

    model_id: str = Field(default="", description="Ignored.")


class SemanticQuery(BaseModel):
    """SQL on a model's virtual table."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_id: str = Field(min_length=1, description="The model.", examples=["abcd1234"])
    sql: str = Field(
        min_length=1, max_length=MAX_SQL, examples=['SELECT "Country", "Revenue" FROM sales ORDER BY 2 DESC']
    )
    dialect: str | None = None


DialectParameter = Annotated[str | None, Query(description="When omitted: model, server, postgres.")]


def unwrapped(body: dict[str, Any], dialect: str | None) -> tuple[str, str]:
    """The query and the dialect of a shortcut, whose body is the query itself or, as below a session, wraps it."""
    wrapped = body.get("query")
    if "select" in body or not isinstance(wrapped, dict):
        return json_text(body), dialect or ""
    stated = body.get("dialect")
    return json_text(wrapped), dialect or (stated if isinstance(stated, str) else "")


# ---------------------------------------------------------------- sql

QUERY = {"$ref": f"{COMPONENTS}QueryObject", "description": "What the SQL was translated to."}
_COMPILED = object_of(
    pb.CompileQueryResponse,
    "CompiledQuery",
    keys=("sql", "dialect", "resolved", "warnings", "sql_valid", "explain", "physical_tables", "columns"),
    also={"query": QUERY},
)
_SQL = {**answers(_COMPILED, "The SQL."), **errors(400, 404, 410, 422)}


@router.post(
    "/v1/sessions/{session_id}/query/sql", operation_id="compile_query", summary="Compiles a query", responses=_SQL
)
async def compile_query(request: Request, session_id: SessionId, body: Annotated[QueryRequest, Body()]) -> Response:
    return await _compile(
        request,
        pb.CompileQueryRequest(
            session_id=session_id,
            model_id=body.model_id,
            query_text=json_text(body.query),
            dialect=body.dialect or "",
        ),
    )


@router.post(
    "/v1/query/sql",
    operation_id="compile_query_shortcut",
    summary="Compiles a query (the only model)",
    responses={**_SQL, **errors(404, 409)},
)
async def compile_query_shortcut(
    request: Request, body: Annotated[QueryBody, Body()], dialect: DialectParameter = None
) -> Response:
    text, chosen = unwrapped(body, dialect)
    return await _compile(request, pb.CompileQueryRequest(query_text=text, dialect=chosen))


@router.post(
    "/v1/sessions/{session_id}/query/semantic-ql/compile",
    operation_id="compile_semantic_sql",
    summary="Translates SQL on the model's virtual table and compiles it",
    responses=_SQL,
)
async def compile_semantic_sql(
    request: Request, session_id: SessionId, body: Annotated[SemanticQuery, Body()]
) -> Response:
    message = pb.CompileQueryRequest(
        session_id=session_id, model_id=body.model_id, semantic_sql=body.sql, dialect=body.dialect or ""
    )
    return await _compile(request, message)


async def _compile(request: Request, message: pb.CompileQueryRequest) -> Response:
    answer = await stubs(request).queries.CompileQuery(message, metadata=metadata(request))
    return await answer_of(answer, _compiled)


def _compiled(answer: pb.CompileQueryResponse) -> JsonBody:
    """The documented body; `query` is there where the question was SQL."""
    body = to_body(answer)
    text = body.pop("query_text")
    return body if text is None else {**body, "query": orjson.loads(text)}


# ---------------------------------------------------------------- plan

_PLAN = {
    **answers(body_of(pb.PlanQueryResponse), "The plan; a query that cannot be compiled has status error."),
    **errors(400, 404, 410, 422),
}


@router.post(
    "/v1/sessions/{session_id}/query/plan",
    operation_id="plan_query",
    summary="Describes the plan of a query without running it",
    responses=_PLAN,
)
async def plan_query(request: Request, session_id: SessionId, body: Annotated[PlanRequest, Body()]) -> Response:
    return await _plan(request, session_id, body.model_id, body)


@router.post(
    "/v1/query/plan",
    operation_id="plan_query_shortcut",
    summary="Describes the plan of a query (the only model)",
    responses={**_PLAN, **errors(404, 409)},
)
async def plan_query_shortcut(request: Request, body: Annotated[ShortcutPlanRequest, Body()]) -> Response:
    return await _plan(request, "", "", body)


async def _plan(request: Request, session_id: str, model_id: str, body: PlanRequest) -> Response:
    message = pb.PlanQueryRequest(
        session_id=session_id,
        model_id=model_id,
        query_text=json_text(body.query),
        dialect=body.dialect or "",
        include_database_explain=body.include_database_explain,
    )
    answer = await stubs(request).queries.PlanQuery(message, metadata=metadata(request))
    return await answer_of(answer)


# ---------------------------------------------------------------- execute


class ResultParameters(BaseModel):
    """How the result is wanted."""

    format: ResultFormat | None = Field(
        default=None, description="Without it the Accept header decides, and JSON without that."
    )
    format_values: bool = Field(
        default=False, description="Numeric cells become display texts by the column's pattern; TSV always does."
    )
    locale: str | None = Field(
        default=None, description="BCP 47 tag for the display texts.", examples=["de"], max_length=64
    )
    timezone: str | None = Field(
        default=None,
        description="IANA zone in which naive timestamps are meant.",
        examples=["Europe/Berlin"],
        max_length=64,
    )

    def delivery(self, accept: str) -> Delivery:
        """The format and the locale.

        Raises:
            UnknownLocale: the locale is none.
        """
        chosen = wanted_format(self.format, accept)
        display = self.format_values or chosen is ResultFormat.TSV
        return Delivery(chosen, display=display, locale=find_locale(self.locale) if self.locale else None)


class ShortcutResultParameters(ResultParameters):
    """The same, and the dialect, for which the body of the shortcut has no place."""

    dialect: str | None = Field(default=None, description="When omitted: model, server, postgres.")


Parameters = Annotated[ResultParameters, Query()]

RESULT_COLUMN = object_of(result_pb2.ResultColumn, "QueryResultColumn", unset_left_out=True)
ROWS = {"type": "array", "items": {"type": "array", "items": {}}, "description": "A list of cells per row."}
_RESULT_SCHEMA = object_of(
    pb.ResultMetadata,
    "QueryResult",
    keys=("sql", "dialect", "columns", "timezone", "resolved", "sql_valid", "warnings", "explain", "physical_tables"),
    also={
        "columns": {"type": "array", "items": RESULT_COLUMN},
        "rows": ROWS,
        **{key: schema for key, schema in properties_of(pb.ResultSummary).items() if key != "warnings"},
        "query": QUERY,
        **properties_of(result_pb2.CacheOutcome),
    },
    required=(
        *("columns", "rows", "row_count", "execution_time_ms", "truncated"),
        *("cached", "cached_at", "ttl_seconds", "ttl_source", "ttl_limiting_table"),
    ),
)


def _execute_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    described = answers(_RESULT_SCHEMA, "The result.")
    content = described[200]["content"]
    for media in MEDIA_TYPES.values():
        name = media.partition(";")[0]
        kind = {"type": "string"} if name.startswith("text/") or name.endswith("ndjson") else {"format": "binary"}
        content.setdefault(name, {"schema": {"type": "string", **kind}})
    described[200]["headers"] = {
        "X-Result-Row-Count": {"schema": {"type": "integer"}, "description": "Rows; absent on streamed results."},
        "X-Result-Truncated": {"schema": {"type": "boolean"}, "description": "Whether the default limit cut."},
    }
    return {**described, **errors(400, 404, 422, 502, 503, *statuses)}


@router.post(
    "/v1/sessions/{session_id}/query/execute",
    operation_id="execute_query",
    summary="Runs a query",
    responses=_execute_responses(410),
)
async def execute_query(
    request: Request, session_id: SessionId, body: Annotated[QueryRequest, Body()], parameters: Parameters
) -> Response:
    message = pb.ExecuteQueryRequest(
        session_id=session_id,
        model_id=body.model_id,
        query_text=json_text(body.query),
        dialect=body.dialect or "",
    )
    return await _execute(request, message, parameters)


@router.post(
    "/v1/query/execute",
    operation_id="execute_query_shortcut",
    summary="Runs a query (the only model)",
    responses=_execute_responses(409),
)
async def execute_query_shortcut(
    request: Request,
    body: Annotated[QueryBody, Body()],
    parameters: Annotated[ShortcutResultParameters, Query()],
) -> Response:
    text, chosen = unwrapped(body, parameters.dialect)
    message = pb.ExecuteQueryRequest(query_text=text, dialect=chosen)
    return await _execute(request, message, parameters)


@router.post(
    "/v1/sessions/{session_id}/query/semantic-ql",
    operation_id="execute_semantic_sql",
    summary="Translates SQL on the model's virtual table and runs it",
    responses=_execute_responses(410),
)
async def execute_semantic_sql(
    request: Request, session_id: SessionId, body: Annotated[SemanticQuery, Body()], parameters: Parameters
) -> Response:
    message = pb.ExecuteQueryRequest(
        session_id=session_id, model_id=body.model_id, semantic_sql=body.sql, dialect=body.dialect or ""
    )
    return await _execute(request, message, parameters)


async def _execute(request: Request, message: pb.ExecuteQueryRequest, parameters: ResultParameters) -> Response:
    try:
        delivery = parameters.delivery(request.headers.get("accept", ""))
    except UnknownLocale as error:
        told = f"Unknown locale: '{error}'; send a BCP 47 tag such as de or en-US"
        return HttpError(400, {"detail": told, "code": "UNKNOWN_LOCALE"}).response()
    message.timezone = parameters.timezone or ""
    call = stubs(request).queries.ExecuteQuery(message, metadata=metadata(request))
    return await result_answer(request, call, delivery, request.app.state.settings.max_buffered_bytes)
