"""Adds the review services to a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from sagitta.review.v1 import clarification_service_pb2 as clarification_pb
from sagitta.review.v1 import clarification_service_pb2_grpc as clarification_grpc
from sagitta.review.v1 import mapping_review_service_pb2 as mapping_pb
from sagitta.review.v1 import mapping_review_service_pb2_grpc as mapping_grpc
from sagitta.review.v1 import preview_launch_service_pb2 as launch_pb
from sagitta.review.v1 import preview_launch_service_pb2_grpc as launch_grpc
from sagitta.review.v1 import review_environments_service_pb2 as environments_pb
from sagitta.review.v1 import review_environments_service_pb2_grpc as environments_grpc
from sagitta.review.v1 import review_exports_service_pb2 as exports_pb
from sagitta.review.v1 import review_exports_service_pb2_grpc as exports_grpc
from sagitta.review.v1 import review_sessions_service_pb2 as sessions_pb
from sagitta.review.v1 import review_sessions_service_pb2_grpc as sessions_grpc
from sagitta.review.v1 import semantic_review_service_pb2 as semantic_pb
from sagitta.review.v1 import semantic_review_service_pb2_grpc as semantic_grpc

from sagitta_server.auth import Authenticator
from sagitta_server.reviews.run_rows import RunRows
from sagitta_server.reviews.service import ReviewService
from sagitta_server.rpc.reviews.boundary import Waiting
from sagitta_server.rpc.reviews.clarification import ClarificationHandlers
from sagitta_server.rpc.reviews.environments import EnvironmentHandlers
from sagitta_server.rpc.reviews.exports import ExportHandlers
from sagitta_server.rpc.reviews.launches import LaunchHandlers
from sagitta_server.rpc.reviews.mappings import MappingHandlers
from sagitta_server.rpc.reviews.semantics import SemanticHandlers
from sagitta_server.rpc.reviews.sessions import SessionHandlers

if TYPE_CHECKING:
    from sagitta_server.app import Engine

_FILES = (sessions_pb, semantic_pb, clarification_pb, mapping_pb, launch_pb, exports_pb, environments_pb)


def register(server: grpc.Server, engine: Engine) -> tuple[str, ...]:
    """Adds the review services to a server and returns their full names."""
    return add_review_services(server, engine.reviews.service, engine.authenticator, engine.run_rows)


def add_review_services(
    server: grpc.Server, service: ReviewService, authenticator: Authenticator, run_rows: RunRows
) -> tuple[str, ...]:
    """As `register`, from the parts."""
    shared = (service, authenticator, Waiting(service.settings.max_watchers))
    sessions_grpc.add_ReviewSessionsServiceServicer_to_server(SessionHandlers(*shared), server)
    semantic_grpc.add_SemanticReviewServiceServicer_to_server(SemanticHandlers(*shared), server)
    clarification_grpc.add_ClarificationServiceServicer_to_server(ClarificationHandlers(*shared), server)
    mapping_grpc.add_MappingReviewServiceServicer_to_server(MappingHandlers(*shared), server)
    launch_grpc.add_PreviewLaunchServiceServicer_to_server(LaunchHandlers(*shared, run_rows), server)
    exports_grpc.add_ReviewExportsServiceServicer_to_server(ExportHandlers(*shared), server)
    environments_grpc.add_ReviewEnvironmentsServiceServicer_to_server(EnvironmentHandlers(*shared), server)
    return tuple(s.full_name for file in _FILES for s in file.DESCRIPTOR.services_by_name.values())
