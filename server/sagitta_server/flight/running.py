"""The statements that run here: so that a cancelled call, or a cancelled query, ends its statement at once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any

from sagitta_server.execution.cancel import TIMER, CancelReason, CancelToken

WATCH_SECONDS = 0.02
REMEMBERED = 10_000


class Running:
    """Tokens of running statements by query, and the queries that were cancelled."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[bytes, set[CancelToken]] = {}
        self._cancelled: OrderedDict[bytes, None] = OrderedDict()

    def add(self, query_id: bytes, token: CancelToken) -> None:
        """Remembers a statement; one of a cancelled query is cancelled at once."""
        with self._lock:
            self._tokens.setdefault(query_id, set()).add(token)
            cancelled = query_id in self._cancelled
        if cancelled:
            token.cancel()

    def remove(self, query_id: bytes, token: CancelToken) -> None:
        """Forgets a statement that has ended."""
        with self._lock:
            tokens = self._tokens.get(query_id, set())
            tokens.discard(token)
            if not tokens:
                self._tokens.pop(query_id, None)

    def cancel(self, query_id: bytes) -> None:
        """Cancels what runs of a query, and what is asked of it later."""
        with self._lock:
            self._cancelled[query_id] = None
            while len(self._cancelled) > REMEMBERED:
                self._cancelled.popitem(last=False)
            tokens = list(self._tokens.get(query_id, ()))
        for token in tokens:
            token.cancel()

    def cancel_all(self) -> None:
        """Cancels everything: the server stops."""
        with self._lock:
            tokens = [token for found in self._tokens.values() for token in found]
        for token in tokens:
            token.cancel(CancelReason.SHUTDOWN)

    def __len__(self) -> int:
        with self._lock:
            return sum(len(tokens) for tokens in self._tokens.values())


class Watches:
    """Looks whether the clients of running calls have gone, all of them in one round.

    The server library has no callback for it. A call's context must not be touched once the call has ended.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[CancelToken, Any] = {}
        self._looking = False

    def add(self, context: Any, token: CancelToken) -> None:
        """Cancels the token as soon as the client of the call has gone."""
        with self._lock:
            self._calls[token] = context
            if self._looking:
                return
            self._looking = True
        TIMER.call_later(WATCH_SECONDS, self._look)

    def remove(self, token: CancelToken) -> None:
        """Ends the watch; waits for a round that is under way."""
        with self._lock:
            self._calls.pop(token, None)

    def _look(self) -> None:
        with self._lock:
            gone = [token for token, context in self._calls.items() if context.is_cancelled()]
            for token in gone:
                del self._calls[token]
            self._looking = bool(self._calls)
            again = self._looking
        for token in gone:
            token.cancel()
        if again:
            TIMER.call_later(WATCH_SECONDS, self._look)
