"""`sagitta.semantic.v1.SessionService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from sagitta.semantic.v1 import session_service_pb2 as pb
from sagitta.semantic.v1 import session_service_pb2_grpc as pb_grpc

from sagitta_server.errors import Reason, ServiceError
from sagitta_server.models import Session
from sagitta_server.rpc.access import current_call
from sagitta_server.rpc.convert import timestamp

if TYPE_CHECKING:
    from sagitta_server.app import Engine

NAME = pb.DESCRIPTOR.services_by_name["SessionService"].full_name
MAX_METADATA_BYTES = 16_384


def register(server: grpc.Server, engine: Engine) -> tuple[str, ...]:
    """Adds the service to a server."""
    pb_grpc.add_SessionServiceServicer_to_server(SessionServicer(engine), server)
    return (NAME,)


class SessionServicer(pb_grpc.SessionServiceServicer):
    """Opens, lists, describes and closes sessions."""

    def __init__(self, engine: Engine) -> None:
        self._models = engine.models
        self._sessions = engine.sessions

    def CreateSession(
        self, request: pb.CreateSessionRequest, context: grpc.ServicerContext
    ) -> pb.CreateSessionResponse:
        if request.ByteSize() > MAX_METADATA_BYTES:
            raise ServiceError(Reason.INVALID_REQUEST, f"Session metadata may have {MAX_METADATA_BYTES} bytes.")
        session = self._models.create_session(dict(request.metadata), current_call().client)
        return pb.CreateSessionResponse(session=session_message(session))

    def ListSessions(self, request: pb.ListSessionsRequest, context: grpc.ServicerContext) -> pb.ListSessionsResponse:
        return pb.ListSessionsResponse(sessions=[session_message(session) for session in self._models.list_sessions()])

    def GetSession(self, request: pb.GetSessionRequest, context: grpc.ServicerContext) -> pb.GetSessionResponse:
        return pb.GetSessionResponse(session=session_message(self._models.session(request.session_id)))

    def CloseSession(self, request: pb.CloseSessionRequest, context: grpc.ServicerContext) -> pb.CloseSessionResponse:
        self._models.close_session(request.session_id)
        return pb.CloseSessionResponse()


def session_message(session: Session) -> pb.Session:
    """A session as a message."""
    return pb.Session(
        session_id=session.session_id,
        created_at=timestamp(session.created_at),
        last_accessed_at=timestamp(session.last_accessed_at),
        model_count=session.model_count,
        metadata=session.metadata,
        expires_at=timestamp(session.expires_at),
        max_expires_at=timestamp(session.max_expires_at),
    )
