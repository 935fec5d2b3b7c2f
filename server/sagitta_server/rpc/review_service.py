"""The review services: each handler authenticates, calls the service, and turns the answer into a message."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from sagitta.review.v1 import clarification_service_pb2 as clarification_pb
from sagitta.review.v1 import clarification_service_pb2_grpc as clarification_grpc
from sagitta.review.v1 import mapping_review_service_pb2 as mapping_pb
from sagitta.review.v1 import mapping_review_service_pb2_grpc as mapping_grpc
from sagitta.review.v1 import preview_launch_service_pb2 as launch_pb
from sagitta.review.v1 import preview_launch_service_pb2_grpc as launch_grpc
from sagitta.review.v1 import review_environments_service_pb2 as environments_pb
from sagitta.review.v1 import review_environments_service_pb2_grpc as environments_grpc
from sagitta.review.v1 import review_exports_service_pb2 as exports_pb
from sagitta.review.v1 import review_exports_service_pb2_grpc as exports_grpc
from sagitta.review.v1 import review_pb2 as pb
from sagitta.review.v1 import review_sessions_service_pb2 as sessions_pb
from sagitta.review.v1 import review_sessions_service_pb2_grpc as sessions_grpc
from sagitta.review.v1 import semantic_review_service_pb2 as semantic_pb
from sagitta.review.v1 import semantic_review_service_pb2_grpc as semantic_grpc

from sagitta_server.auth import AuthenticationError, Authenticator, Permission, PermissionDeniedError, Principal
from sagitta_server.reviews.answers import Answer
from sagitta_server.reviews.errors import ReviewError, Violation, grpc_status, http_status, validation_error
from sagitta_server.reviews.field_decisions import FieldUpdate
from sagitta_server.reviews.json_text import dump
from sagitta_server.reviews.mapping_decisions import MappingUpdate
from sagitta_server.reviews.publishing import Wish
from sagitta_server.reviews.run_rows import RunRows
from sagitta_server.reviews.service import LaunchAnswer, PreviewAnswer, ReviewService
from sagitta_server.reviews.settle import active_task
from sagitta_server.reviews.values import (
    AnswerKind,
    ArtifactFormat,
    ArtifactType,
    LaunchStatus,
    MappingMethod,
    PreviewStatus,
    ReadinessState,
    Review,
    SemanticSourceType,
    SessionStatus,
    SourceKind,
)
from sagitta_server.reviews.watch import follow_events
from sagitta_server.rpc import review_convert as convert
from sagitta_server.rpc.access import REQUEST_ID, SESSION_VERSION, metadata_of

if TYPE_CHECKING:
    from sagitta_server.app import Engine

log = logging.getLogger("sagitta.rpc")
ERROR_KEY = "review-error-bin"
REPLAY_KEY = "idempotent-replay"
CHUNK = 65_536
RESULT_CHUNK = 1_048_576
_TEXTS = ("verbose_name", "description", "display_format")

Context = grpc.ServicerContext
R = TypeVar("R")


def register(server: grpc.Server, engine: Engine) -> tuple[str, ...]:
    """Adds the review services to a server and returns their full names."""
    return add_review_services(server, engine.reviews.service, engine.authenticator, engine.run_rows)


def add_review_services(
    server: grpc.Server,
    service: ReviewService,
    authenticator: Authenticator,
    run_rows: RunRows,
) -> tuple[str, ...]:
    """As `register`, from the parts."""
    caller = Caller(authenticator)
    sessions_grpc.add_ReviewSessionsServiceServicer_to_server(SessionsServicer(service, caller), server)
    semantic_grpc.add_SemanticReviewServiceServicer_to_server(SemanticServicer(service, caller), server)
    clarification_grpc.add_ClarificationServiceServicer_to_server(ClarificationServicer(service, caller), server)
    mapping_grpc.add_MappingReviewServiceServicer_to_server(MappingServicer(service, caller), server)
    launch_grpc.add_PreviewLaunchServiceServicer_to_server(LaunchServicer(service, caller, run_rows), server)
    exports_grpc.add_ReviewExportsServiceServicer_to_server(ExportsServicer(service, caller), server)
    environments_grpc.add_ReviewEnvironmentsServiceServicer_to_server(EnvironmentsServicer(service, caller), server)
    files = (sessions_pb, semantic_pb, clarification_pb, mapping_pb, launch_pb, exports_pb, environments_pb)
    return tuple(s.full_name for file in files for s in file.DESCRIPTOR.services_by_name.values())


class Caller:
    """Authenticates calls and turns every failure into one kind of status."""

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    def principal(self, context: Context) -> Principal:
        """The verified caller."""
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        return self._authenticator.authenticate(metadata.get("authorization"))

    def call(self, context: Context, body: Callable[[Principal], R], request: Message | None = None) -> R:
        """Runs a unary handler."""
        try:
            refuse_nul(request)
            return body(self.principal(context))
        except Exception as error:  # noqa: BLE001 - the boundary: every failure becomes a status
            fail(context, error)

    def stream(
        self, context: Context, body: Callable[[Principal], Iterator[R]], request: Message | None = None
    ) -> Iterator[R]:
        """Runs a streaming handler."""
        try:
            refuse_nul(request)
            yield from body(self.principal(context))
        except Exception as error:  # noqa: BLE001 - the boundary: every failure becomes a status
            fail(context, error)


def refuse_nul(request: Message | None) -> None:
    """Refuses texts with a NUL character, which no database stores and nobody means.

    Raises:
        ReviewError: `validation_error`, naming the field.
    """
    for field, value in request.ListFields() if request is not None else ():
        if isinstance(value, str) and "\x00" in value:
            raise validation_error(Violation(f"body.{field.name}", "must not hold a NUL character"))


def fail(context: Context, error: Exception) -> NoReturn:
    """Ends a call with the status of an error."""
    known = as_review_error(error, metadata_of(context).get(REQUEST_ID, "")[:128])
    detail = convert.error_detail(known, http_status(known.code), "" if known.details is None else dump(known.details))
    info = AnyMessage()
    info.Pack(error_details_pb2.ErrorInfo(reason=known.code.upper(), domain="sagitta.review"))
    code = grpc.StatusCode[grpc_status(known.code)]
    status = status_pb2.Status(code=code.value[0], message=known.message, details=[info])
    packed = rpc_status.to_status(status)
    context.set_trailing_metadata((*(packed.trailing_metadata or ()), (ERROR_KEY, detail.SerializeToString())))
    context.abort(code, known.message)
    raise AssertionError("unreachable")


def as_review_error(error: Exception, request_id: str = "") -> ReviewError:
    """Every failure as an error of the contract; a defect tells its trace id and nothing else."""
    match error:
        case ReviewError():
            return error
        case AuthenticationError():
            return ReviewError("unauthenticated", str(error))
        case PermissionDeniedError():
            return ReviewError("permission_denied", str(error), {"required": list(error.required)})
        case _:
            trace_id = uuid.uuid4().hex
            log.error("review call failed (trace %s)", trace_id, exc_info=error, extra={"request_id": request_id})
            return ReviewError(
                "internal_error", f"Something went wrong here (trace {trace_id}).", {"trace_id": trace_id}
            )


def expected(request: Any) -> int | None:
    """The version that a mutation is about."""
    return request.expected_version if request.HasField("expected_version") else None


def tell(context: Context, review: Review, *, replayed: bool = False) -> None:
    """Sends the session's version with the answer."""
    extra = ((REPLAY_KEY, "true"),) if replayed else ()
    context.set_trailing_metadata(((SESSION_VERSION, str(review.session.version)), *extra))


def alive(context: Context, principal: Principal) -> Callable[[], bool]:
    """Whether a stream should end: the reader is gone or its token has expired."""

    def ended() -> bool:
        if not context.is_active():
            return True
        if principal.expires_at is not None and datetime.now(UTC) >= principal.expires_at:
            raise AuthenticationError("The token has expired; get a new one.")
        return False

    return ended


class Watchers:
    """Counts open streams of events, because each holds a thread of the server."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._free = threading.BoundedSemaphore(limit)

    def admit(self, stream: Iterator[R]) -> Iterator[R]:
        """The stream, if there is room for it.

        Raises:
            ReviewError: `rate_limited`.
        """
        if not self._free.acquire(blocking=False):
            raise ReviewError(
                "rate_limited", f"{self._limit} streams of events are open already; try again.", {"retry_after_s": 5}
            )
        try:
            yield from stream
        finally:
            self._free.release()


class SessionsServicer(sessions_grpc.ReviewSessionsServiceServicer):
    """`sagitta.review.v1.ReviewSessionsService`."""

    def __init__(self, service: ReviewService, caller: Caller) -> None:
        self._service, self._caller = service, caller
        self._watchers = Watchers(service.settings.max_watchers)

    def ListSessions(
        self, request: sessions_pb.ListSessionsRequest, context: Context
    ) -> sessions_pb.ListSessionsResponse:
        def body(principal: Principal) -> sessions_pb.ListSessionsResponse:
            page = request.page if request.HasField("page") else 1
            size = request.page_size if request.HasField("page_size") else 20
            found = self._service.list_sessions(
                principal,
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

        return self._caller.call(context, body, request)

    def StartSession(
        self, request: sessions_pb.StartSessionRequest, context: Context
    ) -> sessions_pb.StartSessionResponse:
        def body(principal: Principal) -> sessions_pb.StartSessionResponse:
            principal.require(Permission.SESSION_MANAGE)
            started = self._service.start_session(
                principal,
                convert.required_enum(SourceKind, request.source_kind, "body.source_kind"),
                request.source_input,
                request.environment_id,
                key=request.idempotency_key,
                wait=not request.no_wait,
            )
            tell(context, started.review, replayed=started.replayed)
            return sessions_pb.StartSessionResponse(session=convert.summary(started.review))

        return self._caller.call(context, body, request)

    def StartSessionStream(
        self, request: sessions_pb.StartSessionStreamRequest, context: Context
    ) -> Iterator[sessions_pb.StartSessionStreamResponse]:
        def body(principal: Principal) -> Iterator[sessions_pb.StartSessionStreamResponse]:
            started = self._service.start_session(
                principal,
                convert.required_enum(SourceKind, request.source_kind, "body.source_kind"),
                request.source_input,
                request.environment_id,
                key=request.idempotency_key,
                wait=False,
            )
            task, session_id = active_task(started.review), started.review.session_id
            reader = Principal(principal.user_id, principal.permissions | {Permission.SESSION_READ.value})
            for stored in follow_events(self._service, reader, session_id, 0, alive(context, principal)):
                if stored is None:
                    continue
                message = convert.event(stored, session_id)
                yield sessions_pb.StartSessionStreamResponse(event=message)
                if message.WhichOneof("payload") == "summary" and message.summary.active_task_id != (task or ""):
                    return

        return self._caller.stream(context, body, request)

    def GetSession(self, request: sessions_pb.GetSessionRequest, context: Context) -> sessions_pb.GetSessionResponse:
        def body(principal: Principal) -> sessions_pb.GetSessionResponse:
            review = self._service.get_session(principal, request.session_id)
            tell(context, review)
            return sessions_pb.GetSessionResponse(detail=convert.detail(review))

        return self._caller.call(context, body, request)

    def UpdateSession(
        self, request: sessions_pb.UpdateSessionRequest, context: Context
    ) -> sessions_pb.UpdateSessionResponse:
        def body(principal: Principal) -> sessions_pb.UpdateSessionResponse:
            principal.require(Permission.SESSION_MANAGE)
            review = self._service.update_session(
                principal,
                request.session_id,
                convert.required_enum(SessionStatus, request.status, "body.status"),
                request.note if request.HasField("note") else None,
                expected(request),
            )
            tell(context, review)
            return sessions_pb.UpdateSessionResponse(session=convert.summary(review))

        return self._caller.call(context, body, request)

    def DeleteSession(
        self, request: sessions_pb.DeleteSessionRequest, context: Context
    ) -> sessions_pb.DeleteSessionResponse:
        def body(principal: Principal) -> sessions_pb.DeleteSessionResponse:
            self._service.delete_session(
                principal, request.session_id, hard=request.hard_delete, expected=expected(request)
            )
            return sessions_pb.DeleteSessionResponse()

        return self._caller.call(context, body, request)

    def WatchSession(
        self, request: sessions_pb.WatchSessionRequest, context: Context
    ) -> Iterator[sessions_pb.WatchSessionResponse]:
        def body(principal: Principal) -> Iterator[sessions_pb.WatchSessionResponse]:
            session_id = request.session_id
            sequence = request.after_sequence
            events = follow_events(self._service, principal, session_id, sequence, alive(context, principal))
            for stored in self._watchers.admit(events):
                if stored is None:
                    yield sessions_pb.WatchSessionResponse(event=_heartbeat(sequence))
                    continue
                sequence = stored.sequence
                yield sessions_pb.WatchSessionResponse(event=convert.event(stored, session_id))

        return self._caller.stream(context, body, request)

    def DiffSession(self, request: sessions_pb.DiffSessionRequest, context: Context) -> sessions_pb.DiffSessionResponse:
        def body(principal: Principal) -> sessions_pb.DiffSessionResponse:
            older, newer, changes = self._service.diff(
                principal,
                request.session_id,
                request.from_version if request.HasField("from_version") else None,
                request.to_version if request.HasField("to_version") else None,
            )
            return sessions_pb.DiffSessionResponse(
                from_version=older,
                to_version=newer,
                changes=[sessions_pb.SemanticChange(**convert.change_fields(c)) for c in changes],
            )

        return self._caller.call(context, body, request)


class SemanticServicer(semantic_grpc.SemanticReviewServiceServicer):
    """`sagitta.review.v1.SemanticReviewService`."""

    def __init__(self, service: ReviewService, caller: Caller) -> None:
        self._service, self._caller = service, caller

    def ApplySemanticSource(
        self, request: semantic_pb.ApplySemanticSourceRequest, context: Context
    ) -> semantic_pb.ApplySemanticSourceResponse:
        def body(principal: Principal) -> semantic_pb.ApplySemanticSourceResponse:
            principal.require(Permission.SESSION_MANAGE)
            review = self._service.apply_source(
                principal,
                request.session_id,
                convert.required_enum(SemanticSourceType, request.source_type, "body.source_type"),
                request.source_ref,
                expected(request),
            )
            tell(context, review)
            return semantic_pb.ApplySemanticSourceResponse(detail=convert.detail(review))

        return self._caller.call(context, body, request)

    def UpdateFieldSemantic(
        self, request: semantic_pb.UpdateFieldSemanticRequest, context: Context
    ) -> semantic_pb.UpdateFieldSemanticResponse:
        def body(principal: Principal) -> semantic_pb.UpdateFieldSemanticResponse:
            review, item = self._service.update_field(
                principal, request.session_id, request.field_id, _field_update(request), expected(request)
            )
            tell(context, review)
            return semantic_pb.UpdateFieldSemanticResponse(field=convert.field_entry(item, review.session_id))

        return self._caller.call(context, body, request)

    def LockField(self, request: semantic_pb.LockFieldRequest, context: Context) -> semantic_pb.LockFieldResponse:
        def body(principal: Principal) -> semantic_pb.LockFieldResponse:
            review, item = self._service.lock_field(principal, request.session_id, request.field_id, expected(request))
            tell(context, review)
            return semantic_pb.LockFieldResponse(field=convert.field_entry(item, review.session_id))

        return self._caller.call(context, body, request)

    def UnlockField(self, request: semantic_pb.UnlockFieldRequest, context: Context) -> semantic_pb.UnlockFieldResponse:
        def body(principal: Principal) -> semantic_pb.UnlockFieldResponse:
            review, item = self._service.unlock_field(
                principal, request.session_id, request.field_id, expected(request)
            )
            tell(context, review)
            return semantic_pb.UnlockFieldResponse(field=convert.field_entry(item, review.session_id))

        return self._caller.call(context, body, request)

    def PublishSemantics(
        self, request: semantic_pb.PublishSemanticsRequest, context: Context
    ) -> semantic_pb.PublishSemanticsResponse:
        def body(principal: Principal) -> semantic_pb.PublishSemanticsResponse:
            wish = Wish(tuple(request.field_ids), request.include_description, request.dry_run)
            review, publication, replayed = self._service.publish_semantics(
                principal, request.session_id, wish, expected(request), key=request.idempotency_key
            )
            tell(context, review, replayed=replayed)
            return semantic_pb.PublishSemanticsResponse(receipt=convert.publish_receipt(publication))

        return self._caller.call(context, body, request)

    def UploadDictionary(
        self, request_iterator: Iterator[semantic_pb.UploadDictionaryRequest], context: Context
    ) -> semantic_pb.UploadDictionaryResponse:
        def body(principal: Principal) -> semantic_pb.UploadDictionaryResponse:
            principal.require(Permission.SESSION_MANAGE)
            name, media_type, content = self._receive(request_iterator)
            upload = self._service.upload(principal, name, media_type, content)
            return semantic_pb.UploadDictionaryResponse(
                receipt=semantic_pb.UploadReceipt(**convert.upload_fields(upload))
            )

        return self._caller.call(context, body)

    def _receive(self, parts: Iterator[semantic_pb.UploadDictionaryRequest]) -> tuple[str, str, bytes]:
        header: semantic_pb.UploadHeader | None = None
        content = bytearray()
        for part in parts:
            if part.HasField("header"):
                if header is not None or content:
                    raise validation_error(Violation("header", "comes once, before the bytes"))
                header = part.header
                continue
            content += part.data
            if len(content) > self._service.settings.max_upload_bytes:
                limit = self._service.settings.max_upload_bytes
                raise ReviewError("upload_too_large", f"A dictionary may have {limit} bytes.")
        if header is None:
            raise validation_error(Violation("header", "is missing"))
        return header.file_name, header.media_type, bytes(content)


class ClarificationServicer(clarification_grpc.ClarificationServiceServicer):
    """`sagitta.review.v1.ClarificationService`."""

    def __init__(self, service: ReviewService, caller: Caller) -> None:
        self._service, self._caller = service, caller

    def GetClarification(
        self, request: clarification_pb.GetClarificationRequest, context: Context
    ) -> clarification_pb.GetClarificationResponse:
        def body(principal: Principal) -> clarification_pb.GetClarificationResponse:
            review = self._service.get_session(principal, request.session_id)
            tell(context, review)
            return clarification_pb.GetClarificationResponse(state=convert.required_clarification(review))

        return self._caller.call(context, body, request)

    def SubmitAnswer(
        self, request: clarification_pb.SubmitAnswerRequest, context: Context
    ) -> clarification_pb.SubmitAnswerResponse:
        def body(principal: Principal) -> clarification_pb.SubmitAnswerResponse:
            principal.require(Permission.SESSION_MANAGE)
            outcome = self._service.submit_answer(principal, request.session_id, _answer(request), expected(request))
            tell(context, outcome.review)
            session_id = outcome.review.session_id
            return clarification_pb.SubmitAnswerResponse(
                result=pb.ClarificationAnswerResult(
                    clarification_state=convert.required_clarification(outcome.review),
                    session=convert.summary(outcome.review),
                    changed_findings=[convert.finding(f, session_id) for f in outcome.changed_findings],
                )
            )

        return self._caller.call(context, body, request)

    def ResumeClarification(
        self, request: clarification_pb.ResumeClarificationRequest, context: Context
    ) -> clarification_pb.ResumeClarificationResponse:
        def body(principal: Principal) -> clarification_pb.ResumeClarificationResponse:
            review = self._service.resume_clarification(principal, request.session_id, expected(request))
            tell(context, review)
            return clarification_pb.ResumeClarificationResponse(state=convert.required_clarification(review))

        return self._caller.call(context, body, request)

    def Converse(
        self, request_iterator: Iterator[clarification_pb.ConverseRequest], context: Context
    ) -> Iterator[clarification_pb.ConverseResponse]:
        def body(principal: Principal) -> Iterator[clarification_pb.ConverseResponse]:
            session_id = ""
            for turn in request_iterator:
                session_id = turn.session_id or session_id
                if turn.HasField("answer"):
                    given = _answer(turn.answer)
                    outcome = self._service.submit_answer(principal, session_id, given, expected(turn.answer))
                    yield clarification_pb.ConverseResponse(state=convert.required_clarification(outcome.review))
                else:
                    review = self._service.resume_clarification(principal, session_id, None)
                    yield clarification_pb.ConverseResponse(state=convert.required_clarification(review))

        return self._caller.stream(context, body)


class MappingServicer(mapping_grpc.MappingReviewServiceServicer):
    """`sagitta.review.v1.MappingReviewService`."""

    def __init__(self, service: ReviewService, caller: Caller) -> None:
        self._service, self._caller = service, caller

    def ListMappings(
        self, request: mapping_pb.ListMappingsRequest, context: Context
    ) -> mapping_pb.ListMappingsResponse:
        def body(principal: Principal) -> mapping_pb.ListMappingsResponse:
            review = self._service.get_session(principal, request.session_id)
            tell(context, review)
            return mapping_pb.ListMappingsResponse(mappings=convert.mappings(review))

        return self._caller.call(context, body, request)

    def UpdateMapping(
        self, request: mapping_pb.UpdateMappingRequest, context: Context
    ) -> mapping_pb.UpdateMappingResponse:
        def body(principal: Principal) -> mapping_pb.UpdateMappingResponse:
            update = MappingUpdate(
                value=convert.json_text(request.effective_value, "body.effective_value")
                if request.HasField("effective_value")
                else None,
                method=convert.enum_value(MappingMethod, request.mapping_method),
                note=request.transformation_note if request.HasField("transformation_note") else None,
            )
            review, changed = self._service.update_mapping(
                principal, request.session_id, request.mapping_id, update, expected(request)
            )
            tell(context, review)
            return mapping_pb.UpdateMappingResponse(mapping=convert.mapping(changed, review.session_id))

        return self._caller.call(context, body, request)

    def ApproveMapping(
        self, request: mapping_pb.ApproveMappingRequest, context: Context
    ) -> mapping_pb.ApproveMappingResponse:
        def body(principal: Principal) -> mapping_pb.ApproveMappingResponse:
            review, changed = self._service.approve_mapping(
                principal,
                request.session_id,
                request.mapping_id,
                request.approval_note if request.HasField("approval_note") else None,
                expected(request),
            )
            tell(context, review)
            return mapping_pb.ApproveMappingResponse(mapping=convert.mapping(changed, review.session_id))

        return self._caller.call(context, body, request)


class LaunchServicer(launch_grpc.PreviewLaunchServiceServicer):
    """`sagitta.review.v1.PreviewLaunchService`."""

    def __init__(self, service: ReviewService, caller: Caller, run_rows: RunRows) -> None:
        self._service, self._caller, self._run_rows = service, caller, run_rows

    def RequestPreview(
        self, request: launch_pb.RequestPreviewRequest, context: Context
    ) -> launch_pb.RequestPreviewResponse:
        def body(principal: Principal) -> launch_pb.RequestPreviewResponse:
            answer = self._service.request_preview(
                principal,
                request.session_id,
                expected(request),
                key=request.idempotency_key,
                force=request.force,
                wait=not request.no_wait,
            )
            tell(context, answer.review, replayed=answer.replayed)
            return _preview_reply(answer)

        return self._caller.call(context, body, request)

    def PreviewStream(
        self, request: launch_pb.PreviewStreamRequest, context: Context
    ) -> Iterator[launch_pb.PreviewStreamResponse]:
        def body(principal: Principal) -> Iterator[launch_pb.PreviewStreamResponse]:
            answer = self._service.request_preview(
                principal, request.session_id, expected(request), force=request.force, wait=False
            )
            ended = alive(context, principal)
            preview = answer.preview
            yield launch_pb.PreviewStreamResponse(preview=convert.preview(preview, request.session_id))
            while preview.preview_status is PreviewStatus.PENDING and not ended():
                with self._service.work.changed:
                    self._service.work.changed.wait(0.1)
                reader = Principal(principal.user_id, principal.permissions | {Permission.SESSION_READ.value})
                review = self._service.get_session(reader, request.session_id)
                if review.preview is None or review.preview.preview_id != preview.preview_id:
                    return
                if review.preview.preview_status is not PreviewStatus.PENDING:
                    yield launch_pb.PreviewStreamResponse(preview=convert.preview(review.preview, request.session_id))
                preview = review.preview

        return self._caller.stream(context, body, request)

    def Launch(self, request: launch_pb.LaunchRequest, context: Context) -> launch_pb.LaunchResponse:
        def body(principal: Principal) -> launch_pb.LaunchResponse:
            answer = self._service.launch(
                principal,
                request.session_id,
                expected(request),
                key=request.idempotency_key,
                wait=not request.no_wait,
            )
            tell(context, answer.review, replayed=answer.replayed)
            return launch_pb.LaunchResponse(result=_launch_result(answer))

        return self._caller.call(context, body, request)

    def GetRun(self, request: launch_pb.GetRunRequest, context: Context) -> launch_pb.GetRunResponse:
        def body(principal: Principal) -> launch_pb.GetRunResponse:
            review, run = self._service.get_run(principal, request.session_id, request.run_context_id)
            tell(context, review)
            return launch_pb.GetRunResponse(run=convert.run_context(run, request.session_id))

        return self._caller.call(context, body, request)

    def WatchRun(self, request: launch_pb.WatchRunRequest, context: Context) -> Iterator[launch_pb.WatchRunResponse]:
        def body(principal: Principal) -> Iterator[launch_pb.WatchRunResponse]:
            ended, shown = alive(context, principal), None
            while not ended():
                _, run = self._service.get_run(principal, request.session_id, request.run_context_id)
                if run != shown:
                    shown = run
                    yield launch_pb.WatchRunResponse(run=convert.run_context(run, request.session_id))
                if run.launch_status is not LaunchStatus.STARTED:
                    return
                with self._service.work.changed:
                    self._service.work.changed.wait(0.25)

        return self._caller.stream(context, body, request)

    def CancelRun(self, request: launch_pb.CancelRunRequest, context: Context) -> launch_pb.CancelRunResponse:
        def body(principal: Principal) -> launch_pb.CancelRunResponse:
            review, run = self._service.cancel_run(principal, request.session_id, request.run_context_id)
            tell(context, review)
            return launch_pb.CancelRunResponse(run=convert.run_context(run, request.session_id))

        return self._caller.call(context, body, request)

    def ReadRunResult(
        self, request: launch_pb.ReadRunResultRequest, context: Context
    ) -> Iterator[launch_pb.ReadRunResultResponse]:
        def body(principal: Principal) -> Iterator[launch_pb.ReadRunResultResponse]:
            self._service.get_run(principal, request.session_id, request.run_context_id)
            with self._run_rows.bytes_of(request.run_context_id, alive(context, principal)) as rows:
                while chunk := rows.read(RESULT_CHUNK):
                    yield launch_pb.ReadRunResultResponse(arrow_ipc=chunk)

        return self._caller.stream(context, body, request)


class ExportsServicer(exports_grpc.ReviewExportsServiceServicer):
    """`sagitta.review.v1.ReviewExportsService`."""

    def __init__(self, service: ReviewService, caller: Caller) -> None:
        self._service, self._caller = service, caller

    def ExportDocumentation(
        self, request: exports_pb.ExportDocumentationRequest, context: Context
    ) -> exports_pb.ExportDocumentationResponse:
        def body(principal: Principal) -> exports_pb.ExportDocumentationResponse:
            artifact = self._export(principal, request, ArtifactType.DOCUMENTATION, context)
            return exports_pb.ExportDocumentationResponse(artifact=artifact)

        return self._caller.call(context, body, request)

    def ExportValidation(
        self, request: exports_pb.ExportValidationRequest, context: Context
    ) -> exports_pb.ExportValidationResponse:
        def body(principal: Principal) -> exports_pb.ExportValidationResponse:
            artifact = self._export(principal, request, ArtifactType.VALIDATION_REPORT, context)
            return exports_pb.ExportValidationResponse(artifact=artifact)

        return self._caller.call(context, body, request)

    def ReadArtifact(
        self, request: exports_pb.ReadArtifactRequest, context: Context
    ) -> Iterator[exports_pb.ReadArtifactResponse]:
        def body(principal: Principal) -> Iterator[exports_pb.ReadArtifactResponse]:
            artifact, content = self._service.read_artifact(principal, request.session_id, request.artifact_id)
            header = exports_pb.ArtifactHeader(
                artifact=convert.export_artifact(artifact, request.session_id),
                media_type=artifact.media_type,
                file_name=artifact.file_name,
                size=len(content),
                sha256=artifact.sha256,
            )
            yield exports_pb.ReadArtifactResponse(header=header)
            for start in range(0, len(content), CHUNK):
                yield exports_pb.ReadArtifactResponse(data=content[start : start + CHUNK])

        return self._caller.stream(context, body, request)

    def _export(self, principal: Principal, request: Any, kind: ArtifactType, context: Context) -> pb.ExportArtifact:
        form = convert.enum_value(ArtifactFormat, request.format) or ArtifactFormat.JSON
        review, artifact = self._service.export(principal, request.session_id, kind, form, mask=request.mask)
        tell(context, review)
        return convert.export_artifact(artifact, request.session_id)


class EnvironmentsServicer(environments_grpc.ReviewEnvironmentsServiceServicer):
    """`sagitta.review.v1.ReviewEnvironmentsService`."""

    def __init__(self, service: ReviewService, caller: Caller) -> None:
        self._service, self._caller = service, caller

    def ListEnvironments(
        self, request: environments_pb.ListEnvironmentsRequest, context: Context
    ) -> environments_pb.ListEnvironmentsResponse:
        def body(principal: Principal) -> environments_pb.ListEnvironmentsResponse:
            principal.require(Permission.SESSION_READ)
            return environments_pb.ListEnvironmentsResponse(
                environments=[
                    environments_pb.ReviewEnvironment(environment_id=name, kind=e.kind, base_url=e.base_url)
                    for name, e in self._service.environments.items()
                ]
            )

        return self._caller.call(context, body, request)

    def CheckEnvironment(
        self, request: environments_pb.CheckEnvironmentRequest, context: Context
    ) -> environments_pb.CheckEnvironmentResponse:
        def body(principal: Principal) -> environments_pb.CheckEnvironmentResponse:
            principal.require(Permission.SESSION_READ)
            found = self._service.environment(request.environment_id).health()
            return environments_pb.CheckEnvironmentResponse(
                health=environments_pb.EnvironmentHealth(
                    environment_id=request.environment_id,
                    reachable=found.reachable,
                    message=found.message,
                    features=list(found.features),
                )
            )

        return self._caller.call(context, body, request)


def _heartbeat(sequence: int) -> pb.SessionEvent:
    message = pb.SessionEvent(sequence=sequence, kind="heartbeat")
    message.at.GetCurrentTime()
    return message


def _answer(request: clarification_pb.SubmitAnswerRequest) -> Answer:
    return Answer(
        question_id=request.question_id,
        kind=convert.required_enum(AnswerKind, request.answer_kind, "body.answer_kind"),
        value=request.answer_value if request.HasField("answer_value") else None,
    )


def _field_update(request: semantic_pb.UpdateFieldSemanticRequest) -> FieldUpdate:
    given = set(request.update_mask.paths)
    unknown = given - set(_TEXTS)
    if unknown:
        raise validation_error(Violation("update_mask", f"knows {', '.join(_TEXTS)}"))
    named = [name for name in _TEXTS if name in given or _has(request, name)]
    return FieldUpdate(
        candidate_id=request.candidate_id if request.HasField("candidate_id") else None,
        texts=tuple((name, getattr(request, name) if _has(request, name) else None) for name in named),
        lock_field=request.lock_field,
        resolution_note=request.resolution_note if request.HasField("resolution_note") else None,
    )


def _has(message: Any, name: str) -> bool:
    present: bool = message.HasField(name)
    return present


def _preview_reply(answer: PreviewAnswer) -> launch_pb.RequestPreviewResponse:
    session_id, preview = answer.review.session_id, answer.preview
    if preview.preview_status is PreviewStatus.PENDING:
        pending = pb.PreviewEnqueueResult(
            session_id=session_id, preview_status=convert.enum_number(PreviewStatus.PENDING), task_id=preview.task_id
        )
        return launch_pb.RequestPreviewResponse(enqueued=pending)
    return launch_pb.RequestPreviewResponse(preview=convert.preview(preview, session_id))


def _launch_result(answer: LaunchAnswer) -> pb.LaunchResult:
    return pb.LaunchResult(
        run_context=convert.run_context(answer.run, answer.review.session_id), redirect_url=answer.run.redirect_url
    )
