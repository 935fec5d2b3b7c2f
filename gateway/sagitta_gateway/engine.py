"""Calls to the engine: the stubs, the metadata that go with every call, and how the engine is."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from fastapi import Request
from sagitta.semantic.v1 import (
    batch_service_pb2_grpc,
    cache_service_pb2_grpc,
    convert_service_pb2_grpc,
    dialect_service_pb2_grpc,
    discovery_service_pb2_grpc,
    graph_service_pb2_grpc,
    model_service_pb2_grpc,
    query_service_pb2_grpc,
    reference_service_pb2_grpc,
    session_service_pb2_grpc,
    settings_service_pb2,
    settings_service_pb2_grpc,
)

from sagitta_gateway.config import GatewaySettings
from sagitta_gateway.middleware import CLIENT, REQUEST_ID

log = logging.getLogger(__name__)

METADATA_LIMIT = 4_194_304
WATCH_SECONDS = 2.0
CHANNEL_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", METADATA_LIMIT),
    ("grpc.absolute_max_metadata_size", METADATA_LIMIT),
)

Metadata = tuple[tuple[str, str], ...]
_Stub = TypeVar("_Stub")


class Stubs:
    """The stubs of every semantic service.

    Where there are several channels the queries go over each in turn, everything else over the first.
    """

    def __init__(self, channels: Sequence[grpc.aio.Channel]) -> None:
        channel = channels[0]
        self.sessions = session_service_pb2_grpc.SessionServiceStub(channel)
        self.models = model_service_pb2_grpc.ModelServiceStub(channel)
        self._queries = itertools.cycle([query_service_pb2_grpc.QueryServiceStub(each) for each in channels])
        self.discovery = discovery_service_pb2_grpc.DiscoveryServiceStub(channel)
        self.graph = graph_service_pb2_grpc.GraphServiceStub(channel)
        self.convert = convert_service_pb2_grpc.ConvertServiceStub(channel)
        self.cache = cache_service_pb2_grpc.CacheServiceStub(channel)
        self.settings = settings_service_pb2_grpc.SettingsServiceStub(channel)
        self.dialects = dialect_service_pb2_grpc.DialectServiceStub(channel)
        self._batch = itertools.cycle([batch_service_pb2_grpc.BatchServiceStub(each) for each in channels])
        self.reference = reference_service_pb2_grpc.ReferenceServiceStub(channel)

    @property
    def queries(self) -> query_service_pb2_grpc.QueryServiceStub:
        """The stub for the next query."""
        return next(self._queries)

    @property
    def batch(self) -> batch_service_pb2_grpc.BatchServiceStub:
        """The stub for the next batch."""
        return next(self._batch)


def stubs(request: Request) -> Any:
    """The stubs of the application; asynchronous, which their generated types do not say."""
    return request.app.state.stubs


def metadata(request: Request) -> Metadata:
    """What goes with a call: the request's id, its client, how many details may come back, and some of its headers."""
    headers = request.headers
    pairs = [
        ("x-request-id", REQUEST_ID.get()),
        ("x-sagitta-client", CLIENT.get()),
        ("x-sagitta-detail-bytes", str(METADATA_LIMIT // 2)),
    ]
    header: str = request.app.state.settings.api_key_header.lower()
    passed = [(name, headers.get(name)) for name in ("authorization", header, "cache-control")]
    return (
        *pairs,
        *((name, value) for name, value in passed if value and value.isascii() and value.isprintable()),
    )


@dataclass(frozen=True, slots=True)
class EngineState:
    """What is known about the engine."""

    reachable: bool
    version: str
    auth_mode: str


class EngineWatch:
    """Asks the engine how it is, again and again, so that `/health` need not wait for anything."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: Any = settings_service_pb2_grpc.SettingsServiceStub(channel)
        self._task: asyncio.Task[None] | None = None
        self.state = EngineState(reachable=False, version="", auth_mode="")

    async def start(self) -> None:
        """Asks once, then keeps asking."""
        await self._ask()
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stops asking."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            await self._ask()

    async def _ask(self) -> None:
        try:
            answer = await self._stub.GetHealth(settings_service_pb2.GetHealthRequest(), timeout=WATCH_SECONDS * 5)
        except grpc.aio.AioRpcError as error:
            if self.state.reachable:
                log.warning("the engine does not answer: %s", error.code())
            self.state = EngineState(False, self.state.version, self.state.auth_mode)
            return
        self.state = EngineState(True, answer.version, answer.auth_mode)


def open_channels(settings: GatewaySettings) -> tuple[grpc.aio.Channel, ...]:
    """A channel to each address of the engine."""
    return tuple(_open(address.strip(), settings) for address in settings.engine.split(","))


def _open(address: str, settings: GatewaySettings) -> grpc.aio.Channel:
    if settings.engine_ca is None:
        return grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS)
    own = settings.engine_key and settings.engine_certificate
    credentials = grpc.ssl_channel_credentials(
        settings.engine_ca.read_bytes(),
        settings.engine_key.read_bytes() if own and settings.engine_key else None,
        settings.engine_certificate.read_bytes() if own and settings.engine_certificate else None,
    )
    return grpc.aio.secure_channel(address, credentials, options=CHANNEL_OPTIONS)
