"""Sessions: listed, started, read, changed, watched."""

from __future__ import annotations

from collections.abc import Iterator

from sagitta.review.v1 import review_pb2 as pb
from sagitta.review.v1 import review_sessions_service_pb2 as sessions_pb
from sagitta.review.v1 import review_sessions_service_pb2_grpc as sessions_grpc

from sagitta_server.auth import Permission, Principal
from sagitta_server.reviews.enums import ReadinessState, SessionStatus, SourceKind
from sagitta_server.reviews.settle import active_task
from sagitta_server.reviews.starting import Started
from sagitta_server.reviews.watch import follow_events
from sagitta_server.reviews.work import as_reader
from sagitta_server.rpc.reviews import convert
from sagitta_server.rpc.reviews.boundary import Context, Handlers, answers, end_of, expected, streams, tell

_StartRequest = sessions_pb.StartSessionRequest | sessions_pb.StartSessionStreamRequest


class SessionHandlers(Handlers, sessions_grpc.ReviewSessionsServiceServicer):
    """`sagitta.review.v1.ReviewSessionsService`."""

    @answers
    def ListSessions(
        self, request: sessions_pb.ListSessionsRequest, context: Context, caller: Principal
    ) -> sessions_pb.ListSessionsResponse:
        page = request.page if request.HasField("page") else 1
        size = request.page_size if request.HasField("page_size") else 20
        found = self._service.list_sessions(
            caller,
            convert.enum_value(SessionStatus, request.status),
            convert.enum_value(ReadinessState, request.readiness_state),
            page,
            size,
        )
        return sessions_pb.ListSessionsResponse(
            collection=pb.SessionCollection(
                items=[convert.session_summary(s) for s in found.sessions],
                total=found.total,
                page=page,
                page_size=size,
                has_next=page * size < found.total,
            )
        )

    @answers
    def StartSession(
        self, request: sessions_pb.StartSessionRequest, context: Context, caller: Principal
    ) -> sessions_pb.StartSessionResponse:
        started = self._start(caller, request, wait=not request.no_wait)
        tell(context, started.review, replayed=started.replayed)
        return sessions_pb.StartSessionResponse(session=convert.summary(started.review))

    @streams
    def StartSessionStream(
        self, request: sessions_pb.StartSessionStreamRequest, context: Context, caller: Principal
    ) -> Iterator[sessions_pb.StartSessionStreamResponse]:
        started = self._start(caller, request, wait=False)
        task, session_id = active_task(started.review), started.review.session_id
        for stored in follow_events(self._service, as_reader(caller), session_id, 0, end_of(context, caller)):
            if stored is None:
                continue
            message = convert.event(stored, session_id)
            yield sessions_pb.StartSessionStreamResponse(event=message)
            if message.WhichOneof("payload") == "summary" and message.summary.active_task_id != (task or ""):
                return

    @answers
    def GetSession(
        self, request: sessions_pb.GetSessionRequest, context: Context, caller: Principal
    ) -> sessions_pb.GetSessionResponse:
        review = self._service.get_session(caller, request.session_id)
        tell(context, review)
        return sessions_pb.GetSessionResponse(detail=convert.detail(review))

    @answers
    def UpdateSession(
        self, request: sessions_pb.UpdateSessionRequest, context: Context, caller: Principal
    ) -> sessions_pb.UpdateSessionResponse:
        caller.require(Permission.SESSION_MANAGE)
        review = self._service.update_session(
            caller,
            request.session_id,
            convert.required_enum(SessionStatus, request.status, "body.status"),
            request.note if request.HasField("note") else None,
            expected(request),
        )
        tell(context, review)
        return sessions_pb.UpdateSessionResponse(session=convert.summary(review))

    @answers
    def DeleteSession(
        self, request: sessions_pb.DeleteSessionRequest, context: Context, caller: Principal
    ) -> sessions_pb.DeleteSessionResponse:
        self._service.delete_session(caller, request.session_id, hard=request.hard_delete, expected=expected(request))
        return sessions_pb.DeleteSessionResponse()

    @streams
    def WatchSession(
        self, request: sessions_pb.WatchSessionRequest, context: Context, caller: Principal
    ) -> Iterator[sessions_pb.WatchSessionResponse]:
        session_id = request.session_id
        sequence = request.after_sequence
        events = follow_events(self._service, caller, session_id, sequence, end_of(context, caller))
        for stored in self._waiting.admit(events):
            if stored is None:
                yield sessions_pb.WatchSessionResponse(event=_heartbeat(sequence))
                continue
            sequence = stored.sequence
            yield sessions_pb.WatchSessionResponse(event=convert.event(stored, session_id))

    @answers
    def DiffSession(
        self, request: sessions_pb.DiffSessionRequest, context: Context, caller: Principal
    ) -> sessions_pb.DiffSessionResponse:
        older, newer, changes = self._service.diff(
            caller,
            request.session_id,
            request.from_version if request.HasField("from_version") else None,
            request.to_version if request.HasField("to_version") else None,
        )
        return sessions_pb.DiffSessionResponse(
            from_version=older,
            to_version=newer,
            changes=[sessions_pb.SemanticChange(**convert.change_fields(c)) for c in changes],
        )

    def _start(self, caller: Principal, request: _StartRequest, *, wait: bool) -> Started:
        caller.require(Permission.SESSION_MANAGE)
        return self._service.start_session(
            caller,
            convert.required_enum(SourceKind, request.source_kind, "body.source_kind"),
            request.source_input,
            request.environment_id,
            key=request.idempotency_key,
            wait=wait,
        )


def _heartbeat(sequence: int) -> pb.SessionEvent:
    message = pb.SessionEvent(sequence=sequence, kind="heartbeat")
    message.at.GetCurrentTime()
    return message
