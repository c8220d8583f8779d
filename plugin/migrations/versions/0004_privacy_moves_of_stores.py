"""privacy, moves of stores"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "retention_periods",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "kind", name=op.f("pk_retention_periods")),
        info={"personal": {"nobody": "the merchant's own rules"}},
    )
    op.create_table(
        "store_moves",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=True),
        sa.Column("other", sa.Uuid(), nullable=True),
        sa.Column("browser_hash", sa.String(), server_default="", nullable=False),
        sa.Column("code_hash", sa.String(), server_default="", nullable=False),
        sa.Column("store_name", sa.String(), server_default="", nullable=False),
        sa.Column("reason", sa.String(), server_default="", nullable=False),
        sa.Column("parting", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("done_rows", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_rows", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_store_moves")),
        info={"moves": "agreement", "personal": {"nobody": "which store goes where"}},
    )
    op.create_table(
        "consents",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("visitor_id", sa.Uuid(), nullable=True),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("level", sa.String(), server_default="", nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "customer_id"],
            ["customers.workspace_id", "customers.id"],
            name=op.f("fk_consents_workspace_id_customer_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_consents_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "visitor_id"],
            ["visitors.workspace_id", "visitors.id"],
            name=op.f("fk_consents_workspace_id_visitor_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_consents")),
        sa.UniqueConstraint(
            "workspace_id",
            "store_id",
            "customer_id",
            "visitor_id",
            "purpose",
            "at",
            name="uq_consents_answer",
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index(
        op.f("ix_consents_workspace_id_customer_id_at"), "consents", ["workspace_id", "customer_id", "at"], unique=False
    )
    op.create_index(
        op.f("ix_consents_workspace_id_visitor_id_at"), "consents", ["workspace_id", "visitor_id", "at"], unique=False
    )
    op.add_column(
        "access_log", sa.Column("until", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
    )
    op.create_index(
        op.f("ix_access_log_workspace_id_agent_id_created_at"),
        "access_log",
        ["workspace_id", "agent_id", "created_at"],
        unique=False,
    )
    op.add_column("orders", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("stores", sa.Column("moving_since", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("stores", "moving_since")
    op.drop_column("orders", "erased_at")
    op.drop_index(op.f("ix_access_log_workspace_id_agent_id_created_at"), table_name="access_log")
    op.drop_column("access_log", "until")
    op.drop_index(op.f("ix_consents_workspace_id_visitor_id_at"), table_name="consents")
    op.drop_index(op.f("ix_consents_workspace_id_customer_id_at"), table_name="consents")
    op.drop_table("consents")
    op.drop_table("store_moves")
    op.drop_table("retention_periods")
