"""Documents of a review, and their bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sagitta.review.v1 import review_exports_service_pb2 as exports_pb
from sagitta.review.v1 import review_exports_service_pb2_grpc as exports_grpc
from sagitta.review.v1 import review_pb2 as pb

from sagitta_server.auth import Principal
from sagitta_server.reviews.enums import ArtifactFormat, ArtifactType
from sagitta_server.rpc.reviews import convert
from sagitta_server.rpc.reviews.boundary import Context, Handlers, answers, streams, tell

CHUNK = 65_536


class ExportHandlers(Handlers, exports_grpc.ReviewExportsServiceServicer):
    """`sagitta.review.v1.ReviewExportsService`."""

    @answers
    def ExportDocumentation(
        self, request: exports_pb.ExportDocumentationRequest, context: Context, caller: Principal
    ) -> exports_pb.ExportDocumentationResponse:
        artifact = self._export(caller, request, ArtifactType.DOCUMENTATION, context)
        return exports_pb.ExportDocumentationResponse(artifact=artifact)

    @answers
    def ExportValidation(
        self, request: exports_pb.ExportValidationRequest, context: Context, caller: Principal
    ) -> exports_pb.ExportValidationResponse:
        artifact = self._export(caller, request, ArtifactType.VALIDATION_REPORT, context)
        return exports_pb.ExportValidationResponse(artifact=artifact)

    @streams
    def ReadArtifact(
        self, request: exports_pb.ReadArtifactRequest, context: Context, caller: Principal
    ) -> Iterator[exports_pb.ReadArtifactResponse]:
        artifact, content = self._service.read_artifact(caller, request.session_id, request.artifact_id)
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

    def _export(self, principal: Principal, request: Any, kind: ArtifactType, context: Context) -> pb.ExportArtifact:
        form = convert.enum_value(ArtifactFormat, request.format) or ArtifactFormat.JSON
        review, artifact = self._service.export(principal, request.session_id, kind, form, mask=request.mask)
        tell(context, review)
        return convert.export_artifact(artifact, request.session_id)
