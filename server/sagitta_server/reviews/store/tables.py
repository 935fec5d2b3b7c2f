"""The tables of reviews. A child's columns are the fields of its value; `position` keeps the order."""

from __future__ import annotations

from datetime import datetime
from typing import Any, get_args

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeEngine

from sagitta_server.reviews import values
from sagitta_server.reviews.store.codec import field_hints
from sagitta_server.state.base import Base
from sagitta_server.state.types import UtcDateTime

_ID = String(64)
_LONG = BigInteger().with_variant(Integer, "sqlite")


def _column_type(hint: Any) -> TypeEngine[Any]:
    inner = next((a for a in get_args(hint) if a is not type(None)), hint) if get_args(hint) else hint
    simple: dict[Any, TypeEngine[Any]] = {
        bool: Boolean(),
        int: BigInteger(),
        float: Float(),
        datetime: UtcDateTime(),
    }
    return simple.get(inner, Text())


def _columns(cls: type, key: str | None) -> list[Column[Any]]:
    return [
        Column(
            name,
            _ID if name == key else _column_type(hint),
            primary_key=name == key,
            nullable=type(None) in get_args(hint),
        )
        for name, hint in field_hints(cls)
        if name != "session_id"
    ]


def _session_key() -> Column[Any]:
    return Column("session_id", _ID, ForeignKey("review_sessions.session_id", ondelete="CASCADE"), nullable=False)


def _child(name: str, cls: type, key: str) -> Table:
    return Table(
        name,
        Base.metadata,
        *_columns(cls, key),
        _session_key(),
        Column("position", Integer, nullable=False),
        Index(f"ix_{name}_session_id", "session_id"),
    )


def _single(name: str, cls: type) -> Table:
    key = Column("session_id", _ID, ForeignKey("review_sessions.session_id", ondelete="CASCADE"), primary_key=True)
    return Table(name, Base.metadata, key, *_columns(cls, None))


def _session_columns() -> list[Column[Any]]:
    special = {"session_id": _ID, "owner_id": String(255), "status": String(16), "readiness_state": String(40)}
    return [
        Column(
            name,
            special.get(name) or _column_type(hint),
            primary_key=name == "session_id",
            nullable=type(None) in get_args(hint),
        )
        for name, hint in field_hints(values.Session)
    ]


SESSIONS = Table(
    "review_sessions",
    Base.metadata,
    *_session_columns(),
    Column("conditions", Text, nullable=False),
    Column("removed_filters", Text, nullable=False),
    Column("confirmed_filters", Text, nullable=False),
    Column("preview_id", _ID),
    Column("run_context_id", _ID),
    Column("stale_at", UtcDateTime()),
    Column("event_sequence", _LONG, nullable=False),
    Index("ix_review_sessions_owner", "owner_id", "status", "last_activity_at"),
)
"""One row per review; `stale_at` says when time alone changes its preview, `event_sequence` numbers its events."""

PROFILES = _single("review_profiles", values.Profile)
DATASETS = _single("review_datasets", values.Dataset)
CLARIFICATIONS = _single("review_clarifications", values.Clarification)
FINDINGS = _child("review_findings", values.Finding, "finding_id")
SOURCES = _child("review_sources", values.Source, "source_id")
FIELDS = _child("review_fields", values.Field, "field_id")
FILTERS = _child("review_filters", values.Filter, "filter_id")
VARIABLES = _child("review_variables", values.Variable, "variable_id")
MAPPINGS = _child("review_mappings", values.Mapping, "mapping_id")
QUESTIONS = _child("review_questions", values.Question, "question_id")
PREVIEWS = _child("review_previews", values.Preview, "preview_id")
RUNS = _child("review_runs", values.Run, "run_context_id")

CHANGES = Table(
    "review_changes",
    Base.metadata,
    Column("change_id", _LONG, primary_key=True, autoincrement=True),
    _session_key(),
    Column("version", BigInteger, nullable=False),
    Column("subject", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("attribute", String(64), nullable=False),
    Column("before", Text, nullable=False),
    Column("after", Text, nullable=False),
    Column("changed_by", String(255), nullable=False),
    Column("changed_at", UtcDateTime(), nullable=False),
    Index("ix_review_changes_session_id", "session_id", "version"),
)
"""What changed in meaning with each version; the difference of two versions is folded from these."""

EVENTS = Table(
    "review_events",
    Base.metadata,
    Column("session_id", _ID, ForeignKey("review_sessions.session_id", ondelete="CASCADE"), primary_key=True),
    Column("sequence", _LONG, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime(), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("payload_type", String(24)),
    Column("payload", Text),
    Column("note", Text),
)
"""Events in the order of their sequence numbers, which grow by one per session."""

AUDIT = Table(
    "review_audit",
    Base.metadata,
    Column("audit_id", _LONG, primary_key=True, autoincrement=True),
    Column("session_id", _ID, nullable=False, index=True),
    Column("run_context_id", _ID, nullable=False),
    Column("at", UtcDateTime(), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("actor", String(255), nullable=False),
    Column("token_id", String(255)),
    Column("body", Text, nullable=False),
)
"""What ran, on whose word: never updated, never deleted, also not with its session (a trigger sees to it)."""

ARTIFACTS = Table(
    "review_artifacts",
    Base.metadata,
    Column("artifact_id", _ID, primary_key=True),
    _session_key(),
    Column("artifact_type", String(24), nullable=False),
    Column("format", String(16), nullable=False),
    Column("variant", String(64), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("media_type", String(128), nullable=False),
    Column("file_name", String(255), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_by_user_id", String(255)),
    Column("created_at", UtcDateTime(), nullable=False),
    UniqueConstraint("session_id", "artifact_type", "format", "variant", "version", name="uq_review_artifacts_version"),
)

IDEMPOTENCY = Table(
    "review_idempotency",
    Base.metadata,
    Column("user_id", String(255), primary_key=True),
    Column("operation", String(32), primary_key=True),
    Column("idempotency_key", String(128), primary_key=True),
    Column("request_hash", String(64), nullable=False),
    Column("session_id", _ID),
    Column("reference", Text),
    Column("created_at", UtcDateTime(), nullable=False),
)
"""What a key stood for; `reference` is the id of what it made."""

UPLOADS = Table(
    "review_uploads",
    Base.metadata,
    Column("upload_id", _ID, primary_key=True),
    Column("owner_id", String(255), nullable=False),
    Column("file_name", String(255), nullable=False),
    Column("media_type", String(128), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("expires_at", UtcDateTime(), nullable=False),
)

RESULTS = Table(
    "review_results",
    Base.metadata,
    Column("run_context_id", _ID, ForeignKey("review_runs.run_context_id", ondelete="CASCADE"), primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("truncated", Boolean, nullable=False),
    Column("error", Text),
    Column("is_complete", Boolean, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("written_at", UtcDateTime(), nullable=False),
    Index("ix_review_results_written_at", "written_at"),
)
"""What is known of the rows of a run, where the state database keeps them."""

RESULT_PARTS = Table(
    "review_result_parts",
    Base.metadata,
    Column("run_context_id", _ID, ForeignKey("review_results.run_context_id", ondelete="CASCADE"), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)
"""The Arrow IPC stream of a run's rows, cut into parts that are numbered from 0."""

RATES = Table(
    "review_rates",
    Base.metadata,
    Column("user_id", String(255), primary_key=True),
    Column("used_until", Float(53), nullable=False),
)
"""Per user the moment (seconds since 1970) at which the changes made so far are forgotten."""

TASKS = Table(
    "review_tasks",
    Base.metadata,
    Column("task_id", _ID, primary_key=True),
    _session_key(),
    Column("kind", String(16), nullable=False),
    Column("reference", _ID),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("worker", _ID),
    Column("lease_until", UtcDateTime()),
    Column("created_at", UtcDateTime(), nullable=False),
    Column("traceparent", String(55)),
    Index("ix_review_tasks_state", "state", "lease_until"),
)
"""Work for the background: `queued`, `running` under a lease, or gone."""

CHILDREN: tuple[tuple[str, Table, type, str], ...] = (
    ("findings", FINDINGS, values.Finding, "finding_id"),
    ("sources", SOURCES, values.Source, "source_id"),
    ("fields", FIELDS, values.Field, "field_id"),
    ("filters", FILTERS, values.Filter, "filter_id"),
    ("variables", VARIABLES, values.Variable, "variable_id"),
    ("mappings", MAPPINGS, values.Mapping, "mapping_id"),
    ("questions", QUESTIONS, values.Question, "question_id"),
)
"""Attribute of `Review`, table, value and key of everything that a review has many of."""

SINGLES: tuple[tuple[str, Table, type], ...] = (
    ("profile", PROFILES, values.Profile),
    ("dataset", DATASETS, values.Dataset),
    ("clarification", CLARIFICATIONS, values.Clarification),
)
"""Attribute of `Review`, table and value of everything that a review has one of."""
