"""proof of an order"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "order_proofs",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("visitor_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("typed", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("locale", sa.String(), server_default="", nullable=False),
        sa.Column("way", sa.String(), server_default="", nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "order_id"],
            ["orders.workspace_id", "orders.id"],
            name=op.f("fk_order_proofs_workspace_id_order_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_order_proofs_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "visitor_id"],
            ["visitors.workspace_id", "visitors.id"],
            name=op.f("fk_order_proofs_workspace_id_visitor_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_order_proofs")),
    )
    op.create_index(
        op.f("ix_order_proofs_workspace_id_order_id_created_at"),
        "order_proofs",
        ["workspace_id", "order_id", "created_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_order_proofs_workspace_id_visitor_id_order_id"),
        "order_proofs",
        ["workspace_id", "visitor_id", "order_id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_order_proofs_workspace_id_visitor_id_order_id"), table_name="order_proofs")
    op.drop_index(op.f("ix_order_proofs_workspace_id_order_id_created_at"), table_name="order_proofs")
    op.drop_table("order_proofs")
