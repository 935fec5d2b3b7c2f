"""`sagitta.review.v1.ReviewExportsService`."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import grpc
from fastapi import Query, Request
from sagitta.review.v1 import review_exports_service_pb2 as pb
from sagitta.review.v1 import review_pb2
from starlette.responses import Response, StreamingResponse

from sagitta_gateway.engine import metadata
from sagitta_gateway.review_bodies import enum_of
from sagitta_gateway.review_calls import call, documented, failing, reply, rest, review_router, review_stubs

router = review_router("Exports")
Format = Annotated[str | None, Query(alias="format")]

DIRECT = {
    "text/markdown": "markdown",
    "text/csv": "csv",
    "application/pdf": "pdf",
    "application/vnd.dataset-review+json": "json",
}
"""Media types that ask for the bytes instead of the artifact's description."""


@router.get(
    "/sessions/{session_id}/exports/documentation",
    operation_id="review_export_documentation",
    summary="The documentation of the dataset",
    responses=documented(review_pb2.ExportArtifact, "The artifact, or its bytes by Accept.", 200, 401, 403, 404, 422),
)
async def export_documentation(request: Request, session_id: str, form: Format = None, mask: bool = False) -> Response:
    wanted, direct = _format(request, form)
    message = pb.ExportDocumentationRequest(session_id=session_id, format=wanted, mask=mask)
    answer = await call(request, review_stubs(request).exports.ExportDocumentation, message)
    artifact = answer.message.artifact
    return await _bytes(request, session_id, artifact.artifact_id) if direct else reply(answer, artifact)


@router.get(
    "/sessions/{session_id}/exports/validation",
    operation_id="review_export_validation",
    summary="The report of gates, findings and questions",
    responses=documented(review_pb2.ExportArtifact, "The artifact, or its bytes by Accept.", 200, 401, 403, 404, 422),
)
async def export_validation(request: Request, session_id: str, form: Format = None, mask: bool = False) -> Response:
    wanted, direct = _format(request, form)
    message = pb.ExportValidationRequest(session_id=session_id, format=wanted, mask=mask)
    answer = await call(request, review_stubs(request).exports.ExportValidation, message)
    artifact = answer.message.artifact
    return await _bytes(request, session_id, artifact.artifact_id) if direct else reply(answer, artifact)


@router.get(
    "/sessions/{session_id}/exports/artifacts/{artifact_id}",
    operation_id="review_read_artifact",
    summary="The bytes of an artifact",
    responses={200: {"description": "The document."}, **failing(401, 403, 404)},
)
async def read_artifact(request: Request, session_id: str, artifact_id: str) -> Response:
    return await _bytes(request, session_id, artifact_id)


def _format(request: Request, parameter: str | None) -> tuple[Any, bool]:
    """The wanted format, and whether the client wants the bytes at once."""
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get("accept", "").split(",")]
    described = not accepted or any(kind in {"application/json", "*/*", "application/*", ""} for kind in accepted)
    direct = None if described else next((DIRECT[kind] for kind in accepted if kind in DIRECT), None)
    text = parameter or direct or "json"
    return enum_of("ArtifactFormat", text, "query.format", invalid=422), direct is not None


async def _bytes(request: Request, session_id: str, artifact_id: str) -> Response:
    message = pb.ReadArtifactRequest(session_id=session_id, artifact_id=artifact_id)
    stream = review_stubs(request).exports.ReadArtifact(message, metadata=metadata(request))
    first = await stream.read()
    assert first is not grpc.aio.EOF  # the engine sends a header or refuses
    header = first.header
    tag = f'"{header.sha256}"'
    if request.headers.get("if-none-match") == tag:
        stream.cancel()
        return Response(status_code=304, headers={"ETag": tag})
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(header.file_name)}",
        "Content-Length": str(header.size),
        "ETag": tag,
    }
    return StreamingResponse(_data(stream), media_type=header.media_type, headers=headers)


async def _data(stream: Any) -> Any:
    async for item in rest(stream):
        yield item.data
