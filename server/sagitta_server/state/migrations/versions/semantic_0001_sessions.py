"""Semantic sessions and their models."""

import sqlalchemy as sa
from alembic import op

revision = "semantic_0001"
down_revision = None
branch_labels = ("semantic",)
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "semantic_sessions",
        sa.Column("session_id", sa.String(64), primary_key=True),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("last_accessed_at", sa.Float(53), nullable=False, index=True),
        sa.Column("metadata", sa.JSON, nullable=False),
    )
    op.create_table(
        "semantic_model_contents",
        sa.Column("content_key", sa.String(64), primary_key=True),
        sa.Column("source", sa.JSON, nullable=False),
    )
    op.create_table(
        "semantic_models",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column(
            "session_id",
            sa.String(64),
            sa.ForeignKey("semantic_sessions.session_id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("model_id", sa.String(64), nullable=False),
        sa.Column(
            "content_key",
            sa.String(64),
            sa.ForeignKey("semantic_model_contents.content_key"),
            nullable=False,
            index=True,
        ),
        sa.Column("loaded_at", sa.Float(53), nullable=False),
        sa.UniqueConstraint("session_id", "model_id"),
    )


def downgrade() -> None:
    """Drops the tables."""
    for table in ("semantic_models", "semantic_model_contents", "semantic_sessions"):
        op.drop_table(table)
