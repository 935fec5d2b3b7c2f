"""The environments that datasets live in."""

from __future__ import annotations

from sagitta.review.v1 import review_environments_service_pb2 as environments_pb
from sagitta.review.v1 import review_environments_service_pb2_grpc as environments_grpc

from sagitta_server.auth import Permission, Principal
from sagitta_server.rpc.reviews.boundary import Context, Handlers, answers


class EnvironmentHandlers(Handlers, environments_grpc.ReviewEnvironmentsServiceServicer):
    """`sagitta.review.v1.ReviewEnvironmentsService`."""

    @answers
    def ListEnvironments(
        self, request: environments_pb.ListEnvironmentsRequest, context: Context, caller: Principal
    ) -> environments_pb.ListEnvironmentsResponse:
        caller.require(Permission.SESSION_READ)
        return environments_pb.ListEnvironmentsResponse(
            environments=[
                environments_pb.ReviewEnvironment(environment_id=name, kind=e.kind, base_url=e.base_url)
                for name, e in self._service.environments.items()
            ]
        )

    @answers
    def CheckEnvironment(
        self, request: environments_pb.CheckEnvironmentRequest, context: Context, caller: Principal
    ) -> environments_pb.CheckEnvironmentResponse:
        caller.require(Permission.SESSION_READ)
        found = self._service.environment(request.environment_id).health()
        return environments_pb.CheckEnvironmentResponse(
            health=environments_pb.EnvironmentHealth(
                environment_id=request.environment_id,
                reachable=found.reachable,
                message=found.message,
                features=list(found.features),
            )
        )
