"""Polled queries that were cancelled, for the replica that runs them."""

import sqlalchemy as sa
from alembic import op

revision = "semantic_0002"
down_revision = "semantic_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "semantic_cancelled_queries",
        sa.Column("query_id", sa.String(64), primary_key=True),
        sa.Column("cancelled_at", sa.Float(53), nullable=False, index=True),
    )


def downgrade() -> None:
    """Drops the table."""
    op.drop_table("semantic_cancelled_queries")
