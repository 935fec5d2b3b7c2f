"""`sagitta.semantic.v1.ReferenceService`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from sagitta.semantic.v1 import reference_service_pb2 as pb
from starlette.responses import Response

from sagitta_gateway.bodies import answer_of, json_response
from sagitta_gateway.engine import metadata, stubs
from sagitta_gateway.error_schema import errors
from sagitta_gateway.openapi import answers, body_of

router = APIRouter(tags=["reference"], default_response_class=Response)

MARKDOWN = "text/markdown"


@router.get(
    "/v1/reference",
    operation_id="list_references",
    summary="Lists the reference documents",
    responses={**answers(body_of(pb.ListReferencesResponse), "The documents."), **errors()},
)
async def list_references(request: Request) -> Response:
    answer = await stubs(request).reference.ListReferences(pb.ListReferencesRequest(), metadata=metadata(request))
    return await answer_of(answer)


@router.get(
    "/v1/reference/{name:path}",
    operation_id="get_reference",
    summary="Returns a reference document",
    responses={
        200: {
            "description": "Markdown as `{reference}`, a catalogue as JSON, or a JSON Schema.",
            "content": {
                "application/json": {"schema": {"type": "object", "additionalProperties": True}},
                "application/schema+json": {"schema": {"type": "object", "additionalProperties": True}},
            },
        },
        **errors(404),
    },
)
async def get_reference(
    request: Request, name: Annotated[str, Path(description="obml, query, functions, schemas/obml, schemas/query")]
) -> Response:
    answer = await stubs(request).reference.GetReference(pb.GetReferenceRequest(name=name), metadata=metadata(request))
    if answer.media_type == MARKDOWN:
        return json_response({"reference": answer.content})
    return Response(answer.content, media_type=answer.media_type)
