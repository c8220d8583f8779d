"""macros, mentions, fields"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "macros",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("texts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("actions", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_macros_workspace_id_agent_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_macros")),
        info={"personal": {"nobody": "what a team answers often"}},
    )
    op.create_index(op.f("ix_macros_workspace_id_agent_id"), "macros", ["workspace_id", "agent_id"], unique=False)
    op.create_table(
        "macro_uses",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("macro_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_macro_uses_workspace_id_agent_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "macro_id"],
            ["macros.workspace_id", "macros.id"],
            name=op.f("fk_macro_uses_workspace_id_macro_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "macro_id", "agent_id", name=op.f("pk_macro_uses")),
        info={"personal": {"nobody": "what an agent answers often"}},
    )
    op.create_table(
        "mentions",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("read_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_mentions_workspace_id_agent_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_mentions_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "agent_id", "conversation_id", "position", name=op.f("pk_mentions")),
        info={"moves": "stays"},
    )
    op.create_index(
        "ix_mentions_unread",
        "mentions",
        ["workspace_id", "agent_id", "conversation_id"],
        unique=False,
        postgresql_where=sa.text("read_at IS NULL"),
    )
    op.create_index(
        op.f("ix_mentions_workspace_id_conversation_id"), "mentions", ["workspace_id", "conversation_id"], unique=False
    )
    op.create_table(
        "fields",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("options", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_fields")),
        sa.UniqueConstraint("workspace_id", "key", name=op.f("uq_fields_workspace_id_key")),
        info={"personal": {"nobody": "what a team notes about its conversations"}},
    )
    op.create_table(
        "field_values",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("number", sa.Numeric(20, 6), nullable=True),
        sa.Column("day", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_field_values_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "conversation_id", "key", name=op.f("pk_field_values")),
    )
    op.create_index(
        op.f("ix_field_values_workspace_id_key_conversation_id"),
        "field_values",
        ["workspace_id", "key", "conversation_id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_field_values_workspace_id_key_conversation_id"), table_name="field_values")
    op.drop_table("field_values")
    op.drop_table("fields")
    op.drop_index(op.f("ix_mentions_workspace_id_conversation_id"), table_name="mentions")
    op.drop_index("ix_mentions_unread", table_name="mentions", postgresql_where=sa.text("read_at IS NULL"))
    op.drop_table("mentions")
    op.drop_table("macro_uses")
    op.drop_index(op.f("ix_macros_workspace_id_agent_id"), table_name="macros")
    op.drop_table("macros")
