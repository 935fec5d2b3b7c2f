"""What replicas share: results of runs, and how many changes each user has made of late."""

import sqlalchemy as sa
from alembic import op

revision = "reviews_0002"
down_revision = "reviews_0001"
branch_labels = None
depends_on = None

ID = sa.String(length=64)


def upgrade() -> None:
    """Creates the tables."""
    op.create_table(
        "review_results",
        sa.Column(
            "run_context_id", ID, sa.ForeignKey("review_runs.run_context_id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("run_context_id", name="pk_review_results"),
    )
    op.create_index("ix_review_results_written_at", "review_results", ["written_at"], unique=False)
    op.create_table(
        "review_result_parts",
        sa.Column(
            "run_context_id", ID, sa.ForeignKey("review_results.run_context_id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_context_id", "part", name="pk_review_result_parts"),
    )
    op.create_table(
        "review_rates",
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("used_until", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_review_rates"),
    )


def downgrade() -> None:
    """Removes them."""
    for table in ("review_rates", "review_result_parts", "review_results"):
        op.drop_table(table)
