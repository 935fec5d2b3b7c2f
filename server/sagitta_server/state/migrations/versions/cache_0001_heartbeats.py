"""The newest reported refresh of each physical table."""

import sqlalchemy as sa
from alembic import op

revision = "cache_0001"
down_revision = None
branch_labels = ("cache",)
depends_on = None


def upgrade() -> None:
    """Adds the table."""
    op.create_table(
        "table_heartbeats",
        sa.Column("table_ref", sa.String(800), nullable=False, comment="database.schema.table, case folded"),
        sa.Column(
            "refreshed_at",
            sa.BigInteger,
            nullable=False,
            comment="newest reported refresh, microseconds since 1970 UTC",
        ),
        sa.Column(
            "generation",
            sa.BigInteger,
            nullable=False,
            comment="how many refreshes were reported; never goes back",
        ),
        sa.PrimaryKeyConstraint("table_ref", name="pk_table_heartbeats"),
    )


def downgrade() -> None:
    """Drops the table."""
    op.drop_table("table_heartbeats")
