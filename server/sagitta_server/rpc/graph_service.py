"""`sagitta.semantic.v1.GraphService`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.rpc import status_pb2
from sagitta.semantic.v1 import graph_service_pb2 as pb
from sagitta.semantic.v1 import graph_service_pb2_grpc as pb_grpc
from sagitta_compiler import ontology
from sagitta_compiler.ontology import SparqlError, SparqlForm

from sagitta_server.errors import HANDLERS, Reason, ServiceError, service_status
from sagitta_server.graph import SparqlTimeoutError
from sagitta_server.models import ModelHandle
from sagitta_server.queries.plan_cache import PlanCache

if TYPE_CHECKING:
    from rdflib import Graph

    from sagitta_server.app import Engine

NAME = pb.DESCRIPTOR.services_by_name["GraphService"].full_name
FORMS = {SparqlForm.SELECT: pb.SPARQL_FORM_SELECT, SparqlForm.ASK: pb.SPARQL_FORM_ASK}


def _invalid(error: Any) -> status_pb2.Status:
    return service_status(ServiceError(Reason.INVALID_SPARQL, str(error)))


def _too_long(error: Any) -> status_pb2.Status:
    return service_status(ServiceError(Reason.SPARQL_TIMEOUT, str(error)))


HANDLERS[SparqlError] = _invalid
HANDLERS[SparqlTimeoutError] = _too_long


def register(server: grpc.Server, engine: Engine) -> tuple[str, ...]:
    """Adds the service to a server."""
    pb_grpc.add_GraphServiceServicer_to_server(GraphServicer(engine), server)
    return (NAME,)


class GraphServicer(pb_grpc.GraphServiceServicer):
    """Graphs are made when they are first asked for, and kept as long as compiled models are."""

    def __init__(self, engine: Engine) -> None:
        self._models = engine.models
        self._sparql = engine.sparql
        self._graphs: PlanCache[Graph] = PlanCache(engine.settings.models.cache_size)
        self._texts: PlanCache[str] = PlanCache(engine.settings.models.cache_size)

    def GetGraph(self, request: pb.GetGraphRequest, context: grpc.ServicerContext) -> pb.GetGraphResponse:
        handle = self._models.resolve(request.session_id, request.model_id)
        text = self._texts.get(_key(handle), lambda: ontology.graph_to_turtle(self._graph(handle)))
        return pb.GetGraphResponse(turtle=text)

    def QueryGraph(self, request: pb.QueryGraphRequest, context: grpc.ServicerContext) -> pb.QueryGraphResponse:
        handle = self._models.resolve(request.session_id, request.model_id)
        answer = self._sparql.query(_key(handle), lambda: self._graph(handle), request.query)
        return pb.QueryGraphResponse(
            type=FORMS[answer.form],
            variables=answer.variables,
            results=[
                pb.SparqlSolution(bindings={name: value for name, value in row.items() if value is not None})
                for row in answer.rows
            ],
            boolean=answer.boolean,
            truncated=answer.truncated,
        )

    def _graph(self, handle: ModelHandle) -> Graph:
        return self._graphs.get(_key(handle), lambda: ontology.to_graph(handle.model, handle.model_id))


def _key(handle: ModelHandle) -> str:
    """The addresses in a graph hold the model's id, so equal models of two sessions have two graphs."""
    return f"{handle.model_id}:{handle.content_key}"
