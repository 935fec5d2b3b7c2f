"""The review services over gRPC: streams, the words of errors, and the routes that their annotations name."""

import logging
import queue

import grpc
import pytest
from google.api import annotations_pb2
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from sagitta.review.v1 import (
    clarification_service_pb2,
    clarification_service_pb2_grpc,
    enums_pb2,
    mapping_review_service_pb2,
    preview_launch_service_pb2,
    preview_launch_service_pb2_grpc,
    review_environments_service_pb2,
    review_exports_service_pb2,
    review_pb2,
    review_sessions_service_pb2,
    review_sessions_service_pb2_grpc,
    semantic_review_service_pb2,
    semantic_review_service_pb2_grpc,
)
from sagitta_gateway.app import create_app
from sagitta_gateway.config import GatewaySettings
from sagitta_server.app import Engine
from sagitta_server.auth import TokenIssuer
from sagitta_server.auth.tokens import expand_permissions
from sagitta_server.reviews import enums
from sagitta_server.reviews.errors import ReviewError
from sagitta_server.rpc.reviews import convert as review_convert
from sagitta_server.rpc.reviews.boundary import Waiting
from server.reviews.world import selection, settings

FILES = (
    review_sessions_service_pb2,
    semantic_review_service_pb2,
    clarification_service_pb2,
    mapping_review_service_pb2,
    preview_launch_service_pb2,
    review_exports_service_pb2,
    review_environments_service_pb2,
)
GRPC_ONLY = {"StartSessionStream", "PreviewStream", "WatchRun", "Converse"}


class Client:
    """Stubs with a token."""

    def __init__(self, address: str, issuer: TokenIssuer) -> None:
        self._issuer = issuer
        self.channel = grpc.insecure_channel(address)
        self.metadata = (("authorization", f"Bearer {self.issue('all')}"),)
        self.sessions = review_sessions_service_pb2_grpc.ReviewSessionsServiceStub(self.channel)
        self.semantics = semantic_review_service_pb2_grpc.SemanticReviewServiceStub(self.channel)
        self.clarification = clarification_service_pb2_grpc.ClarificationServiceStub(self.channel)
        self.launch = preview_launch_service_pb2_grpc.PreviewLaunchServiceStub(self.channel)

    def issue(self, permissions):
        return self._issuer.issue("alice", expand_permissions(permissions))

    def call(self, method, request):
        return method(request, metadata=self.metadata, timeout=60)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grpc")
    engine = Engine(
        settings(folder).model_copy(
            update={"grpc": settings(folder).grpc.model_copy(update={"address": "127.0.0.1:0"})}
        )
    )
    ready = engine.start()
    running = Client(ready.grpc, TokenIssuer.for_data_dir(folder / "data"))
    yield running
    running.channel.close()
    engine.stop()


def started(client, source):
    request = review_sessions_service_pb2.StartSessionRequest(
        source_kind=enums_pb2.SOURCE_KIND_DATASET_SELECTION, source_input=source, environment_id="local"
    )
    return client.call(client.sessions.StartSession, request).session.session_id


def test_starting_reports_every_step_and_ends_with_the_summary(client):
    request = review_sessions_service_pb2.StartSessionStreamRequest(
        source_kind=enums_pb2.SOURCE_KIND_DATASET_SELECTION, source_input="model:shop", environment_id="local"
    )
    events = [message.event for message in client.call(client.sessions.StartSessionStream, request)]
    assert [e.step.name for e in events if e.kind == "recovery.step"][:3] == ["identify", "dataset", "detail"]
    assert events[-1].summary.readiness_state == enums_pb2.READINESS_STATE_REVIEW_READY


def test_a_conversation_is_one_question_per_message(client):
    session_id = started(client, selection())
    turns = queue.SimpleQueue()
    turns.put(clarification_service_pb2.ConverseRequest(session_id=session_id))
    replies = client.call(client.clarification.Converse, iter(turns.get, None))
    first = next(replies).state.current_question
    assert first.topic_ref.startswith("variable:")
    answer = clarification_service_pb2.SubmitAnswerRequest(
        question_id=first.question_id, answer_kind=enums_pb2.ANSWER_KIND_CUSTOM, answer_value="2024-02-01"
    )
    turns.put(clarification_service_pb2.ConverseRequest(answer=answer))
    assert next(replies).state.current_question.topic_ref.startswith("field:")
    turns.put(None)
    assert list(replies) == []


def test_an_upload_is_a_stream_of_bytes(client):
    def parts():
        header = semantic_review_service_pb2.UploadHeader(file_name="a.csv", media_type="text/csv")
        yield semantic_review_service_pb2.UploadDictionaryRequest(header=header)
        for data in (b"column,label\n", b"Revenue,Money\n"):
            yield semantic_review_service_pb2.UploadDictionaryRequest(data=data)

    receipt = client.call(client.semantics.UploadDictionary, parts()).receipt
    assert (receipt.size, receipt.source_ref) == (27, f"upload:{receipt.upload_id}")
    with pytest.raises(grpc.RpcError) as refused:
        client.call(
            client.semantics.UploadDictionary, iter([semantic_review_service_pb2.UploadDictionaryRequest(data=b"x")])
        )
    assert detail(refused.value).code == "validation_error"


def test_a_nul_in_a_stream_of_requests_is_refused_with_its_place(client):
    """PostgreSQL stores no text with one."""
    header = semantic_review_service_pb2.UploadHeader(file_name="a\x00.csv", media_type="text/csv")
    with pytest.raises(grpc.RpcError) as refused:
        client.call(
            client.semantics.UploadDictionary,
            iter([semantic_review_service_pb2.UploadDictionaryRequest(header=header)]),
        )
    assert [v.field for v in detail(refused.value).violations] == ["body.header.file_name"]
    answer = clarification_service_pb2.SubmitAnswerRequest(answer_value="2024\x00")
    turn = clarification_service_pb2.ConverseRequest(session_id=started(client, selection()), answer=answer)
    with pytest.raises(grpc.RpcError) as refused:
        list(client.call(client.clarification.Converse, iter([turn])))
    assert [v.field for v in detail(refused.value).violations] == ["body.answer.answer_value"]


def test_permission_comes_before_mistakes_in_the_request(client):
    reader = (("authorization", f"Bearer {client.issue('dataset:session:read')}"),)
    sessions, clarification = review_sessions_service_pb2, clarification_service_pb2
    turn = clarification.ConverseRequest(answer=clarification.SubmitAnswerRequest())
    for call in (
        lambda: client.sessions.StartSession(sessions.StartSessionRequest(), metadata=reader),
        lambda: list(client.sessions.StartSessionStream(sessions.StartSessionStreamRequest(), metadata=reader)),
        lambda: list(client.clarification.Converse(iter([turn]), metadata=reader)),
    ):
        with pytest.raises(grpc.RpcError) as refused:
            call()
        assert detail(refused.value).code == "permission_denied"


def test_a_preview_and_a_run_can_be_watched(client):
    session_id = started(client, selection({"first_day": "2024-02-01"}))
    request = preview_launch_service_pb2.PreviewStreamRequest(session_id=session_id)
    statuses = [m.preview.preview_status for m in client.call(client.launch.PreviewStream, request)]
    assert statuses[-1] == enums_pb2.PREVIEW_STATUS_READY
    launch = preview_launch_service_pb2.LaunchRequest(session_id=session_id, no_wait=True)
    run = client.call(client.launch.Launch, launch).result.run_context
    watch = preview_launch_service_pb2.WatchRunRequest(session_id=session_id, run_context_id=run.run_context_id)
    assert [m.run for m in client.call(client.launch.WatchRun, watch)][-1].row_count == 2


def test_a_watched_session_is_replayed_from_where_the_reader_was(client):
    session_id = started(client, "model:shop")

    def kinds(after):
        request = review_sessions_service_pb2.WatchSessionRequest(session_id=session_id, after_sequence=after)
        stream = client.call(client.sessions.WatchSession, request)
        events = []
        for message in stream:
            events.append(message.event)
            if message.event.kind == "recovery.step" and message.event.step.name == "summary":
                stream.cancel()
                return events
        return events

    everything = kinds(0)
    assert [e.sequence for e in everything] == list(range(1, len(everything) + 1))
    assert kinds(everything[3].sequence) == everything[4:]


def detail(error):
    packed = dict(error.trailing_metadata())["review-error-bin"]
    return review_pb2.ErrorDetail.FromString(packed)


def test_errors_carry_the_contract_s_words_and_a_status(client):
    with pytest.raises(grpc.RpcError) as refused:
        client.call(client.sessions.GetSession, review_sessions_service_pb2.GetSessionRequest(session_id="x"))
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert (detail(refused.value).code, detail(refused.value).http_status) == ("session_not_found", 404)
    (packed,) = rpc_status.from_call(refused.value).details
    info = error_details_pb2.ErrorInfo()
    assert packed.Unpack(info)
    assert (info.reason, info.domain) == ("SESSION_NOT_FOUND", "sagitta.review")
    with pytest.raises(grpc.RpcError) as refused:
        client.sessions.GetSession(review_sessions_service_pb2.GetSessionRequest(session_id="x"))
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_call_is_logged_with_its_request_its_session_and_its_version_and_no_values(client, caplog):
    caplog.set_level(logging.DEBUG, logger="sagitta")
    source = selection({"first_day": "2024-02-01"})
    session_id = started(client, source)
    request = review_sessions_service_pb2.GetSessionRequest(session_id=session_id)
    metadata = (*client.metadata, ("x-request-id", "ask-7"))
    _, call = client.sessions.GetSession.with_call(request, metadata=metadata, timeout=60)
    unknown = review_sessions_service_pb2.GetSessionRequest(session_id="nobody")
    with pytest.raises(grpc.RpcError):
        client.sessions.GetSession(unknown, metadata=metadata, timeout=60)
    told = [r for r in caplog.records if r.getMessage().split("/")[-1].startswith(("StartSession ", "GetSession "))]
    begun, read, failed = told
    assert (begun.session_id, begun.levelname) == (session_id, "DEBUG")
    version = int(dict(call.trailing_metadata())["session-version"])
    assert (read.request_id, read.session_id, read.session_version) == ("ask-7", session_id, version)
    assert (failed.request_id, failed.session_id, failed.levelname) == ("ask-7", "nobody", "INFO")
    assert "GetSession NOT_FOUND" in failed.getMessage()
    changes = [(r.session_id, r.session_version) for r in caplog.records if r.getMessage() == "review changed"]
    assert (session_id, version) in changes
    assert "2024-02-01" not in "".join(str(r.__dict__) for r in caplog.records)


def test_every_value_of_every_enumeration_converts_both_ways():
    for name in enums_pb2.DESCRIPTOR.enum_types_by_name:
        cls = getattr(enums, name, None)
        if cls is None:
            assert name == "CompiledBy"
            continue
        numbers = {review_convert.enum_number(value) for value in cls}
        descriptor = enums_pb2.DESCRIPTOR.enum_types_by_name[name]
        assert numbers == {value.number for value in descriptor.values} - {0}
        assert all(review_convert.enum_value(cls, review_convert.enum_number(value)) is value for value in cls)


def annotated():
    """Verb and path of every annotated rpc."""
    for file in FILES:
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                rule = method.GetOptions().Extensions[annotations_pb2.http]
                verb = rule.WhichOneof("pattern")
                if verb is None:
                    assert method.name in GRPC_ONLY
                else:
                    yield verb.upper(), getattr(rule, verb)


def test_annotations_and_routes_are_the_same():
    document = create_app(GatewaySettings()).openapi()
    prefix = "/api/dataset-orchestration"
    routes = {
        (verb.upper(), path) for path, item in document["paths"].items() if path.startswith(prefix) for verb in item
    }
    assert routes == set(annotated())


def test_so_many_streams_of_events_may_be_open_and_one_more_is_told():
    watchers = Waiting(1)
    first = watchers.admit(iter([1, 2]))
    assert next(first) == 1
    with pytest.raises(ReviewError) as refused:
        next(watchers.admit(iter([1])))
    assert refused.value.code == "rate_limited"
    assert list(first) == [2]
    assert list(watchers.admit(iter([3]))) == [3]
