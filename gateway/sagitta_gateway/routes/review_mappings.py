"""`sagitta.review.v1.MappingReviewService`."""

from __future__ import annotations

from fastapi import Request
from sagitta.review.v1 import mapping_review_service_pb2 as pb
from sagitta.review.v1 import review_pb2
from starlette.responses import Response

from sagitta_gateway.review_bodies import ApproveMapping, UpdateMapping, enum_of, json_text, read_body
from sagitta_gateway.review_calls import (
    body_schema,
    call,
    documented,
    expected_version,
    reply,
    review_router,
    review_stubs,
)

router = review_router("Mapping Review")


@router.get(
    "/sessions/{session_id}/mappings",
    operation_id="review_list_mappings",
    summary="Lists the mappings of a session",
    responses=documented(review_pb2.MappingCollection, "The mappings.", 200, 401, 403, 404),
)
async def list_mappings(request: Request, session_id: str) -> Response:
    message = pb.ListMappingsRequest(session_id=session_id)
    answer = await call(request, review_stubs(request).mappings.ListMappings, message)
    return reply(answer, answer.message.mappings)


@router.patch(
    "/sessions/{session_id}/mappings/{mapping_id}",
    operation_id="review_update_mapping",
    summary="Gives a value by hand, drops the filter, or changes how it is linked",
    responses=documented(review_pb2.ExecutionMapping, "The mapping after it.", 200, 400, 401, 403, 404, 409),
    openapi_extra=body_schema(UpdateMapping),
)
async def update_mapping(request: Request, session_id: str, mapping_id: str) -> Response:
    body = await read_body(request, UpdateMapping, invalid=400)
    message = pb.UpdateMappingRequest(
        session_id=session_id,
        mapping_id=mapping_id,
        transformation_note=body.transformation_note,
        **expected_version(request),
    )
    if body.mapping_method is not None:
        method = enum_of("MappingMethod", body.mapping_method, "body.mapping_method", invalid=400)
        message.mapping_method = method
    if "effective_value" in body.model_fields_set:
        message.effective_value.json = json_text(body.effective_value)
    answer = await call(request, review_stubs(request).mappings.UpdateMapping, message)
    return reply(answer, answer.message.mapping)


@router.post(
    "/sessions/{session_id}/mappings/{mapping_id}/approve",
    operation_id="review_approve_mapping",
    summary="Approves a mapping that carries a warning",
    responses=documented(review_pb2.ExecutionMapping, "The mapping after it.", 200, 400, 401, 403, 404, 409),
    openapi_extra=body_schema(ApproveMapping, required=False),
)
async def approve_mapping(request: Request, session_id: str, mapping_id: str) -> Response:
    body = await read_body(request, ApproveMapping, invalid=400, optional=True)
    message = pb.ApproveMappingRequest(
        session_id=session_id, mapping_id=mapping_id, approval_note=body.approval_note, **expected_version(request)
    )
    answer = await call(request, review_stubs(request).mappings.ApproveMapping, message)
    return reply(answer, answer.message.mapping)
