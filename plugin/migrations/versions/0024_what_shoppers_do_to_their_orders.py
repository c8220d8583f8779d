"""what shoppers do to their orders"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "order_self_service",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_order_self_service_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_order_self_service")),
        sa.UniqueConstraint("workspace_id", "store_id", name=op.f("uq_order_self_service_workspace_id_store_id")),
        info={"personal": {"nobody": "what the merchant lets shoppers do"}},
    )
    op.create_table(
        "order_claims",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("wish", sa.String(), server_default="", nullable=False),
        sa.Column("state", sa.String(), server_default="open", nullable=False),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("said", sa.String(), server_default="", nullable=False),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column("action_id", sa.Uuid(), nullable=True),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "order_id"],
            ["orders.workspace_id", "orders.id"],
            name=op.f("fk_order_claims_workspace_id_order_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_order_claims_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_order_claims")),
        sa.UniqueConstraint(
            "workspace_id", "store_id", "client_id", name=op.f("uq_order_claims_workspace_id_store_id_client_id")
        ),
        info={
            "personal": {
                "kept": "the merchant's books: what was wrong and what was given for it",
                "blank": ["said", "note"],
                "plain": ["kind", "wish", "state", "lines"],
            }
        },
    )
    op.create_index(
        op.f("ix_order_claims_workspace_id_conversation_id"),
        "order_claims",
        ["workspace_id", "conversation_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_order_claims_workspace_id_order_id"), "order_claims", ["workspace_id", "order_id"], unique=False
    )
    op.add_column("fulfilments", sa.Column("estimated_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("fulfilments", sa.Column("proof_url", sa.String(), server_default="", nullable=False))
    op.add_column("order_actions", sa.Column("visitor_id", sa.Uuid(), nullable=True))
    op.add_column("order_actions", sa.Column("customer_id", sa.Uuid(), nullable=True))
    op.add_column("order_actions", sa.Column("locale", sa.String(), server_default="", nullable=False))
    op.alter_column("order_actions", "agent_id", existing_type=sa.UUID(), nullable=True)
    op.add_column("orders", sa.Column("pickup", sa.String(), server_default="", nullable=False))


def downgrade() -> None:
    op.execute("DELETE FROM order_actions WHERE agent_id IS NULL")
    op.drop_column("orders", "pickup")
    op.alter_column("order_actions", "agent_id", existing_type=sa.UUID(), nullable=False)
    op.drop_column("order_actions", "locale")
    op.drop_column("order_actions", "customer_id")
    op.drop_column("order_actions", "visitor_id")
    op.drop_column("fulfilments", "proof_url")
    op.drop_column("fulfilments", "estimated_at")
    op.drop_index(op.f("ix_order_claims_workspace_id_order_id"), table_name="order_claims")
    op.drop_index(op.f("ix_order_claims_workspace_id_conversation_id"), table_name="order_claims")
    op.drop_table("order_claims")
    op.drop_table("order_self_service")
