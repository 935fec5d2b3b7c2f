"""`sagitta.semantic.v1.DialectService`."""

from __future__ import annotations

from fastapi import APIRouter, Request
from sagitta.semantic.v1 import dialect_service_pb2 as pb
from starlette.responses import Response

from sagitta_gateway.bodies import answer_of
from sagitta_gateway.engine import metadata, stubs
from sagitta_gateway.error_schema import errors
from sagitta_gateway.openapi import answers, body_of

router = APIRouter(tags=["dialects"], default_response_class=Response)


@router.get(
    "/v1/dialects",
    operation_id="list_dialects",
    summary="Lists the dialects and what they can do",
    responses={**answers(body_of(pb.ListDialectsResponse), "The dialects by name."), **errors()},
)
async def list_dialects(request: Request) -> Response:
    answer = await stubs(request).dialects.ListDialects(pb.ListDialectsRequest(), metadata=metadata(request))
    return await answer_of(answer)
