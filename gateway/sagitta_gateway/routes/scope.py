"""Model-scoped routes and their shortcuts: one handler, two paths."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import Response

from sagitta_gateway.error_schema import errors


class ArtefactConvertor(Convertor[str]):
    """The name of an artefact in a path: anything but nothing, slashes too."""

    regex = ".+"

    def convert(self, value: str) -> str:
        """The name as it stands in the path."""
        return value

    def to_string(self, value: str) -> str:
        """The name as it is written into a path."""
        return value


register_url_convertor("artefact", ArtefactConvertor())

SCOPE = "/v1/sessions/{session_id}/models/{model_id}/"
SHORTCUT = "/v1/"

SessionId = Annotated[str, Path(description="The session.", examples=["a1b2c3d4e5f6"])]
ModelId = Annotated[str, Path(description="The model.", examples=["abcd1234"])]

Handler = Callable[..., Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Scope:
    """The model of a request; empty for the only one there is."""

    session_id: str = ""
    model_id: str = ""


def _named(session_id: SessionId, model_id: ModelId) -> Scope:
    return Scope(session_id, model_id)


def _only() -> Scope:
    return Scope()


def scoped(
    router: APIRouter,
    method: str,
    tail: str,
    *,
    operation_id: str,
    summary: str,
    responses: dict[int | str, dict[str, Any]],
    statuses: tuple[int, ...] = (),
) -> Callable[[Handler], Handler]:
    """Adds a handler under its model's path, and under the shortcut that means the only model.

    The handler takes a `scope: Scope`; `statuses` are the failures that it adds to those of finding a model.
    """

    def add(handler: Handler) -> Handler:
        for prefix, dependency, suffix, found in (
            (SCOPE, _named, "", (404, 410)),
            (SHORTCUT, _only, "_shortcut", (404, 409)),
        ):
            router.add_api_route(
                f"{prefix}{tail}",
                _with_scope(handler, dependency),
                methods=[method],
                operation_id=f"{operation_id}{suffix}",
                summary=summary if not suffix else f"{summary} (the only model)",
                responses={**responses, **errors(*found, *statuses)},
                response_class=Response,
            )
        return handler

    return add


def _with_scope(handler: Handler, dependency: Callable[..., Scope]) -> Handler:
    """The handler with its `scope` filled by a dependency."""

    @functools.wraps(handler)
    async def route(**arguments: Any) -> Response:
        return await handler(**arguments)

    hints = typing.get_type_hints(handler, include_extras=True)
    parameters = [
        parameter.replace(
            annotation=Annotated[Scope, Depends(dependency)] if name == "scope" else hints[name],
            kind=inspect.Parameter.KEYWORD_ONLY,
        )
        for name, parameter in inspect.signature(handler).parameters.items()
    ]
    route.__signature__ = inspect.Signature(parameters, return_annotation=Response)  # type: ignore[attr-defined]
    del route.__wrapped__
    return route
