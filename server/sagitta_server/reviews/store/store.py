"""Reads and writes reviews inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select, update

from sagitta_server.reviews.changes import Change, changes_between
from sagitta_server.reviews.enums import ReadinessState, SessionStatus
from sagitta_server.reviews.events import Event, Payload, RecoveryStep, StoredEvent, events_between
from sagitta_server.reviews.json_text import dump, load
from sagitta_server.reviews.store import tables
from sagitta_server.reviews.store.codec import field_hints, from_columns, from_plain, from_row, to_plain, to_row
from sagitta_server.reviews.values import Condition, Field, Finding, Preview, Question, Review, Run, Session
from sagitta_server.reviews.values import (
    Mapping as FilterMapping,
)

_PAYLOADS: dict[str, type] = {
    cls.__name__: cls for cls in (Session, Finding, Field, Question, FilterMapping, Preview, Run, RecoveryStep)
}


class VersionConflictError(Exception):
    """Somebody else changed the session between reading and writing it."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of sessions and how many match."""

    sessions: tuple[Session, ...]
    total: int


class ReviewStore:
    """The statements; every method runs on the connection of the caller's transaction."""

    def insert(self, connection: Connection, review: Review, note: str | None = None) -> None:
        """Stores a new review."""
        row = {**_session_row(review), "event_sequence": 0, "stale_at": None}
        connection.execute(insert(tables.SESSIONS).values(row))
        _write_parts(connection, None, review)
        self._log(connection, None, review, note, ())

    def load(self, connection: Connection, session_id: str, *, lock: bool = False) -> Review | None:
        """The whole review; `lock` holds its row until the transaction ends, where the database has row locks."""
        query = select(tables.SESSIONS).where(tables.SESSIONS.c.session_id == session_id)
        row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
        if row is None:
            return None
        singles: dict[str, Any] = {
            name: _single(connection, table, cls, session_id) for name, table, cls in tables.SINGLES
        }
        children: dict[str, Any] = {
            name: _children(connection, table, cls, session_id) for name, table, cls, _ in tables.CHILDREN
        }
        return Review(
            session=from_row(Session, row),
            conditions=tuple(from_plain(Condition, c) for c in _objects(row["conditions"])),
            removed_filters=tuple(_texts(row["removed_filters"])),
            confirmed_filters=tuple(_texts(row["confirmed_filters"])),
            preview=_by_key(connection, tables.PREVIEWS, Preview, "preview_id", row["preview_id"]),
            run=_by_key(connection, tables.RUNS, Run, "run_context_id", row["run_context_id"]),
            **singles,
            **children,
        )

    def save(
        self,
        connection: Connection,
        before: Review,
        after: Review,
        *,
        stale_at: datetime | None,
        note: str | None = None,
        extra: Sequence[Event] = (),
        changed_by: str = "",
    ) -> None:
        """Writes what differs, the change log and the events.

        Raises:
            VersionConflictError: the stored version is no longer that of `before`.
        """
        statement = (
            update(tables.SESSIONS)
            .where(
                tables.SESSIONS.c.session_id == before.session_id,
                tables.SESSIONS.c.version == before.session.version,
            )
            .values({**_session_row(after), "stale_at": stale_at})
        )
        if connection.execute(statement).rowcount != 1:
            raise VersionConflictError(before.session_id)
        _write_parts(connection, before, after)
        _write_changes(connection, after, changes_between(before, after), changed_by)
        self._log(connection, before, after, note, extra)

    def refresh_decision(self, connection: Connection, session: Session) -> None:
        """Stores a decision that time alone has changed; it is derived, so no version is spent on it."""
        connection.execute(
            update(tables.SESSIONS)
            .where(tables.SESSIONS.c.session_id == session.session_id, tables.SESSIONS.c.version == session.version)
            .values(
                readiness_state=session.readiness_state.value,
                current_phase=session.current_phase.value,
                recommended_action=session.recommended_action.value,
                stale_at=None,
            )
        )

    def delete(self, connection: Connection, session_id: str) -> None:
        """Removes a review with everything but its audit records."""
        connection.execute(delete(tables.SESSIONS).where(tables.SESSIONS.c.session_id == session_id))

    def page(
        self,
        connection: Connection,
        owner_id: str,
        statuses: Iterable[SessionStatus],
        readiness: ReadinessState | None,
        *,
        offset: int,
        limit: int,
    ) -> Page:
        """Sessions of an owner, latest activity first."""
        columns = tables.SESSIONS.c
        wanted = [columns.owner_id == owner_id, columns.status.in_([s.value for s in statuses])]
        if readiness is not None:
            wanted.append(columns.readiness_state == readiness.value)
        total = connection.execute(select(func.count()).select_from(tables.SESSIONS).where(*wanted)).scalar_one()
        query = (
            select(tables.SESSIONS)
            .where(*wanted)
            .order_by(columns.last_activity_at.desc(), columns.session_id)
            .offset(offset)
            .limit(limit)
        )
        return Page(tuple(from_row(Session, row) for row in connection.execute(query).mappings()), total)

    def stale_sessions(self, connection: Connection, owner_id: str, now: datetime) -> tuple[str, ...]:
        """Sessions whose stored decision time has overtaken."""
        columns = tables.SESSIONS.c
        query = select(columns.session_id).where(columns.owner_id == owner_id, columns.stale_at <= now)
        return tuple(connection.execute(query).scalars())

    def count_live(self, connection: Connection, owner_id: str) -> int:
        """Sessions of an owner that are neither archived nor cancelled."""
        columns = tables.SESSIONS.c
        ended = [SessionStatus.ARCHIVED.value, SessionStatus.CANCELLED.value]
        query = select(func.count()).where(columns.owner_id == owner_id, columns.status.not_in(ended))
        return connection.execute(query.select_from(tables.SESSIONS)).scalar_one()

    def run(self, connection: Connection, session_id: str, run_context_id: str) -> Run | None:
        """One run of a session."""
        query = select(tables.RUNS).where(
            tables.RUNS.c.session_id == session_id, tables.RUNS.c.run_context_id == run_context_id
        )
        row = connection.execute(query).mappings().one_or_none()
        return None if row is None else from_row(Run, row)

    def preview(self, connection: Connection, session_id: str, preview_id: str) -> Preview | None:
        """One preview of a session, also one that is no longer the latest."""
        columns = tables.PREVIEWS.c
        query = select(tables.PREVIEWS).where(columns.session_id == session_id, columns.preview_id == preview_id)
        row = connection.execute(query).mappings().one_or_none()
        return None if row is None else from_row(Preview, row)

    def owner(self, connection: Connection, session_id: str) -> str | None:
        """The owner of a session; None when there is no such session."""
        query = select(tables.SESSIONS.c.owner_id).where(tables.SESSIONS.c.session_id == session_id)
        return connection.execute(query).scalar_one_or_none()

    def mark_reviewed(self, connection: Connection, session: Session) -> None:
        """Stores that the documentation was exported, with the decision that follows; no version is spent on it."""
        connection.execute(
            update(tables.SESSIONS)
            .where(tables.SESSIONS.c.session_id == session.session_id)
            .values(
                reviewed=True,
                readiness_state=session.readiness_state.value,
                current_phase=session.current_phase.value,
                recommended_action=session.recommended_action.value,
            )
        )

    def run_by_id(self, connection: Connection, run_context_id: str) -> Run | None:
        """One run, whosever it is."""
        query = select(tables.RUNS).where(tables.RUNS.c.run_context_id == run_context_id)
        row = connection.execute(query).mappings().one_or_none()
        return None if row is None else from_row(Run, row)

    def run_ids(self, connection: Connection, session_id: str) -> tuple[str, ...]:
        """Ids of all runs of a session."""
        query = select(tables.RUNS.c.run_context_id).where(tables.RUNS.c.session_id == session_id)
        return tuple(connection.execute(query).scalars())

    def changes(self, connection: Connection, session_id: str, after: int, upto: int) -> tuple[Change, ...]:
        """Changes of meaning in the versions after `after` up to and including `upto`, oldest first."""
        columns = tables.CHANGES.c
        query = (
            select(tables.CHANGES)
            .where(columns.session_id == session_id, columns.version > after, columns.version <= upto)
            .order_by(columns.change_id)
        )
        return tuple(from_row(Change, row) for row in connection.execute(query).mappings())

    def events(self, connection: Connection, session_id: str, after: int, limit: int) -> tuple[StoredEvent, ...]:
        """Events after a sequence number."""
        columns = tables.EVENTS.c
        query = (
            select(tables.EVENTS)
            .where(columns.session_id == session_id, columns.sequence > after)
            .order_by(columns.sequence)
            .limit(limit)
        )
        return tuple(_stored_event(row) for row in connection.execute(query).mappings())

    def audit(
        self,
        connection: Connection,
        *,
        session_id: str,
        run_context_id: str,
        at: datetime,
        kind: str,
        actor: str,
        token_id: str | None,
        body: Mapping[str, Any],
    ) -> None:
        """Appends an audit record."""
        connection.execute(
            insert(tables.AUDIT).values(
                session_id=session_id,
                run_context_id=run_context_id,
                at=at,
                kind=kind,
                actor=actor,
                token_id=token_id,
                body=dump(to_plain(body) if not isinstance(body, dict) else body),
            )
        )

    def audit_records(self, connection: Connection, session_id: str) -> tuple[Mapping[str, Any], ...]:
        """The audit records of a session, oldest first, also of a session that was removed."""
        query = select(tables.AUDIT).where(tables.AUDIT.c.session_id == session_id).order_by(tables.AUDIT.c.audit_id)
        return tuple({**row, "body": load(row["body"])} for row in connection.execute(query).mappings())

    def _log(
        self,
        connection: Connection,
        before: Review | None,
        after: Review,
        note: str | None,
        extra: Sequence[Event],
    ) -> None:
        happened = [*extra, *events_between(before, after)]
        if note is not None:
            happened.append(Event("session.note", note=note))
        if not happened:
            return
        statement = (
            update(tables.SESSIONS)
            .where(tables.SESSIONS.c.session_id == after.session_id)
            .values(event_sequence=tables.SESSIONS.c.event_sequence + len(happened))
            .returning(tables.SESSIONS.c.event_sequence)
        )
        last = connection.execute(statement).scalar_one()
        first = last - len(happened) + 1
        connection.execute(
            insert(tables.EVENTS),
            [_event_row(after, event, number) for number, event in enumerate(happened, start=first)],
        )


def _session_row(review: Review) -> dict[str, Any]:
    return {
        **to_row(review.session),
        "conditions": dump(to_plain(review.conditions)),
        "removed_filters": dump(list(review.removed_filters)),
        "confirmed_filters": dump(list(review.confirmed_filters)),
        "preview_id": review.preview.preview_id if review.preview else None,
        "run_context_id": review.run.run_context_id if review.run else None,
    }


def _write_parts(connection: Connection, before: Review | None, after: Review) -> None:
    for name, table, _ in tables.SINGLES:
        _write_single(connection, table, getattr(before, name, None), getattr(after, name), after.session_id)
    for name, table, _, key in tables.CHILDREN:
        _write_children(
            connection, table, key, getattr(before, name, ()), getattr(after, name), session_id=after.session_id
        )
    for part, table, key in (
        (after.preview, tables.PREVIEWS, "preview_id"),
        (after.run, tables.RUNS, "run_context_id"),
    ):
        former = (before.preview if table is tables.PREVIEWS else before.run) if before else None
        if part is not None and part != former:
            same = former is not None and getattr(former, key) == getattr(part, key)
            _upsert(connection, table, key, part, after.session_id, exists=same)


def _write_single(connection: Connection, table: Table, before: Any, after: Any, session_id: str) -> None:
    if before == after:
        return
    if after is None:
        connection.execute(delete(table).where(table.c.session_id == session_id))
    elif before is None:
        connection.execute(insert(table).values(**to_row(after), session_id=session_id))
    else:
        connection.execute(update(table).where(table.c.session_id == session_id).values(to_row(after)))


def _write_children(
    connection: Connection, table: Table, key: str, before: tuple[Any, ...], after: tuple[Any, ...], *, session_id: str
) -> None:
    known = {getattr(item, key): (position, item) for position, item in enumerate(before)}
    present = {getattr(item, key) for item in after}
    gone = [identity for identity in known if identity not in present]
    if gone:
        connection.execute(delete(table).where(table.c[key].in_(gone)))
    fresh = []
    for position, item in enumerate(after):
        was = known.get(getattr(item, key))
        if was == (position, item):
            continue
        row = {**to_row(item), "session_id": session_id, "position": position}
        if was is None:
            fresh.append(row)
        else:
            connection.execute(update(table).where(table.c[key] == getattr(item, key)).values(row))
    if fresh:
        connection.execute(insert(table), fresh)


def _upsert(connection: Connection, table: Table, key: str, part: Any, session_id: str, *, exists: bool) -> None:
    row = {**to_row(part), "session_id": session_id, "position": 0}
    if exists:
        connection.execute(update(table).where(table.c[key] == getattr(part, key)).values(row))
    else:
        connection.execute(insert(table).values(row))


def _write_changes(connection: Connection, after: Review, changes: Iterable[Change], changed_by: str) -> None:
    rows = [
        {
            **to_row(change),
            "session_id": after.session_id,
            "version": after.session.version,
            "changed_by": changed_by,
            "changed_at": after.session.updated_at,
        }
        for change in changes
    ]
    if rows:
        connection.execute(insert(tables.CHANGES), rows)


def _single(connection: Connection, table: Table, cls: type, session_id: str) -> Any:
    row = connection.execute(select(table).where(table.c.session_id == session_id)).mappings().one_or_none()
    return None if row is None else from_row(cls, row)


def _children(connection: Connection, table: Table, cls: type, session_id: str) -> tuple[Any, ...]:
    columns = [table.c[name] for name, _ in field_hints(cls)]
    query = select(*columns).where(table.c.session_id == session_id).order_by(table.c.position)
    return tuple(from_columns(cls, row) for row in connection.execute(query))


def _by_key(connection: Connection, table: Table, cls: type, key: str, identity: str | None) -> Any:
    if identity is None:
        return None
    row = connection.execute(select(table).where(table.c[key] == identity)).mappings().one()
    return from_row(cls, row)


def _event_row(review: Review, event: Event, sequence: int) -> dict[str, Any]:
    return {
        "session_id": review.session_id,
        "sequence": sequence,
        "at": review.session.updated_at,
        "kind": event.kind,
        "version": review.session.version,
        "payload_type": None if event.payload is None else type(event.payload).__name__,
        "payload": None if event.payload is None else dump(to_plain(event.payload)),
        "note": event.note,
    }


def _stored_event(row: Mapping[Any, Any]) -> StoredEvent:
    payload: Payload | None = None
    if row["payload_type"] is not None:
        payload = from_plain(_PAYLOADS[row["payload_type"]], _object(row["payload"]))
    return StoredEvent(row["sequence"], row["at"], row["version"], row["kind"], payload, row["note"])


def _object(text: str) -> dict[str, Any]:
    value = load(text)
    assert isinstance(value, dict)
    return value


def _objects(text: str) -> list[dict[str, Any]]:
    value: Any = load(text)
    return list(value)


def _texts(text: str) -> list[str]:
    value: Any = load(text)
    return list(value)
