"""`sagitta.semantic.v1.DiscoveryService`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from sagitta.semantic.v1 import discovery_service_pb2 as pb
from sagitta.semantic.v1 import discovery_service_pb2_grpc as pb_grpc
from sagitta.semantic.v1 import model_pb2
from sagitta_compiler import CompileError, Query, discovery, read_query
from sagitta_compiler.query.query import DimensionItem, MeasureItem

from sagitta_server.errors import Reason, ServiceError
from sagitta_server.models import ModelHandle
from sagitta_server.queries import Question
from sagitta_server.rpc.access import resolve_for_caller
from sagitta_server.rpc.convert import (
    CARDINALITY,
    data_object_message,
    dimension_message,
    json_struct,
    measure_message,
    metric_message,
    static_filter_messages,
)

if TYPE_CHECKING:
    from sagitta_server.app import Engine

NAME = pb.DESCRIPTOR.services_by_name["DiscoveryService"].full_name
TYPES = {
    "dimension": model_pb2.ARTEFACT_TYPE_DIMENSION,
    "measure": model_pb2.ARTEFACT_TYPE_MEASURE,
    "metric": model_pb2.ARTEFACT_TYPE_METRIC,
    "data_object": model_pb2.ARTEFACT_TYPE_DATA_OBJECT,
}
_Value = TypeVar("_Value")


def register(server: grpc.Server, engine: Engine) -> tuple[str, ...]:
    """Adds the service to a server."""
    pb_grpc.add_DiscoveryServiceServicer_to_server(DiscoveryServicer(engine), server)
    return (NAME,)


class DiscoveryServicer(pb_grpc.DiscoveryServiceServicer):
    """Answers from the model alone."""

    def __init__(self, engine: Engine) -> None:
        self._models = engine.models
        self._queries = engine.queries

    def GetSchema(self, request: pb.GetSchemaRequest, context: grpc.ServicerContext) -> pb.GetSchemaResponse:
        handle = self._find(request)
        model = handle.model
        return pb.GetSchemaResponse(
            model_id=handle.model_id,
            name=model.name,
            version=model.version,
            description=model.about.description,
            owner=model.about.owner,
            data_objects=map(data_object_message, model.objects.values()),
            dimensions=map(dimension_message, model.dimensions.values()),
            measures=map(measure_message, model.measures.values()),
            metrics=map(metric_message, model.metrics.values()),
            filters=static_filter_messages(model.filters),
            extends=model.extends,
            inherits=model.inherits,
        )

    def ListDimensions(
        self, request: pb.ListDimensionsRequest, context: grpc.ServicerContext
    ) -> pb.ListDimensionsResponse:
        model = self._find(request).model
        return pb.ListDimensionsResponse(dimensions=map(dimension_message, model.dimensions.values()))

    def GetDimension(self, request: pb.GetDimensionRequest, context: grpc.ServicerContext) -> pb.GetDimensionResponse:
        found = _named(self._find(request).model.dimensions, request.name, "Dimension")
        return pb.GetDimensionResponse(dimension=dimension_message(found))

    def ListMeasures(self, request: pb.ListMeasuresRequest, context: grpc.ServicerContext) -> pb.ListMeasuresResponse:
        model = self._find(request).model
        return pb.ListMeasuresResponse(measures=map(measure_message, model.measures.values()))

    def GetMeasure(self, request: pb.GetMeasureRequest, context: grpc.ServicerContext) -> pb.GetMeasureResponse:
        found = _named(self._find(request).model.measures, request.name, "Measure")
        return pb.GetMeasureResponse(measure=measure_message(found))

    def ListMetrics(self, request: pb.ListMetricsRequest, context: grpc.ServicerContext) -> pb.ListMetricsResponse:
        model = self._find(request).model
        return pb.ListMetricsResponse(metrics=map(metric_message, model.metrics.values()))

    def GetMetric(self, request: pb.GetMetricRequest, context: grpc.ServicerContext) -> pb.GetMetricResponse:
        found = _named(self._find(request).model.metrics, request.name, "Metric")
        return pb.GetMetricResponse(metric=metric_message(found))

    def ExplainArtefact(
        self, request: pb.ExplainArtefactRequest, context: grpc.ServicerContext
    ) -> pb.ExplainArtefactResponse:
        found = discovery.lineage(self._find(request).model, request.name)
        if found is None:
            raise _not_found("Name", request.name)
        return pb.ExplainArtefactResponse(
            name=found.name,
            type=TYPES[found.type],
            lineage=[pb.LineageItem(type=item.type, name=item.name, detail=item.detail) for item in found.items],
        )

    def FindArtefacts(
        self, request: pb.FindArtefactsRequest, context: grpc.ServicerContext
    ) -> pb.FindArtefactsResponse:
        wanted = [name for name, number in TYPES.items() if not request.types or number in request.types]
        found = discovery.find(self._find(request).model, request.query, wanted)
        exact, synonym = list(map(_match, found.exact_matches)), list(map(_match, found.synonym_matches))
        return pb.FindArtefactsResponse(
            query=found.query,
            results=[*exact, *synonym],
            exact_matches=exact,
            synonym_matches=synonym,
            fuzzy_matches=[
                pb.FuzzyMatch(name=match.name, kind=TYPES[match.kind], score=match.score, reason=match.reason)
                for match in found.fuzzy_matches
            ],
        )

    def GetJoinGraph(self, request: pb.GetJoinGraphRequest, context: grpc.ServicerContext) -> pb.GetJoinGraphResponse:
        graph = discovery.join_graph(self._find(request).model)
        edges = [
            pb.JoinEdge(
                from_object=join.source,
                to_object=join.target,
                cardinality=CARDINALITY[join.cardinality],
                columns_from=join.columns_from,
                columns_to=join.columns_to,
                secondary=join.secondary,
                path_name=join.path_name,
                required=join.required,
            )
            for join in graph.edges
        ]
        return pb.GetJoinGraphResponse(nodes=graph.nodes, edges=edges)

    def ListExamples(self, request: pb.ListExamplesRequest, context: grpc.ServicerContext) -> pb.ListExamplesResponse:
        found = discovery.examples(self._find(request).model, request.intent or None)
        return pb.ListExamplesResponse(
            examples=[
                pb.ExampleSummary(name=item.name, description=item.description, intent_tags=item.intent_tags)
                for item in found.examples
            ],
            suggestion=found.suggestion,
        )

    def GetExample(self, request: pb.GetExampleRequest, context: grpc.ServicerContext) -> pb.GetExampleResponse:
        handle = self._find(request)
        found = discovery.example(handle.model, request.example_name)
        if found is None:
            raise _not_found("Example", request.example_name)
        return pb.GetExampleResponse(
            name=found.name,
            description=found.description,
            intent_tags=found.intent_tags,
            query=json_struct(found.query),
            compiled_sql_preview=self._preview(handle, found.query),
        )

    def GetErDiagram(self, request: pb.GetErDiagramRequest, context: grpc.ServicerContext) -> pb.GetErDiagramResponse:
        text = discovery.er_diagram(
            self._find(request).model, show_columns=not request.hide_columns, theme=request.theme or "default"
        )
        return pb.GetErDiagramResponse(mermaid=text)

    def ListComposables(
        self, request: pb.ListComposablesRequest, context: grpc.ServicerContext
    ) -> pb.ListComposablesResponse:
        handle = self._find(request)
        found = discovery.composables(handle.model, self._anchored(request, handle))
        return pb.ListComposablesResponse(
            anchor_objects=found.anchor_objects,
            dimensions=found.names("dimension"),
            measures=found.names("measure"),
            metrics=found.names("metric"),
            cfl_measures=found.names("measure", composite=True),
            cfl_metrics=found.names("metric", composite=True),
            items=[
                pb.Composable(
                    name=item.name,
                    type=TYPES[item.kind],
                    composite=item.composite,
                    joins=item.cost.joins,
                    scans=item.cost.scans,
                    deduplicated=item.cost.deduplicated,
                    null_for=item.cost.null_for,
                    requires=item.cost.requires,
                )
                for item in found.items
            ],
        )

    def _find(self, request: Any) -> ModelHandle:
        return resolve_for_caller(self._models, request.session_id, request.model_id)

    def _preview(self, handle: ModelHandle, query: Mapping[str, Any]) -> str | None:
        """The SQL of an example; None where it does not compile, which loading the model has told."""
        read, _ = read_query(query)
        try:
            return self._queries.compile(handle, read).sql if read is not None else None
        except CompileError:
            return None

    def _anchored(self, request: pb.ListComposablesRequest, handle: ModelHandle) -> Query:
        """The query of the request, or one that selects its anchor alone."""
        if request.query_text:
            return self._queries.read(Question(text=request.query_text))
        if not request.anchor:
            return Query()
        model, kind = handle.model, request.anchor_type
        if kind in {0, TYPES["dimension"]} and request.anchor in model.dimensions:
            return Query(dimensions=(DimensionItem(request.anchor),))
        if kind in {0, TYPES["measure"], TYPES["metric"]} and (
            request.anchor in model.measures or request.anchor in model.metrics
        ):
            return Query(measures=(MeasureItem(request.anchor),))
        raise _not_found("Name", request.anchor)


def _match(match: discovery.Match) -> pb.Match:
    return pb.Match(type=TYPES[match.type], name=match.name, match_field=match.match_field, score=match.score)


def _named(artefacts: Mapping[str, _Value], name: str, kind: str) -> _Value:
    found = artefacts.get(name)
    if found is None:
        raise _not_found(kind, name)
    return found


def _not_found(kind: str, name: str) -> ServiceError:
    return ServiceError(
        Reason.ARTEFACT_NOT_FOUND, f"{kind} '{name}' not found in the model.", metadata={"kind": kind, "name": name}
    )
