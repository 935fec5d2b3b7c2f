"""`sagitta.semantic.v1.QueryService`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import grpc
from sagitta.semantic.v1 import query_service_pb2 as pb
from sagitta.semantic.v1 import query_service_pb2_grpc as pb_grpc
from sagitta_compiler import CompiledQuery, CompileError, Diagnostic, Severity

from sagitta_server.cache import accepted_age
from sagitta_server.errors import Reason, ServiceError, compile_error
from sagitta_server.execution import SourceError
from sagitta_server.models import ModelHandle
from sagitta_server.queries import Question, Run
from sagitta_server.rpc.access import metadata_of, resolve_for_caller
from sagitta_server.rpc.convert import (
    cache_message,
    column_messages,
    diagnostic_messages,
    explain_message,
    join_message,
    resolved_message,
)
from sagitta_server.rpc.ipc import ipc_pieces
from sagitta_server.rpc.read_query import UnreadableMessageError, read_query_message

if TYPE_CHECKING:
    from sagitta_server.app import Engine

NAME = pb.DESCRIPTOR.services_by_name["QueryService"].full_name
ANSWERED_BY_STATUS = frozenset({"UNSUPPORTED_DIALECT"})
"""Mistakes that `PlanQuery` refuses instead of describing."""

Request = pb.CompileQueryRequest | pb.PlanQueryRequest | pb.ExecuteQueryRequest


def register(server: grpc.Server, engine: Engine) -> tuple[str, ...]:
    """Adds the service to a server."""
    pb_grpc.add_QueryServiceServicer_to_server(QueryServicer(engine), server)
    return (NAME,)


class QueryServicer(pb_grpc.QueryServiceServicer):
    """Compiles, plans and executes."""

    def __init__(self, engine: Engine) -> None:
        self._models = engine.models
        self._queries = engine.queries

    def CompileQuery(self, request: pb.CompileQueryRequest, context: grpc.ServicerContext) -> pb.CompileQueryResponse:
        handle = resolve_for_caller(self._models, request.session_id, request.model_id)
        question = read_question(request, handle)
        compiled = self._queries.compile(handle, question, request.dialect)
        return pb.CompileQueryResponse(
            sql=compiled.sql,
            dialect=compiled.dialect,
            resolved=resolved_message(compiled),
            warnings=diagnostic_messages(compiled.warnings),
            sql_valid=compiled.sql_valid,
            explain=explain_message(compiled.explain),
            physical_tables=compiled.physical_tables,
            columns=column_messages(compiled, handle.model),
            query_text=question.translated,
        )

    def PlanQuery(self, request: pb.PlanQueryRequest, context: grpc.ServicerContext) -> pb.PlanQueryResponse:
        handle = resolve_for_caller(self._models, request.session_id, request.model_id)
        try:
            compiled = self._queries.compile(handle, read_question(request, handle), request.dialect)
        except CompileError as error:
            if any(diagnostic.code in ANSWERED_BY_STATUS for diagnostic in error.diagnostics):
                raise
            return pb.PlanQueryResponse(
                status=pb.PLAN_STATUS_ERROR, warnings=diagnostic_messages(error.diagnostics), would_compile=False
            )
        response = _plan(compiled)
        if request.include_database_explain:
            self._add_database_explain(response, compiled)
        return response

    def ExecuteQuery(
        self, request: pb.ExecuteQueryRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.ExecuteQueryResponse]:
        handle = resolve_for_caller(self._models, request.session_id, request.model_id)
        question = read_question(request, handle)
        token = self._queries.token(context.time_remaining())
        context.add_callback(token.cancel)
        run = self._queries.run(
            handle,
            question,
            request.dialect,
            token=token,
            default_limit=not request.no_default_limit,
            timezone=request.timezone,
            accepted_age=accepted_age(metadata_of(context).get("cache-control")),
        )
        try:
            yield from _responses(run, handle, question)
        finally:
            run.close()

    def _add_database_explain(self, response: pb.PlanQueryResponse, compiled: CompiledQuery) -> None:
        try:
            plan = self._queries.explain(compiled)
        except (SourceError, ServiceError) as error:
            warning = Diagnostic(
                "DATABASE_EXPLAIN_FAILED",
                f"The warehouse did not explain the statement: {error}",
                severity=Severity.WARNING,
                context={"dialect": compiled.dialect},
            )
            response.warnings.extend(diagnostic_messages([warning]))
            return
        response.database_explain.CopyFrom(
            pb.DatabaseExplain(
                dialect=compiled.dialect, compiled_sql=compiled.sql, explain_output=plan, explain_format="text"
            )
        )


def read_question(request: Request, handle: ModelHandle) -> Question:
    """The question of a request.

    Raises:
        ServiceError: the request asks nothing, or a field of its message has no meaning.
        CompileError: its SQL cannot be translated.
    """
    match request.WhichOneof("question"):
        case "query_text":
            return Question(text=request.query_text)
        case "query":
            try:
                return Question(query=read_query_message(request.query))
            except UnreadableMessageError as error:
                raise ServiceError(
                    Reason.INVALID_REQUEST, f"query.{error.path} {error}", metadata={"path": f"query.{error.path}"}
                ) from None
        case "semantic_sql":
            return _translated(request.semantic_sql, handle)
        case _:
            raise ServiceError(Reason.INVALID_REQUEST, "Send a query, as query, query_text or semantic_sql.")


def _translated(sql: str, handle: ModelHandle) -> Question:
    from sagitta_server.queries.semantic_sql import translate  # noqa: PLC0415 (loads the SQL parser)

    try:
        return translate(sql, handle)
    except CompileError as error:
        raise compile_error(error, Reason.SQL_TRANSLATION_FAILED) from None


def _plan(compiled: CompiledQuery) -> pb.PlanQueryResponse:
    explain = compiled.explain
    return pb.PlanQueryResponse(
        status=pb.PLAN_STATUS_OK,
        planner=explain.planner,
        planner_reason=explain.planner_reason,
        physical_tables=compiled.physical_tables,
        join_path=[join_message(join) for join in explain.joins],
        filters_applied=explain.where_filter_count + explain.having_filter_count,
        warnings=diagnostic_messages(compiled.warnings),
        would_compile=True,
        compiled_sql_length_estimate=len(compiled.sql),
    )


def _responses(run: Run, handle: ModelHandle, question: Question) -> Iterator[pb.ExecuteQueryResponse]:
    """One response for a small result; else the metadata come with the first piece and the summary with the last."""
    response = pb.ExecuteQueryResponse(metadata=result_metadata(run, handle, question))
    for piece in ipc_pieces(run.schema, run.batches()):
        if response.arrow_ipc:
            yield response
            response = pb.ExecuteQueryResponse()
        response.arrow_ipc = piece
    response.summary.CopyFrom(result_summary(run))
    yield response


def result_summary(run: Run) -> pb.ResultSummary:
    """What is known of a result after its rows."""
    summary = run.summary
    return pb.ResultSummary(
        row_count=summary.row_count,
        execution_time_ms=summary.execution_time_ms,
        truncated=summary.truncated,
        warnings=diagnostic_messages(summary.warnings),
    )


def result_metadata(run: Run, handle: ModelHandle, question: Question) -> pb.ResultMetadata:
    """What is known of a result before its rows."""
    compiled = run.compiled
    return pb.ResultMetadata(
        sql=compiled.sql,
        dialect=compiled.dialect,
        columns=column_messages(compiled, handle.model, run.schema),
        resolved=resolved_message(compiled),
        warnings=diagnostic_messages(run.warnings),
        sql_valid=compiled.sql_valid,
        explain=explain_message(compiled.explain),
        physical_tables=compiled.physical_tables,
        cache=cache_message(run.cached_at, run.freshness),
        timezone=run.timezone,
        locale=run.locale,
        query_text=question.translated,
    )
