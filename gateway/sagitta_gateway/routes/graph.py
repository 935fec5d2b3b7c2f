"""`sagitta.semantic.v1.GraphService`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field
from sagitta.semantic.v1 import graph_service_pb2 as pb
from starlette.responses import Response

from sagitta_gateway.bodies import answer_of
from sagitta_gateway.convert import Body as JsonBody
from sagitta_gateway.convert import to_body
from sagitta_gateway.engine import metadata, stubs
from sagitta_gateway.openapi import answers
from sagitta_gateway.routes.large import LargeBodyRoute
from sagitta_gateway.routes.scope import Scope, scoped

router = APIRouter(tags=["graph"], default_response_class=Response, route_class=LargeBodyRoute)

TURTLE = "text/turtle"
_TURTLE_EXAMPLE = (
    "@prefix obsl: <https://ralforion.com/ns/obsl#> .\n\n"
    "<https://ralforion.com/ns/model/abcd1234> a obsl:SemanticModel .\n"
)
_SPARQL_EXAMPLE = (
    "PREFIX obsl: <https://ralforion.com/ns/obsl#> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> "
    "SELECT ?label WHERE { ?m a obsl:Measure ; rdfs:label ?label }"
)
_ANSWER = {
    "type": "object",
    "title": "SparqlAnswer",
    "description": "The solutions of a SELECT, or the boolean of an ASK.",
    "properties": {
        "type": {"type": "string", "enum": ["select", "ask"]},
        "variables": {"type": "array", "items": {"type": "string"}},
        "results": {
            "type": "array",
            "items": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
        },
        "boolean": {"type": ["boolean", "null"]},
        "truncated": {"type": "boolean", "description": "Whether the row limit cut the solutions."},
    },
    "required": ["type", "variables", "results", "boolean", "truncated"],
}
_EXAMPLE = {
    "type": "select",
    "variables": ["label"],
    "results": [{"label": "Revenue"}],
    "boolean": None,
    "truncated": False,
}


@scoped(
    router,
    "GET",
    "graph",
    operation_id="get_graph",
    summary="Returns the model as an RDF graph",
    responses={
        200: {
            "description": "The graph as Turtle.",
            "content": {TURTLE: {"schema": {"type": "string"}, "example": _TURTLE_EXAMPLE}},
        }
    },
)
async def get_graph(request: Request, scope: Scope) -> Response:
    message = pb.GetGraphRequest(session_id=scope.session_id, model_id=scope.model_id)
    answer = await stubs(request).graph.GetGraph(message, metadata=metadata(request))
    return Response(answer.turtle, media_type=f"{TURTLE}; charset=utf-8")


class SparqlRequest(BaseModel):
    """A question to the graph."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(max_length=100_000, description="SPARQL, SELECT or ASK.", examples=[_SPARQL_EXAMPLE])


@scoped(
    router,
    "POST",
    "sparql",
    operation_id="query_graph",
    summary="Answers a SPARQL SELECT or ASK from the graph",
    responses=answers(_ANSWER, "The answer.", _EXAMPLE),
    statuses=(400, 422),
)
async def query_graph(request: Request, scope: Scope, body: Annotated[SparqlRequest, Body()]) -> Response:
    message = pb.QueryGraphRequest(session_id=scope.session_id, model_id=scope.model_id, query=body.query)
    return await answer_of(await stubs(request).graph.QueryGraph(message, metadata=metadata(request)), _solutions)


def _solutions(answer: pb.QueryGraphResponse) -> JsonBody:
    """The documented body: every solution has every variable."""
    body = to_body(answer)
    body["results"] = [{name: row["bindings"].get(name) for name in answer.variables} for row in body["results"]]
    return body
