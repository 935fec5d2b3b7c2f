"""`sagitta.semantic.v1.ConvertService`."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sagitta.semantic.v1 import convert_service_pb2 as pb
from starlette.responses import Response

from sagitta_gateway.bodies import answer_of
from sagitta_gateway.engine import metadata, stubs
from sagitta_gateway.error_schema import errors
from sagitta_gateway.errors import HttpError
from sagitta_gateway.openapi import answers, body_of, object_of
from sagitta_gateway.routes.large import LargeBodyRoute
from sagitta_gateway.routes.models import LOADED, MAX_TEXT, loaded
from sagitta_gateway.routes.scope import ModelId, SessionId

router = APIRouter(tags=["convert"], default_response_class=Response, route_class=LargeBodyRoute)

_VALID = {
    "schema_valid": True,
    "semantic_valid": True,
    "schema_errors": [],
    "semantic_errors": [],
    "semantic_warnings": [],
}
_OBML_EXAMPLE = "version: 1.0\ndataObjects:\n  Orders: {code: orders, columns: {Id: {code: id, abstractType: int}}}\n"
_OSI_EXAMPLE = (
    'version: "0.2.0.dev0"\nsemantic_model:\n- name: shop\n  datasets:\n  - name: Orders\n    source: orders\n'
    "    fields:\n    - {name: id, expression: {dialects: [{dialect: ANSI_SQL, expression: id}]}, datatype: Integer}\n"
)


class OsiText(BaseModel):
    """An OSI model."""

    model_config = ConfigDict(extra="forbid")

    input_yaml: str = Field(max_length=MAX_TEXT, description="OSI as YAML.", examples=[_OSI_EXAMPLE])


class ObmlText(BaseModel):
    """An OBML model, and what OSI says about it besides."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    input_yaml: str = Field(max_length=MAX_TEXT, description="OBML as YAML.", examples=[_OBML_EXAMPLE])
    model_name: str = Field(default="semantic_model", max_length=1000, description="The name of the OSI model.")
    model_description: str = Field(default="", max_length=100_000, description="Its description.")
    ai_instructions: str = Field(default="", max_length=100_000, description="Instructions for assistants.")


@router.post(
    "/v1/convert/osi-to-obml",
    operation_id="convert_osi_to_obml",
    summary="Converts an OSI model to OBML",
    responses={
        **answers(
            body_of(pb.Conversion),
            "The OBML model.",
            {"output_yaml": _OBML_EXAMPLE, "warnings": [], "validation": _VALID, "input_validation": _VALID},
        ),
        **errors(400, 422),
    },
)
async def convert_osi_to_obml(request: Request, body: Annotated[OsiText, Body()]) -> Response:
    message = pb.ConvertOsiToObmlRequest(input_yaml=body.input_yaml)
    answer = await stubs(request).convert.ConvertOsiToObml(message, metadata=metadata(request))
    return await answer_of(answer.conversion)


@router.post(
    "/v1/convert/obml-to-osi",
    operation_id="convert_obml_to_osi",
    summary="Converts an OBML model to OSI",
    responses={
        **answers(
            body_of(pb.Conversion),
            "The OSI model.",
            {"output_yaml": _OSI_EXAMPLE, "warnings": [], "validation": _VALID, "input_validation": None},
        ),
        **errors(400, 422),
    },
)
async def convert_obml_to_osi(request: Request, body: Annotated[ObmlText, Body()]) -> Response:
    message = pb.ConvertObmlToOsiRequest(
        input_yaml=body.input_yaml,
        model_name=body.model_name,
        model_description=body.model_description,
        ai_instructions=body.ai_instructions,
    )
    answer = await stubs(request).convert.ConvertObmlToOsi(message, metadata=metadata(request))
    return await answer_of(answer.conversion)


class LoadOsi(BaseModel):
    """An OSI model to load."""

    model_config = ConfigDict(extra="forbid")

    osi_yaml: str = Field(max_length=MAX_TEXT, description="OSI as YAML.", examples=[_OSI_EXAMPLE])
    dedup: bool = Field(default=True, description="Reuses an identical model of the same session.")


_LOADED_OSI = object_of(
    pb.LoadOsiModelResponse,
    "LoadedOsiModel",
    keys=("conversion_warnings", "input_validation"),
    also=LOADED["properties"],
    required=LOADED["required"],
)


@router.post(
    "/v1/sessions/{session_id}/models/from-osi",
    operation_id="load_osi_model",
    summary="Converts an OSI model and loads it into a session",
    status_code=201,
    responses={
        **answers(_LOADED_OSI, "The model is loaded.", status=201),
        **errors(400, 403, 404, 410, 422, 429),
    },
)
async def load_osi_model(request: Request, session_id: SessionId, body: Annotated[LoadOsi, Body()]) -> Response:
    message = pb.LoadOsiModelRequest(session_id=session_id, osi_yaml=body.osi_yaml, skip_dedup=not body.dedup)
    answer = await stubs(request).convert.LoadOsiModel(message, metadata=metadata(request))
    return await answer_of(answer, loaded, 201)


@router.api_route(
    "/v1/sessions/{session_id}/models/from-osi",
    methods=["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"],
    include_in_schema=False,
)
async def refuse_other_methods(session_id: SessionId) -> Response:  # noqa: ARG001 - part of the path
    """The path stands before that of a model, so that `from-osi` is never taken for a model's id."""
    body = {"detail": "Method Not Allowed", "code": "METHOD_NOT_ALLOWED"}
    return HttpError(405, body, {"Allow": "POST"}).response()


@router.get(
    "/v1/sessions/{session_id}/models/{model_id}/osi",
    operation_id="export_osi_model",
    summary="Returns a loaded model as OSI",
    responses={**answers(body_of(pb.Conversion), "The OSI model."), **errors(400, 404, 410, 422)},
)
async def export_osi_model(
    request: Request,
    session_id: SessionId,
    model_id: ModelId,
    model_name: Annotated[str, Query(max_length=255, description="The name of the OSI model.")] = "semantic_model",
    model_description: Annotated[str, Query(max_length=1000, description="Its description.")] = "",
    ai_instructions: Annotated[str, Query(max_length=1000, description="Instructions for assistants.")] = "",
) -> Response:
    message = pb.ExportOsiModelRequest(
        session_id=session_id,
        model_id=model_id,
        model_name=model_name,
        model_description=model_description,
        ai_instructions=ai_instructions,
    )
    answer = await stubs(request).convert.ExportOsiModel(message, metadata=metadata(request))
    return await answer_of(answer.conversion)
