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


PATIENCE_SECONDS = 0.05
"""A call is watched after so long: most have ended by then, and a task for each would cost more than it saves."""


@asynccontextmanager
async def while_present(request: Request, call: Any) -> AsyncIterator[None]:
    """Cancels the call as soon as the client goes away, and tells so with `ClientGone`."""
    watch: asyncio.Task[None] | None = None

    def begin() -> None:
        nonlocal watch
        watch = asyncio.create_task(_cancel_when_gone(request, call))

    timer = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, begin)
    try:
        yield
    except asyncio.CancelledError:
        if watch is not None and watch.done() and not watch.cancelled():
            raise ClientGone from None
        call.cancel()
        raise
    finally:
        timer.cancel()
        if watch is not None:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch


async def _cancel_when_gone(request: Request, call: Any) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
    call.cancel()
