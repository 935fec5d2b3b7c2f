"""`sagitta.semantic.v1.PolledQueryService`."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from sagitta.flight.v1 import ticket_pb2
from sagitta.semantic.v1 import polled_query_service_pb2 as pb
from sagitta.semantic.v1 import polled_query_service_pb2_grpc as pb_grpc
from sagitta.semantic.v1 import query_service_pb2 as query_pb

from sagitta_server.errors import Reason, ServiceError, as_service_error
from sagitta_server.execution import CancelToken
from sagitta_server.execution.spool import Spool
from sagitta_server.models import ModelHandle
from sagitta_server.queries import QueryService, Question, Run
from sagitta_server.rpc.access import current_call, resolve_for_caller
from sagitta_server.rpc.cancelled_queries import CancelledQueries
from sagitta_server.rpc.polled_queries import PolledQueries, PolledQuery, raise_failure
from sagitta_server.rpc.query_service import read_question, result_metadata, result_summary

if TYPE_CHECKING:
    from sagitta_server.app import Engine

NAME = pb.DESCRIPTOR.services_by_name["PolledQueryService"].full_name
FOLDER = "polled"
MIB = 1_048_576
MAX_WAIT_SECONDS = 60.0
WAITING_SHARE = 4
"""One in so many of the server's threads may wait for a query to end; the other polls are answered at once."""


def register(server: grpc.Server, engine: Engine) -> tuple[str, ...]:
    """Adds the service to a server."""
    pb_grpc.add_PolledQueryServiceServicer_to_server(PolledQueryServicer(engine), server)
    return (NAME,)


def open_polled_queries(engine: Engine) -> PolledQueries:
    """The polled queries of an engine, their rows in its data directory."""
    settings = engine.settings.polling

    spool = Spool(engine.settings.data_dir / FOLDER, settings.max_result_mib * MIB)
    return PolledQueries(settings, spool, CancelledQueries(engine.database), result_summary, engine.signer.now)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A query as its caller may see it."""

    queries: QueryService
    request: query_pb.ExecuteQueryRequest
    handle: ModelHandle
    question: Question
    query_id: str

    @property
    def name(self) -> str:
        """Rows belong to what the caller may see: someone whose row policies have changed meanwhile gets other ones."""
        return hashlib.sha256(f"{self.query_id} {self.handle.row_policies!r}".encode()).hexdigest()[:32]

    def start(self, token: CancelToken) -> tuple[Run, query_pb.ResultMetadata]:
        """Starts the statement."""
        run = self.queries.run(
            self.handle,
            self.question,
            self.request.dialect,
            token=token,
            default_limit=not self.request.no_default_limit,
            timezone=self.request.timezone,
        )
        return run, result_metadata(run, self.handle, self.question)


class PolledQueryServicer(pb_grpc.PolledQueryServiceServicer):
    """Starts, polls, fetches and cancels."""

    def __init__(self, engine: Engine) -> None:
        self._models = engine.models
        self._queries = engine.queries
        self._polled = engine.polled
        self._signer = engine.signer
        self._seconds = engine.settings.polling.ticket_seconds
        self._waiting = threading.Semaphore(max(engine.settings.grpc.max_workers // WAITING_SHARE, 1))

    def StartQuery(self, request: pb.StartQueryRequest, context: grpc.ServicerContext) -> pb.StartQueryResponse:
        ticket = ticket_pb2.PolledQuery(
            principal=current_call().principal.user_id,
            query_id=uuid.uuid4().hex,
            request=request.query.SerializeToString(),
        )
        asked = self._asked(ticket)
        self._check(asked)
        query = self._polled.get(asked.name, asked.start)
        signed = self._extended(ticket)
        return pb.StartQueryResponse(ticket=signed, progress=progress_message(query, ticket))

    def PollQuery(self, request: pb.PollQueryRequest, context: grpc.ServicerContext) -> pb.PollQueryResponse:
        ticket, query = self._find(request.ticket)
        seconds = min(request.wait_seconds, MAX_WAIT_SECONDS, context.time_remaining() or MAX_WAIT_SECONDS)
        if seconds > 0 and not query.ended and self._waiting.acquire(blocking=False):
            try:
                query.wait(seconds, lambda: query.ended or not context.is_active())
            finally:
                self._waiting.release()
        signed = self._extended(ticket)
        return pb.PollQueryResponse(ticket=signed, progress=progress_message(query, ticket))

    def FetchQuery(
        self, request: pb.FetchQueryRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.FetchQueryResponse]:
        _, query = self._find(request.ticket)

        def gone() -> bool:
            return not context.is_active()

        while query.metadata is None and not query.ended and not gone():
            query.wait(0.1, lambda: query.metadata is not None or query.ended)
        if query.metadata is None:
            raise_failure(query)
        response = pb.FetchQueryResponse(metadata=query.metadata)
        for piece in self._polled.pieces(query, gone):
            if response.arrow_ipc:
                yield response
                response = pb.FetchQueryResponse()
            response.arrow_ipc = piece
        response.summary.CopyFrom(query.summary or query_pb.ResultSummary(row_count=query.rows))
        yield response

    def CancelQuery(self, request: pb.CancelQueryRequest, context: grpc.ServicerContext) -> pb.CancelQueryResponse:
        ticket = self._signer.polled(request.ticket, current_call().principal.user_id)
        query = self._polled.cancel(self._asked(ticket).name)
        if query is None:
            return pb.CancelQueryResponse(progress=pb.QueryProgress(state=pb.QUERY_STATE_CANCELLED))
        return pb.CancelQueryResponse(progress=progress_message(query, ticket))

    def _check(self, asked: _Asked) -> None:
        """Refuses a mistake now instead of at the first poll."""
        compiled = self._queries.compile(asked.handle, asked.question, asked.request.dialect)
        self._queries.source_for(compiled.dialect)

    def _find(self, body: bytes) -> tuple[ticket_pb2.PolledQuery, PolledQuery]:
        ticket = self._signer.polled(body, current_call().principal.user_id)
        asked = self._asked(ticket)
        return ticket, self._polled.get(asked.name, asked.start)

    def _asked(self, ticket: ticket_pb2.PolledQuery) -> _Asked:
        try:
            request = query_pb.ExecuteQueryRequest.FromString(ticket.request)
        except DecodeError as error:
            raise ServiceError(Reason.INVALID_REQUEST, "The ticket is malformed; start the query again.") from error
        handle = resolve_for_caller(self._models, request.session_id, request.model_id)
        return _Asked(self._queries, request, handle, read_question(request, handle), ticket.query_id)

    def _extended(self, ticket: ticket_pb2.PolledQuery) -> bytes:
        ticket.expires_at = int(self._signer.now()) + self._seconds
        return self._signer.sign(ticket)


def progress_message(query: PolledQuery, ticket: ticket_pb2.PolledQuery) -> pb.QueryProgress:
    """How far a query is, as a message."""
    failure = None if query.error is None else as_service_error(query.error)
    failed = query.state == pb.QUERY_STATE_FAILED
    return pb.QueryProgress(
        state=query.state,
        fraction=query.fraction(),
        row_count=query.rows,
        started_at=_timestamp(query.started_at),
        expires_at=_timestamp(ticket.expires_at),
        error_reason="" if not failed else failure.reason if failure else Reason.INTERNAL,
        error_message="" if not failed else failure.message if failure else "Internal server error",
    )


def _timestamp(seconds: float) -> Timestamp:
    whole = int(seconds)
    return Timestamp(seconds=whole, nanos=int((seconds - whole) * 1e9))
