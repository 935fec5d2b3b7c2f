"""`sagitta.semantic.v1.ReferenceService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from sagitta.semantic.v1 import reference_service_pb2 as pb
from sagitta.semantic.v1 import reference_service_pb2_grpc as pb_grpc

from sagitta_server.errors import Reason, ServiceError
from sagitta_server.reference import DOCUMENTS

if TYPE_CHECKING:
    from sagitta_server.app import Engine

NAME = pb.DESCRIPTOR.services_by_name["ReferenceService"].full_name


def register(server: grpc.Server, engine: Engine) -> tuple[str, ...]:
    """Adds the service to a server."""
    del engine
    pb_grpc.add_ReferenceServiceServicer_to_server(ReferenceServicer(), server)
    return (NAME,)


class ReferenceServicer(pb_grpc.ReferenceServiceServicer):
    """Hands out documents."""

    def ListReferences(
        self, request: pb.ListReferencesRequest, context: grpc.ServicerContext
    ) -> pb.ListReferencesResponse:
        references = [
            pb.Reference(
                name=document.name,
                kind=document.kind,
                description=document.description,
                path=f"/v1/reference/{document.name}",
            )
            for document in DOCUMENTS.values()
        ]
        return pb.ListReferencesResponse(references=references)

    def GetReference(self, request: pb.GetReferenceRequest, context: grpc.ServicerContext) -> pb.GetReferenceResponse:
        document = DOCUMENTS.get(request.name)
        if document is None:
            raise ServiceError(
                Reason.REFERENCE_NOT_FOUND,
                f"There is no reference document '{request.name}'; there are {', '.join(DOCUMENTS)}.",
                metadata={"name": request.name},
            )
        return pb.GetReferenceResponse(media_type=document.media_type, content=document.content())
