"""Ends a call to the engine when the client that waits for it goes away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request


class ClientGone(Exception):  # noqa: N818 (it is what happened, not a mistake)
    """The client went away; nobody reads the answer."""


@asynccontextmanager
async def while_present(request: Request, call: Any) -> AsyncIterator[None]:
    """Cancels the call as soon as the client goes away, and tells so with `ClientGone`."""
    watch = asyncio.create_task(_cancel_when_gone(request, call))
    try:
        yield
    except asyncio.CancelledError:
        if watch.done() and not watch.cancelled():
            raise ClientGone from None
        call.cancel()
        raise
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch


async def _cancel_when_gone(request: Request, call: Any) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    call.cancel()
