"""`sagitta.review.v1.ReviewEnvironmentsService`."""

from __future__ import annotations

from fastapi import Request
from sagitta.review.v1 import review_environments_service_pb2 as pb
from starlette.responses import Response

from sagitta_gateway.review_calls import call, documented, reply, review_router, review_stubs

router = review_router("Environments")


@router.get(
    "/environments",
    operation_id="review_list_environments",
    summary="Lists the environments that reviews can be made in",
    responses=documented(pb.ListEnvironmentsResponse, "The environments.", 200, 401, 403),
)
async def list_environments(request: Request) -> Response:
    answer = await call(request, review_stubs(request).environments.ListEnvironments, pb.ListEnvironmentsRequest())
    return reply(answer, answer.message)


@router.get(
    "/environments/{environment_id}/health",
    operation_id="review_check_environment",
    summary="Whether an environment can be used, and what it offers",
    responses=documented(pb.EnvironmentHealth, "Its health.", 200, 401, 403, 404),
)
async def check_environment(request: Request, environment_id: str) -> Response:
    message = pb.CheckEnvironmentRequest(environment_id=environment_id)
    answer = await call(request, review_stubs(request).environments.CheckEnvironment, message)
    return reply(answer, answer.message.health)
