"""Questions and answers, one at a time or as a conversation."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sagitta.review.v1 import clarification_service_pb2 as clarification_pb
from sagitta.review.v1 import clarification_service_pb2_grpc as clarification_grpc
from sagitta.review.v1 import review_pb2 as pb

from sagitta_server.auth import Permission, Principal
from sagitta_server.reviews.answers import Answer
from sagitta_server.reviews.enums import AnswerKind
from sagitta_server.rpc.reviews import convert
from sagitta_server.rpc.reviews.boundary import Context, Handlers, answers, end_of, expected, streams, tell


class ClarificationHandlers(Handlers, clarification_grpc.ClarificationServiceServicer):
    """`sagitta.review.v1.ClarificationService`."""

    @answers
    def GetClarification(
        self, request: clarification_pb.GetClarificationRequest, context: Context, caller: Principal
    ) -> clarification_pb.GetClarificationResponse:
        review = self._service.get_session(caller, request.session_id)
        tell(context, review)
        return clarification_pb.GetClarificationResponse(state=convert.required_clarification(review))

    @answers
    def SubmitAnswer(
        self, request: clarification_pb.SubmitAnswerRequest, context: Context, caller: Principal
    ) -> clarification_pb.SubmitAnswerResponse:
        caller.require(Permission.SESSION_MANAGE)
        outcome = self._service.submit_answer(caller, request.session_id, _answer(request), expected(request))
        tell(context, outcome.review)
        session_id = outcome.review.session_id
        return clarification_pb.SubmitAnswerResponse(
            result=pb.ClarificationAnswerResult(
                clarification_state=convert.required_clarification(outcome.review),
                session=convert.summary(outcome.review),
                changed_findings=[convert.finding(f, session_id) for f in outcome.changed_findings],
            )
        )

    @answers
    def ResumeClarification(
        self, request: clarification_pb.ResumeClarificationRequest, context: Context, caller: Principal
    ) -> clarification_pb.ResumeClarificationResponse:
        review = self._service.resume_clarification(caller, request.session_id, expected(request))
        tell(context, review)
        return clarification_pb.ResumeClarificationResponse(state=convert.required_clarification(review))

    @streams
    def Converse(
        self, request_iterator: Iterator[clarification_pb.ConverseRequest], context: Context, caller: Principal
    ) -> Iterator[clarification_pb.ConverseResponse]:
        caller.require(Permission.SESSION_MANAGE)
        yield from self._waiting.admit(self._turns(request_iterator, end_of(context, caller), caller))

    def _turns(
        self, turns: Iterator[clarification_pb.ConverseRequest], ended: Callable[[], bool], caller: Principal
    ) -> Iterator[clarification_pb.ConverseResponse]:
        session_id = ""
        for turn in turns:
            if ended():
                return
            session_id = turn.session_id or session_id
            if turn.HasField("answer"):
                given = _answer(turn.answer)
                outcome = self._service.submit_answer(caller, session_id, given, expected(turn.answer))
                yield clarification_pb.ConverseResponse(state=convert.required_clarification(outcome.review))
            else:
                review = self._service.resume_clarification(caller, session_id, None)
                yield clarification_pb.ConverseResponse(state=convert.required_clarification(review))


def _answer(request: clarification_pb.SubmitAnswerRequest) -> Answer:
    return Answer(
        question_id=request.question_id,
        kind=convert.required_enum(AnswerKind, request.answer_kind, "body.answer_kind"),
        value=request.answer_value if request.HasField("answer_value") else None,
    )
