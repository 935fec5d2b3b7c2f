"""Previews, launches, and the rows of runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sagitta.review.v1 import preview_launch_service_pb2 as launch_pb
from sagitta.review.v1 import preview_launch_service_pb2_grpc as launch_grpc
from sagitta.review.v1 import review_pb2 as pb

from sagitta_server.auth import Authenticator, Principal
from sagitta_server.reviews.enums import LaunchStatus, PreviewStatus
from sagitta_server.reviews.executions import LaunchAnswer, PreviewAnswer
from sagitta_server.reviews.run_rows import RunRows
from sagitta_server.reviews.service import ReviewService
from sagitta_server.reviews.work import as_reader
from sagitta_server.rpc.reviews import convert
from sagitta_server.rpc.reviews.boundary import Context, Handlers, Waiting, answers, end_of, expected, streams, tell

RESULT_CHUNK = 1_048_576


class LaunchHandlers(Handlers, launch_grpc.PreviewLaunchServiceServicer):
    """`sagitta.review.v1.PreviewLaunchService`."""

    def __init__(
        self, service: ReviewService, authenticator: Authenticator, waiting: Waiting, run_rows: RunRows
    ) -> None:
        super().__init__(service, authenticator, waiting)
        self._run_rows = run_rows

    @answers
    def RequestPreview(
        self, request: launch_pb.RequestPreviewRequest, context: Context, caller: Principal
    ) -> launch_pb.RequestPreviewResponse:
        answer = self._service.request_preview(
            caller,
            request.session_id,
            expected(request),
            key=request.idempotency_key,
            force=request.force,
            wait=not request.no_wait,
        )
        tell(context, answer.review, replayed=answer.replayed)
        return _preview_reply(answer)

    @streams
    def PreviewStream(
        self, request: launch_pb.PreviewStreamRequest, context: Context, caller: Principal
    ) -> Iterator[launch_pb.PreviewStreamResponse]:
        answer = self._service.request_preview(
            caller, request.session_id, expected(request), force=request.force, wait=False
        )
        ended = end_of(context, caller)
        preview = answer.preview
        yield launch_pb.PreviewStreamResponse(preview=convert.preview(preview, request.session_id))
        while preview.preview_status is PreviewStatus.PENDING and not ended():
            with self._service.work.changed:
                self._service.work.changed.wait(0.1)
            review = self._service.get_session(as_reader(caller), request.session_id)
            if review.preview is None or review.preview.preview_id != preview.preview_id:
                return
            if review.preview.preview_status is not PreviewStatus.PENDING:
                yield launch_pb.PreviewStreamResponse(preview=convert.preview(review.preview, request.session_id))
            preview = review.preview

    @answers
    def Launch(self, request: launch_pb.LaunchRequest, context: Context, caller: Principal) -> launch_pb.LaunchResponse:
        answer = self._service.launch(
            caller,
            request.session_id,
            expected(request),
            key=request.idempotency_key,
            wait=not request.no_wait,
        )
        tell(context, answer.review, replayed=answer.replayed)
        return launch_pb.LaunchResponse(result=_launch_result(answer))

    @answers
    def GetRun(self, request: launch_pb.GetRunRequest, context: Context, caller: Principal) -> launch_pb.GetRunResponse:
        review, run = self._service.get_run(caller, request.session_id, request.run_context_id)
        tell(context, review)
        return launch_pb.GetRunResponse(run=convert.run_context(run, request.session_id))

    @streams
    def WatchRun(
        self, request: launch_pb.WatchRunRequest, context: Context, caller: Principal
    ) -> Iterator[launch_pb.WatchRunResponse]:
        yield from self._waiting.admit(self._changes(request, end_of(context, caller), caller))

    def _changes(
        self, request: launch_pb.WatchRunRequest, ended: Callable[[], bool], caller: Principal
    ) -> Iterator[launch_pb.WatchRunResponse]:
        shown = None
        while not ended():
            _, run = self._service.get_run(caller, request.session_id, request.run_context_id)
            if run != shown:
                shown = run
                yield launch_pb.WatchRunResponse(run=convert.run_context(run, request.session_id))
            if run.launch_status is not LaunchStatus.STARTED:
                return
            with self._service.work.changed:
                self._service.work.changed.wait(0.25)

    @answers
    def CancelRun(
        self, request: launch_pb.CancelRunRequest, context: Context, caller: Principal
    ) -> launch_pb.CancelRunResponse:
        review, run = self._service.cancel_run(caller, request.session_id, request.run_context_id)
        tell(context, review)
        return launch_pb.CancelRunResponse(run=convert.run_context(run, request.session_id))

    @streams
    def ReadRunResult(
        self, request: launch_pb.ReadRunResultRequest, context: Context, caller: Principal
    ) -> Iterator[launch_pb.ReadRunResultResponse]:
        self._service.get_run(caller, request.session_id, request.run_context_id)
        with self._run_rows.bytes_of(request.run_context_id, end_of(context, caller)) as rows:
            while chunk := rows.read(RESULT_CHUNK):
                yield launch_pb.ReadRunResultResponse(arrow_ipc=chunk)


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
