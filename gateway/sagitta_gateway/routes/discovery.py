"""`sagitta.semantic.v1.DiscoveryService`."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sagitta.semantic.v1 import discovery_service_pb2 as pb
from sagitta.semantic.v1 import model_pb2
from starlette.responses import Response

from sagitta_gateway.bodies import answer_of, json_text
from sagitta_gateway.convert import to_body
from sagitta_gateway.engine import metadata, stubs
from sagitta_gateway.openapi import answers, body_of, list_of, object_of
from sagitta_gateway.routes.large import LargeBodyRoute
from sagitta_gateway.routes.queries import QueryBody
from sagitta_gateway.routes.scope import Scope, scoped
from sagitta_gateway.schemas import COMPONENTS

router = APIRouter(tags=["discovery"], default_response_class=Response, route_class=LargeBodyRoute)

Name = Annotated[str, Path(description="The exact name.", examples=["Revenue"])]
ArtefactName = Literal["dimension", "measure", "metric", "data_object"]


def _type(name: str | None) -> model_pb2.ArtefactType.ValueType:
    return model_pb2.ArtefactType.Value(f"ARTEFACT_TYPE_{(name or 'unspecified').upper()}")


@scoped(
    router,
    "GET",
    "schema",
    operation_id="get_schema",
    summary="Returns everything a model declares",
    responses=answers(body_of(pb.GetSchemaResponse), "The declarations."),
)
async def get_schema(request: Request, scope: Scope) -> Response:
    message = pb.GetSchemaRequest(session_id=scope.session_id, model_id=scope.model_id)
    return await answer_of(await stubs(request).discovery.GetSchema(message, metadata=metadata(request)))


@scoped(
    router,
    "GET",
    "dimensions",
    operation_id="list_dimensions",
    summary="Lists the dimensions",
    responses=answers(list_of(model_pb2.Dimension), "The dimensions."),
)
async def list_dimensions(request: Request, scope: Scope) -> Response:
    message = pb.ListDimensionsRequest(session_id=scope.session_id, model_id=scope.model_id)
    answer = await stubs(request).discovery.ListDimensions(message, metadata=metadata(request))
    return await answer_of(answer, lambda found: [to_body(item) for item in found.dimensions])


@scoped(
    router,
    "GET",
    "dimensions/{name:artefact}",
    operation_id="get_dimension",
    summary="Returns one dimension",
    responses=answers(body_of(model_pb2.Dimension), "The dimension."),
)
async def get_dimension(request: Request, scope: Scope, name: Name) -> Response:
    message = pb.GetDimensionRequest(session_id=scope.session_id, model_id=scope.model_id, name=name)
    answer = await stubs(request).discovery.GetDimension(message, metadata=metadata(request))
    return await answer_of(answer.dimension)


@scoped(
    router,
    "GET",
    "measures",
    operation_id="list_measures",
    summary="Lists the measures",
    responses=answers(list_of(model_pb2.Measure), "The measures."),
)
async def list_measures(request: Request, scope: Scope) -> Response:
    message = pb.ListMeasuresRequest(session_id=scope.session_id, model_id=scope.model_id)
    answer = await stubs(request).discovery.ListMeasures(message, metadata=metadata(request))
    return await answer_of(answer, lambda found: [to_body(item) for item in found.measures])


@scoped(
    router,
    "GET",
    "measures/{name:artefact}",
    operation_id="get_measure",
    summary="Returns one measure",
    responses=answers(body_of(model_pb2.Measure), "The measure."),
)
async def get_measure(request: Request, scope: Scope, name: Name) -> Response:
    message = pb.GetMeasureRequest(session_id=scope.session_id, model_id=scope.model_id, name=name)
    answer = await stubs(request).discovery.GetMeasure(message, metadata=metadata(request))
    return await answer_of(answer.measure)


@scoped(
    router,
    "GET",
    "metrics",
    operation_id="list_metrics",
    summary="Lists the metrics",
    responses=answers(list_of(model_pb2.Metric), "The metrics."),
)
async def list_metrics(request: Request, scope: Scope) -> Response:
    message = pb.ListMetricsRequest(session_id=scope.session_id, model_id=scope.model_id)
    answer = await stubs(request).discovery.ListMetrics(message, metadata=metadata(request))
    return await answer_of(answer, lambda found: [to_body(item) for item in found.metrics])


@scoped(
    router,
    "GET",
    "metrics/{name:artefact}",
    operation_id="get_metric",
    summary="Returns one metric",
    responses=answers(body_of(model_pb2.Metric), "The metric."),
)
async def get_metric(request: Request, scope: Scope, name: Name) -> Response:
    message = pb.GetMetricRequest(session_id=scope.session_id, model_id=scope.model_id, name=name)
    answer = await stubs(request).discovery.GetMetric(message, metadata=metadata(request))
    return await answer_of(answer.metric)


@scoped(
    router,
    "GET",
    "explain/{name:artefact}",
    operation_id="explain_artefact",
    summary="Traces a dimension, measure or metric to its columns",
    responses=answers(body_of(pb.ExplainArtefactResponse), "The lineage."),
)
async def explain_artefact(request: Request, scope: Scope, name: Name) -> Response:
    message = pb.ExplainArtefactRequest(session_id=scope.session_id, model_id=scope.model_id, name=name)
    return await answer_of(await stubs(request).discovery.ExplainArtefact(message, metadata=metadata(request)))


class FindRequest(BaseModel):
    """What to look for."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(min_length=1, max_length=1000, description="A name or part of it.", examples=["Revenue"])
    types: list[ArtefactName] | None = Field(fail_fast=True, default=None, description="All kinds when omitted.")


@scoped(
    router,
    "POST",
    "find",
    operation_id="find_artefacts",
    summary="Finds artefacts by name or synonym",
    responses=answers(body_of(pb.FindArtefactsResponse), "What was found."),
    statuses=(422,),
)
async def find_artefacts(request: Request, scope: Scope, body: Annotated[FindRequest, Body()]) -> Response:
    message = pb.FindArtefactsRequest(
        session_id=scope.session_id,
        model_id=scope.model_id,
        query=body.query,
        types=[_type(name) for name in body.types or ()],
    )
    return await answer_of(await stubs(request).discovery.FindArtefacts(message, metadata=metadata(request)))


@scoped(
    router,
    "GET",
    "join-graph",
    operation_id="get_join_graph",
    summary="Returns the joins as a graph",
    responses=answers(body_of(pb.GetJoinGraphResponse), "The graph."),
)
async def get_join_graph(request: Request, scope: Scope) -> Response:
    message = pb.GetJoinGraphRequest(session_id=scope.session_id, model_id=scope.model_id)
    return await answer_of(await stubs(request).discovery.GetJoinGraph(message, metadata=metadata(request)))


@scoped(
    router,
    "GET",
    "examples",
    operation_id="list_examples",
    summary="Lists the example queries",
    responses=answers(body_of(pb.ListExamplesResponse), "The examples."),
)
async def list_examples(
    request: Request,
    scope: Scope,
    intent: Annotated[str | None, Query(max_length=1000, description="An intent tag, or something like one.")] = None,
) -> Response:
    message = pb.ListExamplesRequest(session_id=scope.session_id, model_id=scope.model_id, intent=intent or "")
    return await answer_of(await stubs(request).discovery.ListExamples(message, metadata=metadata(request)))


@scoped(
    router,
    "GET",
    "examples/{example_name:artefact}",
    operation_id="get_example",
    summary="Returns one example query",
    responses=answers(
        object_of(
            pb.GetExampleResponse,
            "Example",
            also={"query": {"$ref": f"{COMPONENTS}QueryObject"}},
            required=("query",),
        ),
        "The example; its query can be sent as it stands.",
    ),
)
async def get_example(request: Request, scope: Scope, example_name: Name) -> Response:
    message = pb.GetExampleRequest(session_id=scope.session_id, model_id=scope.model_id, example_name=example_name)
    return await answer_of(await stubs(request).discovery.GetExample(message, metadata=metadata(request)))


@scoped(
    router,
    "GET",
    "diagram/er",
    operation_id="get_er_diagram",
    summary="Draws the data objects and their joins",
    responses=answers(body_of(pb.GetErDiagramResponse), "The text for Mermaid."),
)
async def get_er_diagram(
    request: Request,
    scope: Scope,
    show_columns: Annotated[bool, Query(description="Whether columns are drawn.")] = True,
    theme: Annotated[str, Query(max_length=64, description="The theme of the drawing.")] = "default",
) -> Response:
    message = pb.GetErDiagramRequest(
        session_id=scope.session_id, model_id=scope.model_id, hide_columns=not show_columns, theme=theme
    )
    return await answer_of(await stubs(request).discovery.GetErDiagram(message, metadata=metadata(request)))


_COMPOSABLES = answers(body_of(pb.ListComposablesResponse), "What can still be added.")


@scoped(
    router,
    "GET",
    "composables",
    operation_id="list_composables_of_artefact",
    summary="Lists what can be combined with an artefact",
    responses=_COMPOSABLES,
    statuses=(422,),
)
async def list_composables_of_artefact(
    request: Request,
    scope: Scope,
    anchor: Annotated[
        str | None, Query(max_length=1000, description="The artefact; all of the model without it.")
    ] = None,
    anchor_type: Annotated[ArtefactName | None, Query(alias="anchorType")] = None,
) -> Response:
    message = pb.ListComposablesRequest(
        session_id=scope.session_id, model_id=scope.model_id, anchor=anchor or "", anchor_type=_type(anchor_type)
    )
    return await answer_of(await stubs(request).discovery.ListComposables(message, metadata=metadata(request)))


@scoped(
    router,
    "POST",
    "composables",
    operation_id="list_composables",
    summary="Lists what can still be added to a query",
    responses=_COMPOSABLES,
    statuses=(422,),
)
async def list_composables(request: Request, scope: Scope, body: Annotated[QueryBody, Body()]) -> Response:
    message = pb.ListComposablesRequest(
        session_id=scope.session_id, model_id=scope.model_id, query_text=json_text(body)
    )
    return await answer_of(await stubs(request).discovery.ListComposables(message, metadata=metadata(request)))
