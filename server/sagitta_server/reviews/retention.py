"""What is forgotten after a while: keys, uploads, and the artifacts and earlier previews of archived sessions."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select

from sagitta_server.reviews.enums import SessionStatus
from sagitta_server.reviews.settings import ReviewSettings
from sagitta_server.reviews.store.rates import forget_rates
from sagitta_server.reviews.store.tables import ARTIFACTS, IDEMPOTENCY, PREVIEWS, SESSIONS, UPLOADS


def forget(connection: Connection, settings: ReviewSettings, now: datetime) -> None:
    """Deletes everything whose time is over; audit records stay for ever."""
    keys_before = now - timedelta(seconds=settings.idempotency_ttl_s)
    connection.execute(delete(IDEMPOTENCY).where(IDEMPOTENCY.c.created_at < keys_before))
    connection.execute(delete(UPLOADS).where(UPLOADS.c.expires_at <= now))
    forget_rates(connection, now.timestamp())
    archived_before = now - timedelta(days=settings.archive_days)
    put_away = (
        select(SESSIONS.c.session_id)
        .where(SESSIONS.c.status == SessionStatus.ARCHIVED.value, SESSIONS.c.updated_at < archived_before)
        .scalar_subquery()
    )
    shown = select(SESSIONS.c.preview_id).where(SESSIONS.c.preview_id.is_not(None)).scalar_subquery()
    connection.execute(delete(ARTIFACTS).where(ARTIFACTS.c.session_id.in_(put_away)))
    connection.execute(delete(PREVIEWS).where(PREVIEWS.c.session_id.in_(put_away), PREVIEWS.c.preview_id.not_in(shown)))
