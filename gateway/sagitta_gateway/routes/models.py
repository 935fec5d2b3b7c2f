"""`sagitta.semantic.v1.ModelService`."""

from __future__ import annotations

from typing import Annotated, Any, Self

from fastapi import APIRouter, Body, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sagitta.semantic.v1 import model_pb2
from sagitta.semantic.v1 import model_service_pb2 as pb
from starlette.responses import Response

from sagitta_gateway.bodies import answer_of, json_text
from sagitta_gateway.convert import Body as JsonBody
from sagitta_gateway.convert import to_body
from sagitta_gateway.engine import metadata, stubs
from sagitta_gateway.error_schema import errors
from sagitta_gateway.openapi import answers, body_of, list_of, object_of, properties_of
from sagitta_gateway.routes.large import LargeBodyRoute
from sagitta_gateway.routes.scope import ModelId, SessionId

router = APIRouter(tags=["models"], default_response_class=Response, route_class=LargeBodyRoute)

MAX_TEXT = 5_000_000
_TEXT = (
    "version: 1.0\ndataObjects:\n  Orders:\n    code: orders\n    columns:\n      Id: {code: id, abstractType: int}\n"
)


class ModelText(BaseModel):
    """A model: its text in one notation, `model_yaml` or `model_json`, and what is merged into it."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_yaml: str | None = Field(
        default=None, max_length=MAX_TEXT, description="OBML YAML (or use `model_json`).", examples=[_TEXT]
    )
    model_json: dict[str, Any] | str | None = Field(
        default=None, description="OBML as a JSON object, or its text (or use `model_yaml`)."
    )
    extends: list[str] | None = Field(fail_fast=True, default=None, description="YAML fragments to merge.")
    inherits: str | None = Field(default=None, description="The `model_id` of the model to inherit from.")

    @model_validator(mode="after")
    def _one_text(self) -> Self:
        if (self.model_yaml is None) == (self.model_json is None):
            raise ValueError("send exactly one of model_yaml and model_json")
        return self

    def message(self) -> pb.ModelSource:
        """The text as the engine takes it."""
        source = pb.ModelSource(extends=self.extends or (), inherits=self.inherits or "")
        if self.model_yaml is not None:
            source.model_yaml = self.model_yaml
        elif isinstance(self.model_json, str):
            source.model_json = self.model_json
        else:
            source.model_json = json_text(self.model_json)
        return source


LOADED = object_of(
    pb.LoadModelResponse,
    "LoadedModel",
    keys=("warnings", "model_load", "health"),
    also=properties_of(model_pb2.ModelCounts),
    required=("model_id", "data_objects", "dimensions", "measures", "metrics"),
)


class LoadModel(ModelText):
    """A model to load."""

    dedup: bool = Field(default=True, description="Reuses an identical model of the same session.")


@router.post(
    "/v1/sessions/{session_id}/models",
    operation_id="load_model",
    summary="Reads a model into a session",
    status_code=201,
    responses={
        **answers(
            LOADED,
            "The model is loaded.",
            status=201,
        ),
        **errors(403, 404, 410, 422, 429),
    },
)
async def load_model(request: Request, session_id: SessionId, body: Annotated[LoadModel, Body()]) -> Response:
    message = pb.LoadModelRequest(session_id=session_id, source=body.message(), skip_dedup=not body.dedup)
    answer = await stubs(request).models.LoadModel(message, metadata=metadata(request))
    return await answer_of(answer, loaded, 201)


@router.get(
    "/v1/sessions/{session_id}/models",
    operation_id="list_models",
    summary="Lists the models of a session",
    responses={**answers(list_of(model_pb2.ModelCounts), "The models."), **errors(404, 410)},
)
async def list_models(request: Request, session_id: SessionId) -> Response:
    message = pb.ListModelsRequest(session_id=session_id)
    answer = await stubs(request).models.ListModels(message, metadata=metadata(request))
    return await answer_of(answer, lambda found: [to_body(model) for model in found.models])


_TEXTS = {"type": "array", "items": {"type": "string"}}
_DIMENSION_KEYS = ("name", "result_type", "data_object", "column", "time_grain", "synonyms", "owner")
_MEASURE_KEYS = ("name", "result_type", "aggregation", "expression", "synonyms", "owner")
_METRIC_KEYS = ("name", "expression", "type", "measure", "timeDimension", "synonyms", "owner")
_DESCRIPTION = {
    "type": "object",
    "title": "ModelDescription",
    "properties": {
        "model_id": {"type": "string"},
        "data_objects": {
            "type": "array",
            "items": {
                "type": "object",
                "title": "DataObjectSummary",
                "properties": {
                    "label": {"type": "string"},
                    "code": {"type": "string", "description": "The qualified physical name."},
                    "columns": _TEXTS,
                    "join_targets": _TEXTS,
                    "synonyms": _TEXTS,
                    "owner": {"type": ["string", "null"]},
                },
                "required": ["label", "code", "columns", "join_targets", "synonyms", "owner"],
            },
        },
        "dimensions": {
            "type": "array",
            "items": object_of(model_pb2.Dimension, "DimensionSummary", keys=_DIMENSION_KEYS),
        },
        "measures": {"type": "array", "items": object_of(model_pb2.Measure, "MeasureSummary", keys=_MEASURE_KEYS)},
        "metrics": {
            "type": "array",
            "items": object_of(
                model_pb2.Metric,
                "MetricSummary",
                keys=_METRIC_KEYS,
                also={"time_dimension": {"type": ["string", "null"]}},
                required=("time_dimension",),
            ),
        },
    },
    "required": ["model_id", "data_objects", "dimensions", "measures", "metrics"],
}


@router.get(
    "/v1/sessions/{session_id}/models/{model_id}",
    operation_id="get_model",
    summary="Describes a model",
    responses={**answers(_DESCRIPTION, "The model in short."), **errors(404, 410)},
)
async def get_model(request: Request, session_id: SessionId, model_id: ModelId) -> Response:
    message = pb.GetModelRequest(session_id=session_id, model_id=model_id)
    answer = await stubs(request).models.GetModel(message, metadata=metadata(request))
    return await answer_of(answer, describe)


@router.delete(
    "/v1/sessions/{session_id}/models/{model_id}",
    operation_id="remove_model",
    summary="Removes a model from its session",
    status_code=204,
    responses={204: {"description": "The model is removed."}, **errors(403, 404, 410)},
)
async def remove_model(request: Request, session_id: SessionId, model_id: ModelId) -> Response:
    message = pb.RemoveModelRequest(session_id=session_id, model_id=model_id)
    await stubs(request).models.RemoveModel(message, metadata=metadata(request))
    return Response(status_code=204)


_VALIDATION = {
    **answers(
        body_of(pb.ValidateModelResponse),
        "What was found; a model with errors is answered with 200, too.",
        {
            "valid": False,
            "errors": [
                {
                    "code": "UNKNOWN_DATA_OBJECT",
                    "severity": "error",
                    "message": "Data object 'Unknown' not found",
                    "path": "dimensions.Bad.dataObject",
                    "hint": None,
                    "context": None,
                    "suggestions": [],
                    "span": None,
                }
            ],
            "warnings": [],
        },
    )
}


@router.post(
    "/v1/sessions/{session_id}/validate",
    operation_id="validate_model",
    summary="Checks a model without storing it",
    responses={**_VALIDATION, **errors(404, 410, 422)},
)
async def validate_model(request: Request, session_id: SessionId, body: Annotated[ModelText, Body()]) -> Response:
    return await _validate(request, pb.ValidateModelRequest(session_id=session_id, source=body.message()))


@router.post(
    "/v1/validate",
    operation_id="validate_model_without_session",
    summary="Checks a model, no session needed",
    responses={**_VALIDATION, **errors(422)},
)
async def validate_model_without_session(request: Request, body: Annotated[ModelText, Body()]) -> Response:
    return await _validate(request, pb.ValidateModelRequest(source=body.message()))


@router.get(
    "/v1/models",
    operation_id="list_curated_models",
    summary="Lists the models that the administrator serves",
    responses={
        **answers(
            object_of(
                pb.ListCuratedModelsResponse,
                "CuratedModels",
                also={"count": {"type": "integer"}},
                required=("count",),
            ),
            "The models by name.",
        ),
        **errors(),
    },
)
async def list_curated_models(request: Request) -> Response:
    answer = await stubs(request).models.ListCuratedModels(pb.ListCuratedModelsRequest(), metadata=metadata(request))
    return await answer_of(answer, lambda found: {**to_body(found), "count": len(found.models)})


async def _validate(request: Request, message: pb.ValidateModelRequest) -> Response:
    answer = await stubs(request).models.ValidateModel(message, metadata=metadata(request))
    return await answer_of(answer)


def loaded(answer: Any) -> JsonBody:
    """The load response with its counts beside the rest."""
    body = to_body(answer)
    return {**body["counts"], **{key: value for key, value in body.items() if key != "counts"}}


def describe(answer: pb.GetModelResponse) -> JsonBody:
    """The short description of a model: labels, qualified names, names of columns."""
    return {
        "model_id": answer.model_id,
        "data_objects": [
            {
                "label": item.name,
                "code": ".".join(part for part in (item.database, item.schema, item.code) if part),
                "columns": [column.name for column in item.columns],
                "join_targets": list(item.join_targets),
                "synonyms": list(item.synonyms),
                "owner": item.owner if item.HasField("owner") else None,
            }
            for item in answer.data_objects
        ],
        "dimensions": [_some(item, _DIMENSION_KEYS) for item in answer.dimensions],
        "measures": [_some(item, _MEASURE_KEYS) for item in answer.measures],
        "metrics": [_renamed(_some(item, _METRIC_KEYS)) for item in answer.metrics],
    }


def _some(message: Any, keys: tuple[str, ...]) -> JsonBody:
    body = to_body(message)
    return {key: body[key] for key in keys}


def _renamed(body: JsonBody) -> JsonBody:
    return {("time_dimension" if key == "timeDimension" else key): value for key, value in body.items()}
