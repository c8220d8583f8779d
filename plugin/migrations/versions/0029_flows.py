"""flows of the bot, discounts that it gives"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bot_flows",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("draft", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("undo", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("revision", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("live", sa.Integer(), nullable=True),
        sa.Column("starter", sa.String(), server_default="", nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_bot_flows")),
        info={"personal": {"nobody": "the ways that a merchant laid out for the bot"}, "moves": "stays"},
    )
    op.create_index(op.f("ix_bot_flows_workspace_id_position"), "bot_flows", ["workspace_id", "position"], unique=False)
    op.create_table(
        "bot_flow_versions",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "flow_id"],
            ["bot_flows.workspace_id", "bot_flows.id"],
            name=op.f("fk_bot_flow_versions_workspace_id_flow_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_bot_flow_versions")),
        sa.UniqueConstraint(
            "workspace_id", "flow_id", "number", name=op.f("uq_bot_flow_versions_workspace_id_flow_id_number")
        ),
        info={"personal": {"nobody": "the ways that a merchant laid out for the bot"}, "moves": "stays"},
    )
    op.create_table(
        "bot_flow_runs",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("flow_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("state", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("ending", sa.String(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_bot_flow_runs_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_bot_flow_runs")),
        info={"moves": "stays"},
    )
    op.create_index("ix_bot_flow_runs_flow", "bot_flow_runs", ["workspace_id", "flow_id", "created_at"], unique=False)
    op.create_index(
        "uq_bot_flow_runs_open",
        "bot_flow_runs",
        ["workspace_id", "conversation_id"],
        unique=True,
        postgresql_where=sa.text("ending = 'waits'"),
    )
    op.create_table(
        "bot_gifts",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("visitor_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("percent", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("amount", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("locale", sa.String(), server_default="", nullable=False),
        sa.Column("proof", sa.String(), nullable=False),
        sa.Column("counted", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("said", sa.String(), server_default="", nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("action_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_bot_gifts_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "order_id"],
            ["orders.workspace_id", "orders.id"],
            name=op.f("fk_bot_gifts_workspace_id_order_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_bot_gifts_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_bot_gifts")),
        sa.UniqueConstraint(
            "workspace_id", "conversation_id", "key", name=op.f("uq_bot_gifts_workspace_id_conversation_id_key")
        ),
    )
    op.create_index("ix_bot_gifts_action", "bot_gifts", ["workspace_id", "action_id"], unique=False)
    op.create_index("ix_bot_gifts_store", "bot_gifts", ["workspace_id", "store_id", "created_at"], unique=False)
    op.add_column(
        "bots",
        sa.Column("segments", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
    )
    op.add_column(
        "bots",
        sa.Column("may", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    )
    op.add_column(
        "bots",
        sa.Column("discount", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("bots", "discount")
    op.drop_column("bots", "may")
    op.drop_column("bots", "segments")
    op.drop_index("ix_bot_gifts_store", table_name="bot_gifts")
    op.drop_index("ix_bot_gifts_action", table_name="bot_gifts")
    op.drop_table("bot_gifts")
    op.drop_index("uq_bot_flow_runs_open", table_name="bot_flow_runs", postgresql_where=sa.text("ending = 'waits'"))
    op.drop_index("ix_bot_flow_runs_flow", table_name="bot_flow_runs")
    op.drop_table("bot_flow_runs")
    op.drop_table("bot_flow_versions")
    op.drop_index(op.f("ix_bot_flows_workspace_id_position"), table_name="bot_flows")
    op.drop_table("bot_flows")
