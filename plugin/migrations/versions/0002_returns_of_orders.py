"""returns of orders"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "order_returns",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("order_external_id", sa.String(), nullable=False),
        sa.Column("version", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("name", sa.String(), server_default="", nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("declined_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "order_id"],
            ["orders.workspace_id", "orders.id"],
            name=op.f("fk_order_returns_workspace_id_order_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_order_returns")),
        sa.UniqueConstraint(
            "workspace_id", "store_id", "external_id", name=op.f("uq_order_returns_workspace_id_store_id_external_id")
        ),
    )
    op.create_index(
        op.f("ix_order_returns_workspace_id_order_id"), "order_returns", ["workspace_id", "order_id"], unique=False
    )
    op.create_index(
        op.f("ix_order_returns_workspace_id_store_id_order_external_id"),
        "order_returns",
        ["workspace_id", "store_id", "order_external_id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_order_returns_workspace_id_store_id_order_external_id"), table_name="order_returns")
    op.drop_index(op.f("ix_order_returns_workspace_id_order_id"), table_name="order_returns")
    op.drop_table("order_returns")
