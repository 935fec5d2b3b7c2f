"""Meanings of fields: sources applied, texts decided, dictionaries uploaded, texts published."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sagitta.review.v1 import review_pb2 as pb
from sagitta.review.v1 import semantic_review_service_pb2 as semantic_pb
from sagitta.review.v1 import semantic_review_service_pb2_grpc as semantic_grpc

from sagitta_server.auth import Permission, Principal
from sagitta_server.reviews.enums import SemanticSourceType
from sagitta_server.reviews.errors import ReviewError, Violation, validation_error
from sagitta_server.reviews.field_decisions import FieldUpdate
from sagitta_server.reviews.publishing import Wish
from sagitta_server.reviews.values import Field, Review
from sagitta_server.rpc.reviews import convert
from sagitta_server.rpc.reviews.boundary import Context, Handlers, answers, expected, tell

_TEXTS = ("verbose_name", "description", "display_format")


class SemanticHandlers(Handlers, semantic_grpc.SemanticReviewServiceServicer):
    """`sagitta.review.v1.SemanticReviewService`."""

    @answers
    def ApplySemanticSource(
        self, request: semantic_pb.ApplySemanticSourceRequest, context: Context, caller: Principal
    ) -> semantic_pb.ApplySemanticSourceResponse:
        caller.require(Permission.SESSION_MANAGE)
        review = self._service.apply_source(
            caller,
            request.session_id,
            convert.required_enum(SemanticSourceType, request.source_type, "body.source_type"),
            request.source_ref,
            expected(request),
        )
        tell(context, review)
        return semantic_pb.ApplySemanticSourceResponse(detail=convert.detail(review))

    @answers
    def UpdateFieldSemantic(
        self, request: semantic_pb.UpdateFieldSemanticRequest, context: Context, caller: Principal
    ) -> semantic_pb.UpdateFieldSemanticResponse:
        changed = self._service.update_field(
            caller, request.session_id, request.field_id, _field_update(request), expected(request)
        )
        return semantic_pb.UpdateFieldSemanticResponse(field=_told(context, changed))

    @answers
    def LockField(
        self, request: semantic_pb.LockFieldRequest, context: Context, caller: Principal
    ) -> semantic_pb.LockFieldResponse:
        changed = self._service.lock_field(caller, request.session_id, request.field_id, expected(request))
        return semantic_pb.LockFieldResponse(field=_told(context, changed))

    @answers
    def UnlockField(
        self, request: semantic_pb.UnlockFieldRequest, context: Context, caller: Principal
    ) -> semantic_pb.UnlockFieldResponse:
        changed = self._service.unlock_field(caller, request.session_id, request.field_id, expected(request))
        return semantic_pb.UnlockFieldResponse(field=_told(context, changed))

    @answers
    def PublishSemantics(
        self, request: semantic_pb.PublishSemanticsRequest, context: Context, caller: Principal
    ) -> semantic_pb.PublishSemanticsResponse:
        wish = Wish(tuple(request.field_ids), request.include_description, request.dry_run)
        review, publication, replayed = self._service.publish_semantics(
            caller, request.session_id, wish, expected(request), key=request.idempotency_key
        )
        tell(context, review, replayed=replayed)
        return semantic_pb.PublishSemanticsResponse(receipt=convert.publish_receipt(publication))

    @answers
    def UploadDictionary(
        self, request_iterator: Iterator[semantic_pb.UploadDictionaryRequest], context: Context, caller: Principal
    ) -> semantic_pb.UploadDictionaryResponse:
        caller.require(Permission.SESSION_MANAGE)
        name, media_type, content = self._receive(request_iterator)
        upload = self._service.upload(caller, name, media_type, content)
        return semantic_pb.UploadDictionaryResponse(receipt=semantic_pb.UploadReceipt(**convert.upload_fields(upload)))

    def _receive(self, parts: Iterator[semantic_pb.UploadDictionaryRequest]) -> tuple[str, str, bytes]:
        header: semantic_pb.UploadHeader | None = None
        content = bytearray()
        for part in parts:
            if part.HasField("header"):
                if header is not None or content:
                    raise validation_error(Violation("header", "comes once, before the bytes"))
                header = part.header
                continue
            content += part.data
            if len(content) > self._service.settings.max_upload_bytes:
                limit = self._service.settings.max_upload_bytes
                raise ReviewError("upload_too_large", f"A dictionary may have {limit} bytes.")
        if header is None:
            raise validation_error(Violation("header", "is missing"))
        return header.file_name, header.media_type, bytes(content)


def _told(context: Context, changed: tuple[Review, Field]) -> pb.SemanticFieldEntry:
    """The changed field as a message, the review's new version told beside it."""
    review, field = changed
    tell(context, review)
    return convert.field_entry(field, review.session_id)


def _field_update(request: semantic_pb.UpdateFieldSemanticRequest) -> FieldUpdate:
    given = set(request.update_mask.paths)
    unknown = given - set(_TEXTS)
    if unknown:
        raise validation_error(Violation("update_mask", f"knows {', '.join(_TEXTS)}"))
    named = [name for name in _TEXTS if name in given or _has(request, name)]
    return FieldUpdate(
        candidate_id=request.candidate_id if request.HasField("candidate_id") else None,
        texts=tuple((name, getattr(request, name) if _has(request, name) else None) for name in named),
        lock_field=request.lock_field,
        resolution_note=request.resolution_note if request.HasField("resolution_note") else None,
    )


def _has(message: Any, name: str) -> bool:
    present: bool = message.HasField(name)
    return present
