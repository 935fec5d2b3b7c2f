"""Mappings: listed, changed, approved."""

from __future__ import annotations

from sagitta.review.v1 import mapping_review_service_pb2 as mapping_pb
from sagitta.review.v1 import mapping_review_service_pb2_grpc as mapping_grpc

from sagitta_server.auth import Principal
from sagitta_server.reviews.enums import MappingMethod
from sagitta_server.reviews.mapping_decisions import MappingUpdate
from sagitta_server.rpc.reviews import convert
from sagitta_server.rpc.reviews.boundary import Context, Handlers, answers, expected, tell


class MappingHandlers(Handlers, mapping_grpc.MappingReviewServiceServicer):
    """`sagitta.review.v1.MappingReviewService`."""

    @answers
    def ListMappings(
        self, request: mapping_pb.ListMappingsRequest, context: Context, caller: Principal
    ) -> mapping_pb.ListMappingsResponse:
        review = self._service.get_session(caller, request.session_id)
        tell(context, review)
        return mapping_pb.ListMappingsResponse(mappings=convert.mappings(review))

    @answers
    def UpdateMapping(
        self, request: mapping_pb.UpdateMappingRequest, context: Context, caller: Principal
    ) -> mapping_pb.UpdateMappingResponse:
        update = MappingUpdate(
            value=convert.json_text(request.effective_value, "body.effective_value")
            if request.HasField("effective_value")
            else None,
            method=convert.enum_value(MappingMethod, request.mapping_method),
            note=request.transformation_note if request.HasField("transformation_note") else None,
        )
        review, changed = self._service.update_mapping(
            caller, request.session_id, request.mapping_id, update, expected(request)
        )
        tell(context, review)
        return mapping_pb.UpdateMappingResponse(mapping=convert.mapping(changed, review.session_id))

    @answers
    def ApproveMapping(
        self, request: mapping_pb.ApproveMappingRequest, context: Context, caller: Principal
    ) -> mapping_pb.ApproveMappingResponse:
        review, changed = self._service.approve_mapping(
            caller,
            request.session_id,
            request.mapping_id,
            request.approval_note if request.HasField("approval_note") else None,
            expected(request),
        )
        tell(context, review)
        return mapping_pb.ApproveMappingResponse(mapping=convert.mapping(changed, review.session_id))
