"""`sagitta.review.v1.SemanticReviewService`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from fastapi import File, Request, UploadFile
from google.protobuf.field_mask_pb2 import FieldMask
from sagitta.review.v1 import review_pb2
from sagitta.review.v1 import semantic_review_service_pb2 as pb
from starlette.responses import Response

from sagitta_gateway.engine import metadata
from sagitta_gateway.review_bodies import ApplySource, Publish, UpdateField, enum_of, read_body
from sagitta_gateway.review_calls import (
    body_schema,
    call,
    documented,
    expected_version,
    idempotency_key,
    reply,
    review_router,
    review_stubs,
)
from sagitta_gateway.review_json import json_answer, to_json

router = review_router("Semantic Review")
_TEXTS = ("verbose_name", "description", "display_format")
_CHUNK = 524_288


@router.post(
    "/sessions/{session_id}/semantic-source",
    operation_id="review_apply_semantic_source",
    summary="Applies a semantic source",
    responses=documented(review_pb2.SessionDetail, "The session after it.", 200, 400, 401, 403, 404, 409, 413),
    openapi_extra=body_schema(ApplySource),
)
async def apply_semantic_source(request: Request, session_id: str) -> Response:
    body = await read_body(request, ApplySource, invalid=400)
    message = pb.ApplySemanticSourceRequest(
        session_id=session_id,
        source_type=enum_of("SemanticSourceType", body.source_type, "body.source_type", invalid=400),
        source_ref=body.source_ref,
        **expected_version(request),
    )
    answer = await call(request, review_stubs(request).semantics.ApplySemanticSource, message)
    return reply(answer, answer.message.detail)


@router.patch(
    "/sessions/{session_id}/fields/{field_id}/semantic",
    operation_id="review_update_field",
    summary="Accepts a candidate or writes a field's texts by hand",
    responses=documented(review_pb2.SemanticFieldEntry, "The field after it.", 200, 400, 401, 403, 404, 409),
    openapi_extra=body_schema(UpdateField),
)
async def update_field(request: Request, session_id: str, field_id: str) -> Response:
    body = await read_body(request, UpdateField, invalid=400)
    message = pb.UpdateFieldSemanticRequest(
        session_id=session_id,
        field_id=field_id,
        candidate_id=body.candidate_id,
        verbose_name=body.verbose_name,
        description=body.description,
        display_format=body.display_format,
        lock_field=body.lock_field,
        resolution_note=body.resolution_note,
        update_mask=FieldMask(paths=[name for name in _TEXTS if name in body.model_fields_set]),
        **expected_version(request),
    )
    answer = await call(request, review_stubs(request).semantics.UpdateFieldSemantic, message)
    return reply(answer, answer.message.field)


@router.post(
    "/sessions/{session_id}/fields/{field_id}/lock",
    operation_id="review_lock_field",
    summary="Protects a field from automatic writers",
    responses=documented(review_pb2.SemanticFieldEntry, "The field after it.", 200, 401, 403, 404, 409),
)
async def lock_field(request: Request, session_id: str, field_id: str) -> Response:
    message = pb.LockFieldRequest(session_id=session_id, field_id=field_id, **expected_version(request))
    answer = await call(request, review_stubs(request).semantics.LockField, message)
    return reply(answer, answer.message.field)


@router.post(
    "/sessions/{session_id}/fields/{field_id}/unlock",
    operation_id="review_unlock_field",
    summary="Lets automatic writers change a field again",
    responses=documented(review_pb2.SemanticFieldEntry, "The field after it.", 200, 401, 403, 404, 409),
)
async def unlock_field(request: Request, session_id: str, field_id: str) -> Response:
    message = pb.UnlockFieldRequest(session_id=session_id, field_id=field_id, **expected_version(request))
    answer = await call(request, review_stubs(request).semantics.UnlockField, message)
    return reply(answer, answer.message.field)


@router.post(
    "/sessions/{session_id}/publish",
    operation_id="review_publish_semantics",
    summary="Writes accepted texts back to the dataset where it lives",
    responses=documented(pb.PublishReceipt, "What was written.", 200, 401, 403, 404, 409, 422, 502, 503, 504),
    openapi_extra=body_schema(Publish, required=False),
)
async def publish_semantics(request: Request, session_id: str) -> Response:
    body = await read_body(request, Publish, invalid=422, optional=True)
    message = pb.PublishSemanticsRequest(
        session_id=session_id,
        field_ids=body.field_ids,
        include_description=body.include_description,
        dry_run=body.dry_run,
        idempotency_key=idempotency_key(request),
        **expected_version(request),
    )
    answer = await call(request, review_stubs(request).semantics.PublishSemantics, message)
    return reply(answer, answer.message.receipt)


@router.post(
    "/uploads",
    operation_id="review_upload_dictionary",
    summary="Stores a data dictionary for a week",
    status_code=201,
    responses=documented(pb.UploadReceipt, "How to refer to it.", 201, 401, 403, 413, 422),
)
async def upload_dictionary(request: Request, file: Annotated[UploadFile, File()]) -> Response:
    content = await file.read()
    header = pb.UploadHeader(file_name=file.filename or "", media_type=file.content_type or "")
    pending = review_stubs(request).semantics.UploadDictionary(_parts(header, content), metadata=metadata(request))
    receipt = (await pending).receipt
    return json_answer(to_json(receipt), 201)


def _parts(header: pb.UploadHeader, content: bytes) -> Iterator[pb.UploadDictionaryRequest]:
    yield pb.UploadDictionaryRequest(header=header)
    for start in range(0, len(content), _CHUNK):
        yield pb.UploadDictionaryRequest(data=content[start : start + _CHUNK])
