"""Artifacts, uploads and idempotency keys in the database."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select

from sagitta_server.reviews.enums import ArtifactFormat, ArtifactType
from sagitta_server.reviews.store import tables
from sagitta_server.reviews.store.codec import from_row, to_row


@dataclass(frozen=True, slots=True)
class Artifact:
    """An exported document, without its bytes."""

    artifact_id: str
    artifact_type: ArtifactType
    format: ArtifactFormat
    variant: str
    """What else the bytes depend on, e.g. `masked`."""
    version: int
    media_type: str
    file_name: str
    sha256: str
    created_by_user_id: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that a user uploaded, for a while."""

    upload_id: str
    owner_id: str
    file_name: str
    media_type: str
    content: bytes
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Replay:
    """What an idempotency key stood for."""

    request_hash: str
    session_id: str | None
    reference: str | None
    created_at: datetime


def sha256_of(content: bytes) -> str:
    """Hash of an artifact's bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def find_artifact(
    connection: Connection, session_id: str, kind: ArtifactType, form: ArtifactFormat, *, variant: str, version: int
) -> Artifact | None:
    """The artifact of this version of a session, if it was made already."""
    columns = tables.ARTIFACTS.c
    row = (
        connection.execute(
            _without_content().where(
                columns.session_id == session_id,
                columns.artifact_type == kind.value,
                columns.format == form.value,
                columns.variant == variant,
                columns.version == version,
            )
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else from_row(Artifact, row)


def insert_artifact(connection: Connection, session_id: str, artifact: Artifact, content: bytes) -> None:
    """Stores an artifact."""
    connection.execute(insert(tables.ARTIFACTS).values(**to_row(artifact), session_id=session_id, content=content))


def read_artifact(connection: Connection, session_id: str, artifact_id: str) -> tuple[Artifact, bytes] | None:
    """An artifact of a session with its bytes."""
    columns = tables.ARTIFACTS.c
    query = select(tables.ARTIFACTS).where(columns.session_id == session_id, columns.artifact_id == artifact_id)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else (from_row(Artifact, row), bytes(row["content"]))


def insert_upload(connection: Connection, upload: Upload, *, keep: int) -> None:
    """Stores an upload; forgets those that have expired, and all but the newest `keep` of its owner."""
    columns = tables.UPLOADS.c
    connection.execute(delete(tables.UPLOADS).where(columns.expires_at <= upload.created_at))
    connection.execute(insert(tables.UPLOADS).values(**to_row(upload)))
    own = select(columns.upload_id).where(columns.owner_id == upload.owner_id)
    newest = own.order_by(columns.created_at.desc(), columns.upload_id).limit(keep).subquery()
    connection.execute(
        delete(tables.UPLOADS).where(
            columns.owner_id == upload.owner_id, columns.upload_id.not_in(select(newest.c.upload_id))
        )
    )


def read_upload(connection: Connection, upload_id: str, owner_id: str, now: datetime) -> Upload | None:
    """An upload of this owner that has not expired."""
    columns = tables.UPLOADS.c
    query = select(tables.UPLOADS).where(
        columns.upload_id == upload_id, columns.owner_id == owner_id, columns.expires_at > now
    )
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else from_row(Upload, {**row, "content": bytes(row["content"])})


def find_replay(connection: Connection, user_id: str, operation: str, key: str, since: datetime) -> Replay | None:
    """What a key of this user and operation stood for, if that is recent enough."""
    columns = tables.IDEMPOTENCY.c
    query = select(tables.IDEMPOTENCY).where(
        columns.user_id == user_id, columns.operation == operation, columns.idempotency_key == key
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    if row["created_at"] < since:
        connection.execute(
            delete(tables.IDEMPOTENCY).where(
                columns.user_id == user_id, columns.operation == operation, columns.idempotency_key == key
            )
        )
        return None
    return from_row(Replay, row)


def insert_replay(connection: Connection, user_id: str, operation: str, key: str, replay: Replay) -> None:
    """Remembers what a key stands for; a second insert of the same key fails."""
    connection.execute(
        insert(tables.IDEMPOTENCY).values(**to_row(replay), user_id=user_id, operation=operation, idempotency_key=key)
    )


def forget_replays(connection: Connection, session_id: str) -> None:
    """Forgets the keys of a session that came to nothing: a repeated request tries anew."""
    connection.execute(delete(tables.IDEMPOTENCY).where(tables.IDEMPOTENCY.c.session_id == session_id))


def _without_content() -> Select[Any]:
    return select(*(c for c in tables.ARTIFACTS.c if c.name != "content"))
