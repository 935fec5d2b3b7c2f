"""`sagitta.semantic.v1.ConvertService`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
from google.rpc import status_pb2
from sagitta.semantic.v1 import convert_service_pb2 as pb
from sagitta.semantic.v1 import convert_service_pb2_grpc as pb_grpc
from sagitta.semantic.v1.model_pb2 import MODEL_LOAD_FRESH, MODEL_LOAD_REUSED
from sagitta_compiler.conversion import (
    Conversion,
    ConversionError,
    InvalidYamlError,
    Validation,
    obml_to_osi,
    osi_to_obml,
    standalone,
)

from sagitta_server.errors import HANDLERS, Reason, ServiceError, service_status
from sagitta_server.rpc.convert import counts_message, diagnostic_messages, health_message

if TYPE_CHECKING:
    from sagitta_server.app import Engine

NAME = pb.DESCRIPTOR.services_by_name["ConvertService"].full_name
DEFAULT_NAME = "semantic_model"


def _invalid(error: Any) -> status_pb2.Status:
    return service_status(ServiceError(Reason.INVALID_YAML, f"Invalid YAML input: {error}"))


def _failed(error: Any) -> status_pb2.Status:
    return service_status(ServiceError(Reason.CONVERSION_FAILED, f"Conversion failed: {error}"))


HANDLERS[InvalidYamlError] = _invalid
HANDLERS[ConversionError] = _failed


def register(server: grpc.Server, engine: Engine) -> tuple[str, ...]:
    """Adds the service to a server."""
    pb_grpc.add_ConvertServiceServicer_to_server(ConvertServicer(engine), server)
    return (NAME,)


class ConvertServicer(pb_grpc.ConvertServiceServicer):
    """Converts texts and loaded models; only `LoadOsiModel` stores anything."""

    def __init__(self, engine: Engine) -> None:
        self._models = engine.models

    def ConvertOsiToObml(
        self, request: pb.ConvertOsiToObmlRequest, context: grpc.ServicerContext
    ) -> pb.ConvertOsiToObmlResponse:
        return pb.ConvertOsiToObmlResponse(conversion=_message(osi_to_obml(request.input_yaml)))

    def ConvertObmlToOsi(
        self, request: pb.ConvertObmlToOsiRequest, context: grpc.ServicerContext
    ) -> pb.ConvertObmlToOsiResponse:
        conversion = obml_to_osi(
            request.input_yaml,
            model_name=request.model_name or DEFAULT_NAME,
            model_description=request.model_description,
            ai_instructions=request.ai_instructions,
        )
        return pb.ConvertObmlToOsiResponse(conversion=_message(conversion))

    def LoadOsiModel(self, request: pb.LoadOsiModelRequest, context: grpc.ServicerContext) -> pb.LoadOsiModelResponse:
        self._models.require_uploads()
        self._models.session(request.session_id)
        conversion = osi_to_obml(request.osi_yaml)
        source = self._models.read_source(
            request.session_id, conversion.output_yaml, json=False, extends=(), inherits=""
        )
        loaded = self._models.load(request.session_id, source, dedup=not request.skip_dedup)
        return pb.LoadOsiModelResponse(
            counts=counts_message(loaded.handle.model_id, loaded.handle.model),
            warnings=diagnostic_messages(loaded.warnings),
            model_load=MODEL_LOAD_REUSED if loaded.reused else MODEL_LOAD_FRESH,
            health=health_message(loaded.handle.loaded.health),
            conversion_warnings=conversion.warnings,
            input_validation=_validation(conversion.input_validation) if conversion.input_validation else None,
        )

    def ExportOsiModel(
        self, request: pb.ExportOsiModelRequest, context: grpc.ServicerContext
    ) -> pb.ExportOsiModelResponse:
        handle = self._models.resolve(request.session_id, request.model_id)
        conversion = obml_to_osi(
            standalone(handle.loaded),
            model_name=request.model_name or DEFAULT_NAME,
            model_description=request.model_description,
            ai_instructions=request.ai_instructions,
        )
        return pb.ExportOsiModelResponse(conversion=_message(conversion))


def _message(conversion: Conversion) -> pb.Conversion:
    checked = conversion.input_validation
    return pb.Conversion(
        output_yaml=conversion.output_yaml,
        warnings=conversion.warnings,
        validation=_validation(conversion.validation),
        input_validation=None if checked is None else _validation(checked),
    )


def _validation(validation: Validation) -> pb.ConversionValidation:
    return pb.ConversionValidation(
        schema_valid=validation.schema_valid,
        semantic_valid=validation.semantic_valid,
        schema_errors=validation.schema_errors,
        semantic_errors=validation.semantic_errors,
        semantic_warnings=validation.semantic_warnings,
    )
