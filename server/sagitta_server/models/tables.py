"""The tables of sessions and models; moments are seconds since the epoch."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Float, ForeignKey, Integer, String, Table, UniqueConstraint

from sagitta_server.state import Base

SESSIONS = Table(
    "semantic_sessions",
    Base.metadata,
    Column("session_id", String(64), primary_key=True),
    Column("created_at", Float(53), nullable=False),
    Column("last_accessed_at", Float(53), nullable=False, index=True),
    Column("metadata", JSON, nullable=False),
)

CONTENTS = Table(
    "semantic_model_contents",
    Base.metadata,
    Column("content_key", String(64), primary_key=True),
    Column("source", JSON, nullable=False),
)

MODELS = Table(
    "semantic_models",
    Base.metadata,
    Column("position", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column(
        "session_id",
        String(64),
        ForeignKey("semantic_sessions.session_id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("model_id", String(64), nullable=False),
    Column("content_key", String(64), ForeignKey("semantic_model_contents.content_key"), nullable=False, index=True),
    Column("loaded_at", Float(53), nullable=False),
    UniqueConstraint("session_id", "model_id"),
)
