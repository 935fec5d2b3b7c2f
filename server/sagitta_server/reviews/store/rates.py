"""How many changes a user has made of late, counted in the state database for all replicas together.

A bucket of tokens as one number (the generic cell rate algorithm): each change lasts for a share of a minute, and what
has been used may not reach further ahead than a minute. So a user makes as many changes at once as are allowed per
minute, and then as many as the minute's share gives back.
"""

from __future__ import annotations

import math

from sqlalchemy import Connection, Dialect, case, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from sagitta_server.reviews.errors import ReviewError
from sagitta_server.reviews.store.tables import RATES

_MINUTE = 60.0
_SLACK = 1e-3
"""Seconds by which sums of shares may be off."""


class RateLimit:
    """Counts changes per user; 0 sets no limit."""

    def __init__(self, per_minute: int) -> None:
        self._limit = per_minute

    def take(self, connection: Connection, user_id: str, now: float) -> None:
        """Counts one change of a user as part of the transaction that makes it: a change that fails is not counted.

        Args:
            connection: the transaction; it holds the user's row from here on, so this comes before any other lock.
            user_id: who makes the change.
            now: seconds since 1970.

        Raises:
            ReviewError: `rate_limited`, with the seconds to wait.
        """
        if self._limit == 0:
            return
        share = _MINUTE / self._limit
        used = RATES.c.used_until
        start = case((used > now, used), else_=now)
        statement = (
            _insert(connection.dialect)(RATES)
            .values(user_id=user_id, used_until=now + share)
            .on_conflict_do_update(
                index_elements=[RATES.c.user_id],
                set_={"used_until": start + share},
                where=start + share <= now + _MINUTE + _SLACK,
            )
            .returning(RATES.c.user_id)
        )
        if connection.execute(statement).one_or_none() is not None:
            return
        until = connection.execute(select(used).where(RATES.c.user_id == user_id)).scalar_one()
        retry = max(1, math.ceil(until + share - _MINUTE - now))
        raise ReviewError(
            "rate_limited",
            f"{self._limit} changes per minute are allowed; try again in {retry} seconds.",
            {"retry_after_s": retry},
        )


def forget_rates(connection: Connection, now: float) -> None:
    """Removes the rows of users who have made no change for a minute."""
    connection.execute(delete(RATES).where(RATES.c.used_until < now))


def _insert(dialect: Dialect) -> type[postgresql.Insert] | type[sqlite.Insert]:
    return postgresql.Insert if dialect.name == "postgresql" else sqlite.Insert
