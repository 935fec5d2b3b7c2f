"""Semantic sessions: how they are opened, used, expire and are closed.

The state database is the truth, so that a restart or a sibling knows every session. What was read stays in memory for a
second, and the time of the last access is written back a few seconds late: the price of a hot session is a dictionary
lookup.
"""

from __future__ import annotations

import datetime as dt
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from sagitta_server.config import SessionSettings
from sagitta_server.errors import Reason, ServiceError
from sagitta_server.models.tables import CONTENTS, MODELS, SESSIONS
from sagitta_server.state import Database
from sagitta_server.state.generation import Generation, own_generation

REREAD_SECONDS = 1.0
"""How long a session is believed without asking the database: a sibling's change is seen after that."""
WRITE_BACK_SECONDS = 5.0
"""How late the last access may be written."""
RETRY_AFTER_SECONDS = 60
RATE_WINDOW_SECONDS = 60.0
REMEMBERED = 10_000
"""Sessions kept in memory."""
_LOCK = 0x5A617365
"""Any fixed number but those of other locks: sessions and models are counted, added and swept one after the other."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its users see it; the administrator's never expire."""

    session_id: str
    created_at: dt.datetime
    last_accessed_at: dt.datetime
    metadata: Mapping[str, str]
    model_count: int
    expires_at: dt.datetime | None
    max_expires_at: dt.datetime | None


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model of a session: its content is stored once, whoever uses it."""

    model_id: str
    content_key: str


@dataclass(slots=True)
class Entry:
    """A session in memory."""

    session_id: str
    created_at: float
    last_accessed_at: float
    metadata: Mapping[str, str]
    models: Mapping[str, StoredModel]
    read_at: float
    generation: bytes
    """What the generation was before it was read."""
    written_at: float = field(default=0.0)


@dataclass(frozen=True, slots=True)
class _LiveModels:
    """The models of live sessions, as they were read."""

    models: tuple[tuple[str, StoredModel], ...]
    generation: bytes
    read_at: float
    until: float


class SessionStore:
    """The sessions of this server and its siblings; every method may be called from any thread."""

    def __init__(
        self,
        database: Database,
        settings: SessionSettings,
        *,
        now: Callable[[], float] = time.time,
        generation: Generation | None = None,
    ) -> None:
        self._database = database
        self._settings = settings
        self._now = now
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._creations: dict[str, deque[float]] = {}
        self._generation = generation or own_generation()
        """Changes with every change made here or by another process of this engine."""
        self._live_models: _LiveModels | None = None

    # ------------------------------------------------------------ public

    def create(self, metadata: Mapping[str, str], client: str = "", reserved: int = 0) -> Session:
        """Opens a session; `reserved` counts the sessions of the administrator.

        Raises:
            ServiceError: too many sessions are open, or this client opens them too quickly.
        """
        self._check_rate(client)
        now = self._now()
        entry = Entry(
            secrets.token_hex(16), now, now, MappingProxyType(dict(metadata)), {}, now, self._generation.value, now
        )
        with self._database.write_alone(_LOCK) as connection:
            live = connection.execute(select(func.count()).select_from(SESSIONS).where(self._live(now))).scalar_one()
            if live + reserved >= self._settings.max_sessions:
                raise ServiceError(
                    Reason.TOO_MANY_SESSIONS,
                    f"{self._settings.max_sessions} sessions are open, the most this server allows; retry later.",
                    retry_after_seconds=RETRY_AFTER_SECONDS,
                    metadata={"max_sessions": str(self._settings.max_sessions)},
                )
            connection.execute(
                insert(SESSIONS).values(
                    session_id=entry.session_id, created_at=now, last_accessed_at=now, metadata=dict(metadata)
                )
            )
        self._remember(entry)
        return self.describe(entry)

    def list(self) -> tuple[Session, ...]:
        """The active sessions, oldest first."""
        if self._settings.list_disabled:
            raise ServiceError(Reason.SESSION_LIST_DISABLED, "The list of sessions is switched off on this server.")
        now = self._now()
        with self._database.read() as connection:
            rows = connection.execute(select(SESSIONS).where(self._live(now)).order_by(SESSIONS.c.created_at)).all()
            counts: dict[str, int] = {
                row.session_id: row.models
                for row in connection.execute(
                    select(MODELS.c.session_id, func.count().label("models")).group_by(MODELS.c.session_id)
                )
            }
        return tuple(
            self._session(
                row.session_id,
                row.created_at,
                max(row.last_accessed_at, self._last_seen(row.session_id)),
                row.metadata,
                counts.get(row.session_id, 0),
            )
            for row in rows
        )

    def access(self, session_id: str) -> Entry:
        """Finds a session and refreshes its last access.

        Raises:
            ServiceError: SESSION_NOT_FOUND, or SESSION_EXPIRED as long as the expiry is remembered.
        """
        now = self._now()
        with self._lock:
            entry = self._entries.get(session_id)
        if entry is None or not self._is_current(entry, now):
            entry = self._read(session_id, now)
        entry.last_accessed_at = now
        if now - entry.written_at > self._write_back_seconds:
            self._write_access(entry, now)
        return entry

    def describe(self, entry: Entry, extra_models: int = 0) -> Session:
        """A session in memory as its users see it."""
        return self._session(
            entry.session_id,
            entry.created_at,
            entry.last_accessed_at,
            entry.metadata,
            len(entry.models) + extra_models,
        )

    def close(self, session_id: str) -> None:
        """Closes a session and forgets its models.

        Raises:
            ServiceError: there is no such session.
        """
        with self._database.write() as connection:
            found = connection.execute(
                select(SESSIONS.c.session_id).where(SESSIONS.c.session_id == session_id)
            ).one_or_none()
            self._delete(connection, SESSIONS.c.session_id == session_id)
        self._forget(session_id)
        self._generation.raise_own()
        if found is None:
            raise not_found(session_id)

    def add_model(
        self, entry: Entry, model_id: str, content_key: str, source: Mapping[str, object], limit: int
    ) -> StoredModel:
        """Stores a model in a session; the same id again is the same model.

        Raises:
            ServiceError: the session holds as many models as it may, or was closed meanwhile.
        """
        now = self._now()
        with self._database.write_alone(_LOCK) as connection:
            present = self._models(connection, entry.session_id)
            if model_id not in present:
                self._check_room(connection, entry.session_id, len(present), limit)
                self._insert_model(connection, entry.session_id, model_id, content_key, source, now)
                present = {**present, model_id: StoredModel(model_id, content_key)}
        self._generation.raise_own()
        return present[model_id]

    def remove_model(self, entry: Entry, model_id: str) -> bool:
        """Removes a model from a session; says whether it was there."""
        with self._database.write() as connection:
            removed = connection.execute(
                delete(MODELS).where(MODELS.c.session_id == entry.session_id, MODELS.c.model_id == model_id)
            ).rowcount
        self._generation.raise_own()
        return bool(removed)

    def content(self, content_key: str) -> Mapping[str, object] | None:
        """The stored source of a model."""
        with self._database.read() as connection:
            source: Mapping[str, object] | None = connection.execute(
                select(CONTENTS.c.source).where(CONTENTS.c.content_key == content_key)
            ).scalar_one_or_none()
        return source

    def live_models(self, limit: int | None = None) -> tuple[tuple[str, StoredModel], ...]:
        """The models of all live sessions, oldest first, with their sessions; believed as long as a session is."""
        now, known = self._now(), self._live_models
        if known is None or known.generation != self._generation.value or not known.read_at <= now < known.until:
            known = self._live_models = self._read_live_models(now)
        return known.models[:limit]

    def _read_live_models(self, now: float) -> _LiveModels:
        generation = self._generation.value  # read before the models: a change made meanwhile makes them stale
        query = (
            select(MODELS.c.session_id, MODELS.c.model_id, MODELS.c.content_key)
            .add_columns(SESSIONS.c.created_at, SESSIONS.c.last_accessed_at)
            .join(SESSIONS, SESSIONS.c.session_id == MODELS.c.session_id)
            .where(self._live(now))
            .order_by(MODELS.c.position)
        )
        self._flush()
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        expiries = (self._expires_at(row.created_at, row.last_accessed_at) for row in rows)
        return _LiveModels(
            tuple((row.session_id, StoredModel(row.model_id, row.content_key)) for row in rows),
            generation,
            read_at=now,
            until=min((now + REREAD_SECONDS, *expiries)) if rows else now,  # that there is none is never believed
        )

    def sweep(self) -> int:
        """Deletes what nobody needs any more; returns how many sessions went.

        The models of expired sessions, sessions whose expiry need not be remembered, contents without a session.
        """
        self._flush()
        now = self._now()
        with self._database.write_alone(_LOCK) as connection:
            expired = select(SESSIONS.c.session_id).where(~self._live(now))
            connection.execute(delete(MODELS).where(MODELS.c.session_id.in_(expired)))
            gone = self._delete(connection, ~self._live(now - self._settings.tombstone_seconds))
            connection.execute(delete(CONTENTS).where(CONTENTS.c.content_key.not_in(select(MODELS.c.content_key))))
        with self._lock:
            for session_id in [key for key, entry in self._entries.items() if self._expired(entry, now)]:
                del self._entries[session_id]
        return gone

    def close_store(self) -> None:
        """Writes what was only in memory."""
        self._flush()

    # ------------------------------------------------------------ expiry

    @property
    def _write_back_seconds(self) -> float:
        return min(WRITE_BACK_SECONDS, self._settings.ttl_seconds / 10)

    def _expires_at(self, created_at: float, last_accessed_at: float) -> float:
        return min(last_accessed_at + self._settings.ttl_seconds, created_at + self._settings.max_age_seconds)

    def _is_current(self, entry: Entry, now: float) -> bool:
        return (
            now - entry.read_at <= REREAD_SECONDS
            and entry.generation == self._generation.value
            and not self._expired(entry, now)
        )

    def _expired(self, entry: Entry, now: float) -> bool:
        return self._expires_at(entry.created_at, entry.last_accessed_at) <= now

    def _live(self, now: float) -> ColumnElement[bool]:
        return and_(
            SESSIONS.c.last_accessed_at > now - self._settings.ttl_seconds,
            SESSIONS.c.created_at > now - self._settings.max_age_seconds,
        )

    def _session(
        self, session_id: str, created_at: float, accessed_at: float, metadata: Mapping[str, str], models: int
    ) -> Session:
        return Session(
            session_id=session_id,
            created_at=_moment(created_at),
            last_accessed_at=_moment(accessed_at),
            metadata=metadata,
            model_count=models,
            expires_at=_moment(accessed_at + self._settings.ttl_seconds),
            max_expires_at=_moment(created_at + self._settings.max_age_seconds),
        )

    # ------------------------------------------------------------ memory and database

    def _read(self, session_id: str, now: float) -> Entry:
        generation = self._generation.value  # looked at before the rows: a change made meanwhile makes them stale
        with self._database.read() as connection:
            row = connection.execute(select(SESSIONS).where(SESSIONS.c.session_id == session_id)).one_or_none()
            models = self._models(connection, session_id) if row is not None else {}
        if row is None:
            self._forget(session_id)
            raise not_found(session_id)
        accessed = max(row.last_accessed_at, self._last_seen(session_id))
        entry = Entry(
            session_id,
            row.created_at,
            accessed,
            MappingProxyType(row.metadata),
            models,
            now,
            generation,
            written_at=row.last_accessed_at,
        )
        if self._expired(entry, now):
            self._forget(session_id)
            raise ServiceError(
                Reason.SESSION_EXPIRED,
                f"Session '{session_id}' has expired; open a new one.",
                metadata={"session_id": session_id},
            )
        self._remember(entry)
        return entry

    def _last_seen(self, session_id: str) -> float:
        with self._lock:
            entry = self._entries.get(session_id)
        return entry.last_accessed_at if entry is not None else 0.0

    def _remember(self, entry: Entry) -> None:
        with self._lock:
            self._entries[entry.session_id] = entry
            self._entries.move_to_end(entry.session_id)
            evicted = self._entries.popitem(last=False)[1] if len(self._entries) > REMEMBERED else None
        if evicted is not None:
            self._write_access(evicted, evicted.last_accessed_at)

    def _forget(self, session_id: str) -> None:
        with self._lock:
            known = self._entries.pop(session_id, None)
        if known is not None:
            self._generation.raise_own()

    def _write_access(self, entry: Entry, now: float) -> None:
        entry.written_at = now
        with self._database.write() as connection:
            connection.execute(
                update(SESSIONS)
                .where(SESSIONS.c.session_id == entry.session_id, SESSIONS.c.last_accessed_at < now)
                .values(last_accessed_at=now)
            )

    def _flush(self) -> None:
        """Writes every access that is only in memory."""
        with self._lock:
            late = [entry for entry in self._entries.values() if entry.last_accessed_at > entry.written_at]
        for entry in late:
            self._write_access(entry, entry.last_accessed_at)

    @staticmethod
    def _models(connection: Connection, session_id: str) -> dict[str, StoredModel]:
        rows = connection.execute(
            select(MODELS.c.model_id, MODELS.c.content_key)
            .where(MODELS.c.session_id == session_id)
            .order_by(MODELS.c.position)
        )
        return {row.model_id: StoredModel(row.model_id, row.content_key) for row in rows}

    @staticmethod
    def _check_room(connection: Connection, session_id: str, models: int, limit: int) -> None:
        if connection.execute(select(SESSIONS.c.session_id).where(SESSIONS.c.session_id == session_id)).first() is None:
            raise not_found(session_id)
        if models >= limit:
            raise ServiceError(
                Reason.TOO_MANY_MODELS,
                f"The session holds {limit} models, the most this server allows; remove one first.",
                retry_after_seconds=RETRY_AFTER_SECONDS,
                metadata={"max_models_per_session": str(limit)},
            )

    @staticmethod
    def _insert_model(
        connection: Connection,
        session_id: str,
        model_id: str,
        content_key: str,
        source: Mapping[str, object],
        now: float,
    ) -> None:
        known = connection.execute(select(CONTENTS.c.content_key).where(CONTENTS.c.content_key == content_key)).first()
        if known is None:
            connection.execute(insert(CONTENTS).values(content_key=content_key, source=dict(source)))
        connection.execute(
            insert(MODELS).values(session_id=session_id, model_id=model_id, content_key=content_key, loaded_at=now)
        )

    @staticmethod
    def _delete(connection: Connection, which: ColumnElement[bool]) -> int:
        doomed = select(SESSIONS.c.session_id).where(which)
        connection.execute(delete(MODELS).where(MODELS.c.session_id.in_(doomed)))
        return connection.execute(delete(SESSIONS).where(which)).rowcount

    def _check_rate(self, client: str) -> None:
        limit, now = self._settings.rate_limit, self._now()
        if not limit:
            return
        with self._lock:
            recent = self._creations.setdefault(client, deque())
            while recent and recent[0] <= now - RATE_WINDOW_SECONDS:
                recent.popleft()
            refused = len(recent) >= limit
            if not refused:
                recent.append(now)
            if len(self._creations) > REMEMBERED:
                since = now - RATE_WINDOW_SECONDS
                self._creations = {key: times for key, times in self._creations.items() if times and times[-1] > since}
        if refused:
            raise ServiceError(
                Reason.SESSION_RATE_LIMITED,
                f"More than {limit} sessions in {RATE_WINDOW_SECONDS:.0f} seconds; retry later.",
                retry_after_seconds=RETRY_AFTER_SECONDS,
                metadata={"limit": str(limit), "window_seconds": f"{RATE_WINDOW_SECONDS:.0f}"},
            )


def not_found(session_id: str) -> ServiceError:
    """The refusal of an unknown session."""
    return ServiceError(
        Reason.SESSION_NOT_FOUND, f"Session '{session_id}' not found.", metadata={"session_id": session_id}
    )


def _moment(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
