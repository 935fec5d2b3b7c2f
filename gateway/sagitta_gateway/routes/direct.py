"""The short way for the usual request to a busy route.

Between the socket and a handler FastAPI and Starlette compare a request with every route, open stacks for dependencies
and look at every parameter: a quarter of what the gateway does for a small query. A request with a JSON body and no
query string needs none of it: its path says the route, its body is read by pydantic at once, everything else is a
default. Whatever is unusual, or wrong, goes the general way and gets FastAPI's answer.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fastapi import Request, params
from pydantic import TypeAdapter, ValidationError
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from sagitta_gateway.middleware import replayed
from sagitta_gateway.routes.large import LargeBodyRoute


class DirectRoute(LargeBodyRoute):
    """A route of the short way: it takes the request, texts of the path, a JSON body and parameters with defaults."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """How the arguments of an endpoint are found in a request without a query string."""

    route: DirectRoute
    request: str
    body: str
    adapter: TypeAdapter[Any]
    defaults: dict[str, Any]


class DirectRoutes:
    """Middleware beneath all others: answers the usual requests to direct routes itself."""

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._plans = [_plan(route) for route in routes if isinstance(route, DirectRoute)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope)
        if found is None:
            await self._app(scope, receive, send)
            return
        plan, in_path = found
        message = await receive()
        try:
            body = plan.adapter.validate_json(b"" if message.get("more_body") else message.get("body", b""))
        except ValidationError:
            await self._app(scope, replayed(message, receive), send)
            return
        scope["route"], scope["endpoint"], scope["path_params"] = plan.route, plan.route.endpoint, in_path
        request = Request(scope, receive, send)
        arguments = {plan.request: request, plan.body: body, **in_path, **plan.defaults}
        response = await _respond(plan.route.endpoint, request, arguments)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> tuple[_Plan, dict[str, str]] | None:
        """The plan for a usual request, and what its path says."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["query_string"]:
            return None
        path = scope["path"]
        for plan in self._plans:
            if match := plan.route.path_regex.match(path):
                return (plan, match.groupdict()) if _is_json(scope) else None
        return None


async def _respond(endpoint: Callable[..., Any], request: Request, arguments: dict[str, Any]) -> Response:
    """What the endpoint answers, or the application's handler of what it raises."""
    try:
        response: Response = await endpoint(**arguments)
    except Exception as error:
        handlers = request.app.exception_handlers
        kinds = (kind for kind in type(error).__mro__ if kind in handlers and kind is not Exception)
        if (kind := next(kinds, None)) is None:
            raise
        response = await handlers[kind](request, error)
    return response


def _is_json(scope: Scope) -> bool:
    content_type: bytes = next((value for key, value in scope["headers"] if key == b"content-type"), b"")
    return content_type.partition(b";")[0].strip().lower() == b"application/json"


def _plan(route: DirectRoute) -> _Plan:
    hints = typing.get_type_hints(route.endpoint, include_extras=True)
    request = body = ""
    defaults: dict[str, Any] = {}
    for name, parameter in inspect.signature(route.endpoint).parameters.items():
        marks = getattr(hints[name], "__metadata__", ())
        if hints[name] is Request:
            request = name
        elif any(isinstance(mark, params.Body) for mark in marks):
            body = name
        elif name in route.param_convertors:
            continue
        elif parameter.default is not inspect.Parameter.empty:
            defaults[name] = parameter.default
        else:
            defaults[name] = hints[name].__origin__()  # a model of query parameters, all of them optional
    return _Plan(route, request, body, TypeAdapter(hints[body]), defaults)
