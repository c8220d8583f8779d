"""returns: why one that nobody moved waits for the team; failed payments of somebody without an account"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("return_requests", sa.Column("overdue", sa.String(), server_default="", nullable=False))
    op.create_index(
        "ix_orders_failed_payments",
        "orders",
        ["workspace_id", "store_id", "email"],
        postgresql_where=sa.text("payment_status = 'failed'"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_orders_failed_payments", table_name="orders", postgresql_where=sa.text("payment_status = 'failed'")
    )
    op.drop_column("return_requests", "overdue")
