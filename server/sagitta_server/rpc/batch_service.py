"""`sagitta.semantic.v1.BatchService`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from sagitta.semantic.v1 import batch_service_pb2 as pb
from sagitta.semantic.v1 import batch_service_pb2_grpc as pb_grpc
from sagitta.semantic.v1 import model_pb2
from sagitta_compiler import Diagnostic, Severity

from sagitta_server.config import BatchSettings
from sagitta_server.errors import Reason, ServiceError
from sagitta_server.models import ModelHandle, ModelSource
from sagitta_server.queries import Question
from sagitta_server.queries.batch import BatchItem, BatchLimits, BatchRunner, ItemResult, Outcome
from sagitta_server.queries.run import Run
from sagitta_server.rpc.access import current_call, resolve_for_caller
from sagitta_server.rpc.convert import (
    cache_message,
    column_messages,
    diagnostic_messages,
    explain_message,
)
from sagitta_server.rpc.ipc import ipc_pieces
from sagitta_server.rpc.read_query import UnreadableMessageError, read_query_message

if TYPE_CHECKING:
    from sagitta_server.app import Engine

NAME = pb.DESCRIPTOR.services_by_name["BatchService"].full_name
OUTCOMES = {
    Outcome.OK: pb.BATCH_STATUS_OK,
    Outcome.ERROR: pb.BATCH_STATUS_ERROR,
    Outcome.CANCELLED: pb.BATCH_STATUS_CANCELLED,
}


def register(server: grpc.Server, engine: Engine) -> tuple[str, ...]:
    """Adds the service to a server."""
    pb_grpc.add_BatchServiceServicer_to_server(BatchServicer(engine), server)
    return (NAME,)


@dataclass(frozen=True, slots=True)
class _Model:
    """The model of a batch and how it came there."""

    handle: ModelHandle
    load: model_pb2.ModelLoad.ValueType
    temporary: bool


class BatchServicer(pb_grpc.BatchServiceServicer):
    """Runs batches."""

    def __init__(self, engine: Engine) -> None:
        self._models = engine.models
        self._queries = engine.queries
        self._settings = engine.settings.batch

    def RunBatch(self, request: pb.RunBatchRequest, context: grpc.ServicerContext) -> pb.RunBatchResponse:
        items = batch_items(request, self._settings)
        if request.WhichOneof("model") == "model_yaml":
            self._models.require_uploads()
        session_id = request.session_id or self._models.create_session({}, current_call().client).session_id
        try:
            model = self._model(request, session_id)
        except ServiceError:
            if not request.session_id:
                self._models.close_session(session_id)
            raise
        try:
            results = self._run(request, model, items, context)
        finally:
            if model.temporary:
                self._models.remove(session_id, model.handle.model_id)
        return pb.RunBatchResponse(
            session_id=session_id,
            model_id=model.handle.model_id,
            model_persisted=not model.temporary,
            model_load=model.load,
            results=[_result_message(result, model.handle) for result in results],
            batch_warnings=diagnostic_messages(capped(request, self._settings)),
        )

    def _model(self, request: pb.RunBatchRequest, session_id: str) -> _Model:
        if request.WhichOneof("model") == "model_id":
            handle = resolve_for_caller(self._models, session_id, request.model_id)
            return _Model(handle, model_pb2.MODEL_LOAD_REFERENCED, temporary=False)
        loaded = self._models.load(session_id, ModelSource(request.model_yaml), dedup=not request.skip_dedup)
        load = model_pb2.MODEL_LOAD_REUSED if loaded.reused else model_pb2.MODEL_LOAD_FRESH
        return _Model(
            loaded.handle.for_caller(current_call().principal),
            load,
            temporary=not (loaded.reused or request.persist_model),
        )

    def _run(
        self, request: pb.RunBatchRequest, model: _Model, items: Sequence[BatchItem], context: grpc.ServicerContext
    ) -> tuple[ItemResult, ...]:
        cap = self._settings.max_parallelism
        wanted = request.max_parallelism if request.HasField("max_parallelism") else cap
        limits = BatchLimits(
            parallelism=min(wanted, cap, len(items)),
            query_seconds=self._settings.default_timeout_ms / 1000,
            batch_seconds=self._settings.batch_timeout_ms / 1000,
            fail_fast=request.fail_fast,
        )
        runner = BatchRunner(self._queries, model.handle, limits, _encode)
        context.add_callback(runner.cancel)
        return runner.run(items)


def capped(request: pb.RunBatchRequest, settings: BatchSettings) -> tuple[Diagnostic, ...]:
    """The warning of a batch that asks for more parallel queries than the server runs; the limit is lowered."""
    cap = settings.max_parallelism
    if not request.HasField("max_parallelism") or request.max_parallelism <= cap:
        return ()
    message = f"At most {cap} queries of a batch run at once here, not {request.max_parallelism}."
    return (
        Diagnostic(
            "MAX_PARALLELISM_CAPPED",
            message,
            "max_parallelism",
            Severity.WARNING,
            context={"requested": request.max_parallelism, "max_parallelism": cap},
        ),
    )


def batch_items(request: pb.RunBatchRequest, settings: BatchSettings) -> tuple[BatchItem, ...]:
    """The queries of a batch, with their ids.

    Raises:
        ServiceError: the batch breaks a rule.
    """
    which = request.WhichOneof("model")
    if which is None:
        raise _invalid("Send either model_yaml or model_id.")
    if which == "model_id" and not request.session_id:
        raise _invalid("model_id needs the session_id of the session that holds the model.")
    if not request.queries:
        raise _invalid("A batch needs at least one query.")
    if len(request.queries) > settings.max_queries:
        raise _invalid(f"A batch may have {settings.max_queries} queries, this one has {len(request.queries)}.")
    if request.HasField("max_parallelism") and request.max_parallelism < 1:
        raise _invalid("max_parallelism must be at least 1.")
    items = tuple(_item(query, position, request) for position, query in enumerate(request.queries))
    ids = [item.id for item in items]
    if twice := sorted({item for item in ids if ids.count(item) > 1}):
        raise _invalid(f"The ids of a batch's queries must be unique: {', '.join(twice)} is used twice.")
    return items


def _item(query: pb.BatchQuery, position: int, request: pb.RunBatchRequest) -> BatchItem:
    return BatchItem(
        id=query.id or f"q{position}",
        question=_question(query, position),
        dialect=query.dialect or request.dialect,
        execute=query.execute if query.HasField("execute") else request.execute,
    )


def _question(query: pb.BatchQuery, position: int) -> Question:
    match query.WhichOneof("question"):
        case "query_text":
            return Question(text=query.query_text)
        case "query":
            try:
                return Question(query=read_query_message(query.query))
            except UnreadableMessageError as error:
                raise _invalid(f"queries[{position}].query.{error.path} {error}") from None
        case _:
            raise _invalid(f"queries[{position}] asks nothing; send a query.")


def _invalid(message: str) -> ServiceError:
    return ServiceError(Reason.BATCH_INVALID, message)


def _encode(run: Run) -> bytes:
    return b"".join(ipc_pieces(run.schema, run.batches()))


def _result_message(result: ItemResult, handle: ModelHandle) -> pb.BatchResult:
    message = pb.BatchResult(id=result.id, status=OUTCOMES[result.outcome], executed=result.run is not None)
    if (compiled := result.compiled) is not None:
        message.sql, message.dialect, message.sql_valid = compiled.sql, compiled.dialect, compiled.sql_valid
        message.explain.CopyFrom(explain_message(compiled.explain))
        message.warnings.extend(diagnostic_messages(compiled.warnings))
        message.physical_tables.extend(compiled.physical_tables)
        schema = result.run.schema if result.run else None
        message.columns.extend(column_messages(compiled, handle.model, schema))
    if result.run is not None and result.summary is not None:
        message.arrow_ipc = result.rows
        message.row_count = result.summary.row_count
        message.execution_time_ms = result.summary.execution_time_ms
        message.warnings.extend(diagnostic_messages(result.summary.warnings))
        message.cache.CopyFrom(cache_message(result.run.cached_at, result.run.freshness))
        message.timezone = result.run.timezone
    if (failure := result.failure) is not None:
        message.error.CopyFrom(
            pb.BatchError(code=failure.code, message=failure.message, path=failure.path or None, hint=failure.hint)
        )
    return message
