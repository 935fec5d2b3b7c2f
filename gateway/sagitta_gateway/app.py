"""The application: routes, errors, middleware, documentation, and the channel to the engine."""

from __future__ import annotations

import gc
import importlib
import pkgutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType

import grpc
from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig

from sagitta_gateway import docs, errors, openapi, routes
from sagitta_gateway.config import GatewaySettings
from sagitta_gateway.engine import EngineWatch, Stubs, open_channels
from sagitta_gateway.middleware import BodyLimit, Envelope
from sagitta_gateway.routes.direct import DirectRoutes
from sagitta_gateway.tracing import open_tracing

TAGS = [
    {"name": "sessions", "description": "Each holds its own models and expires when idle or old."},
    {"name": "models", "description": "Loaded into a session, listed, described, removed."},
    {"name": "queries", "description": "Compiled to SQL, planned, executed."},
    {"name": "batch", "description": "Several queries in one call."},
    {"name": "discovery", "description": "What a model offers."},
    {"name": "graph", "description": "A model as an RDF graph."},
    {"name": "convert", "description": "Conversion between OBML and OSI."},
    {"name": "cache", "description": "The result cache and the heartbeats that empty it."},
    {"name": "settings", "description": "What the server is and how it is set."},
    {"name": "dialects", "description": "The dialects of SQL."},
    {"name": "reference", "description": "Documents of the languages that the server speaks."},
    {"name": "health", "description": "Whether the service answers."},
]


def create_app(settings: GatewaySettings, channel: grpc.aio.Channel | None = None) -> FastAPI:
    """Builds the application; without a channel it opens its own, and closes it at the end."""
    tracing = open_tracing()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        channels = (channel,) if channel is not None else open_channels(settings)
        if tracing is not None:
            channels = tuple(map(tracing.channel, channels))
        app.state.channel = channels[0]
        app.state.stubs = Stubs(channels)
        app.state.watch = EngineWatch(channels[0])
        app.openapi()  # a tenth of a second: not while clients wait
        await app.state.watch.start()
        gc.collect()
        gc.freeze()  # collections look at what requests leave behind, not at the application: that takes 80 ms
        yield
        await app.state.watch.stop()
        if channel is None:
            for each in channels:
                await each.close()
        if tracing is not None:
            await tracing.close()

    app = FastAPI(
        title="Sagitta",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.openapi else None,
        telemetry=NO_TELEMETRY,
        redirect_slashes=False,  # errors.py does, without the host that the client named
    )
    app.state.settings = settings
    for router in route_modules():
        app.router.routes.extend(router.routes)  # flat: an included router is searched like a route of its own
    errors.install(app)
    if settings.docs and settings.openapi:
        docs.install(app)
    openapi.install(app, TAGS)
    app.add_middleware(DirectRoutes, routes=app.routes)
    app.add_middleware(BodyLimit, settings=settings)
    app.add_middleware(Envelope, settings=settings)
    if settings.metrics_address:
        from sagitta_gateway.metrics import MeasuredRequests  # noqa: PLC0415 (where it counts is decided at its import)

        app.add_middleware(MeasuredRequests)
    if tracing is not None:
        tracing.install(app)
    return app


NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own would tell paths and query strings, and look for providers at every request."""
BUSIEST = ("queries", "health")
"""Modules whose routes are looked at first: a request is compared with every route before its own."""


def route_modules() -> list[APIRouter]:
    """The router of every module in `routes`, the busiest first; modules without one only help others."""
    names = {info.name for info in pkgutil.iter_modules(routes.__path__)}
    ordered = [*BUSIEST, *sorted(names.difference(BUSIEST))]
    modules: list[ModuleType] = [importlib.import_module(f"{routes.__name__}.{name}") for name in ordered]
    return [module.router for module in modules if hasattr(module, "router")]
