"""Background tasks remember the span of the call that asked for them."""

import sqlalchemy as sa
from alembic import op

revision = "reviews_0003"
down_revision = "reviews_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column; tasks that wait have none."""
    op.add_column("review_tasks", sa.Column("traceparent", sa.String(length=55), nullable=True))


def downgrade() -> None:
    """Removes it."""
    with op.batch_alter_table("review_tasks") as table:
        table.drop_column("traceparent")
