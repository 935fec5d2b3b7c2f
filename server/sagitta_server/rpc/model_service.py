"""`sagitta.semantic.v1.ModelService`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
from sagitta.semantic.v1 import model_service_pb2 as pb
from sagitta.semantic.v1 import model_service_pb2_grpc as pb_grpc
from sagitta.semantic.v1.model_pb2 import MODEL_LOAD_FRESH, MODEL_LOAD_REUSED

from sagitta_server.errors import Reason, ServiceError
from sagitta_server.models import ModelSource
from sagitta_server.rpc.convert import (
    counts_message,
    data_object_message,
    diagnostic_messages,
    dimension_message,
    health_message,
    measure_message,
    metric_message,
)

if TYPE_CHECKING:
    from sagitta_server.app import Engine

NAME = pb.DESCRIPTOR.services_by_name["ModelService"].full_name


def register(server: grpc.Server, engine: Engine) -> tuple[str, ...]:
    """Adds the service to a server."""
    pb_grpc.add_ModelServiceServicer_to_server(ModelServicer(engine), server)
    return (NAME,)


class ModelServicer(pb_grpc.ModelServiceServicer):
    """Loads, lists, describes, removes and checks models."""

    def __init__(self, engine: Engine) -> None:
        self._models = engine.models

    def LoadModel(self, request: pb.LoadModelRequest, context: grpc.ServicerContext) -> pb.LoadModelResponse:
        self._models.require_uploads()
        source = self._source(request.session_id, request.source)
        loaded = self._models.load(request.session_id, source, dedup=not request.skip_dedup)
        handle = loaded.handle
        return pb.LoadModelResponse(
            counts=counts_message(handle.model_id, handle.model),
            warnings=diagnostic_messages(loaded.warnings),
            model_load=MODEL_LOAD_REUSED if loaded.reused else MODEL_LOAD_FRESH,
            health=health_message(handle.loaded.health),
        )

    def ListModels(self, request: pb.ListModelsRequest, context: grpc.ServicerContext) -> pb.ListModelsResponse:
        handles = self._models.in_session(request.session_id)
        return pb.ListModelsResponse(models=[counts_message(handle.model_id, handle.model) for handle in handles])

    def GetModel(self, request: pb.GetModelRequest, context: grpc.ServicerContext) -> pb.GetModelResponse:
        handle = self._models.resolve(request.session_id, request.model_id)
        model = handle.model
        return pb.GetModelResponse(
            model_id=handle.model_id,
            data_objects=map(data_object_message, model.objects.values()),
            dimensions=map(dimension_message, model.dimensions.values()),
            measures=map(measure_message, model.measures.values()),
            metrics=map(metric_message, model.metrics.values()),
        )

    def RemoveModel(self, request: pb.RemoveModelRequest, context: grpc.ServicerContext) -> pb.RemoveModelResponse:
        self._models.remove(request.session_id, request.model_id)
        return pb.RemoveModelResponse()

    def ValidateModel(
        self, request: pb.ValidateModelRequest, context: grpc.ServicerContext
    ) -> pb.ValidateModelResponse:
        if request.session_id:
            self._models.session(request.session_id)
        loaded = self._models.validate(self._source(request.session_id, request.source))
        return pb.ValidateModelResponse(
            valid=loaded.model is not None,
            errors=diagnostic_messages(diagnostic for diagnostic in loaded.diagnostics if diagnostic.is_error),
            warnings=diagnostic_messages(diagnostic for diagnostic in loaded.diagnostics if not diagnostic.is_error),
        )

    def ListCuratedModels(
        self, request: pb.ListCuratedModelsRequest, context: grpc.ServicerContext
    ) -> pb.ListCuratedModelsResponse:
        served = []
        for name, curated in sorted(self._models.curated.models.items()):
            assert curated.loaded.model is not None
            counts = counts_message(curated.model_id, curated.loaded.model)
            served.append(
                pb.CuratedModel(
                    name=name,
                    description=curated.loaded.model.about.description,
                    dimensions=counts.dimensions,
                    measures=counts.measures,
                    metrics=counts.metrics,
                    data_objects=counts.data_objects,
                )
            )
        return pb.ListCuratedModelsResponse(models=served)

    def _source(self, session_id: str, source: pb.ModelSource) -> ModelSource:
        which = source.WhichOneof("text")
        if which is None:
            raise ServiceError(Reason.INVALID_REQUEST, "Send the model as model_yaml or model_json.")
        return self._models.read_source(
            session_id,
            source.model_json if which == "model_json" else source.model_yaml,
            json=which == "model_json",
            extends=tuple(source.extends),
            inherits=source.inherits,
        )
