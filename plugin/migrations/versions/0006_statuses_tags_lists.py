"""statuses, tags, lists"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tags",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "key", name=op.f("pk_tags")),
        info={"moves": "stays", "personal": {"nobody": "words that a team sorts by"}},
    )
    op.create_table(
        "bulk_changes",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("verb", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_bulk_changes_workspace_id_agent_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_bulk_changes")),
        info={"personal": {"nobody": "which conversations an agent changed last"}},
    )
    op.create_table(
        "saved_views",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("filter", sa.String(), nullable=False),
        sa.Column("sort", sa.String(), server_default="newest", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_saved_views_workspace_id_agent_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "created_by"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_saved_views_workspace_id_created_by"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_saved_views")),
        info={"personal": {"nobody": "how a team sorts its conversations"}},
    )
    op.create_index(
        op.f("ix_saved_views_workspace_id_agent_id"), "saved_views", ["workspace_id", "agent_id"], unique=False
    )
    op.create_table(
        "conversation_reads",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_conversation_reads_workspace_id_agent_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_conversation_reads_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "agent_id", "conversation_id", name=op.f("pk_conversation_reads")),
        info={"moves": "stays"},
    )
    op.create_index(
        op.f("ix_conversation_reads_workspace_id_conversation_id"),
        "conversation_reads",
        ["workspace_id", "conversation_id"],
        unique=False,
    )
    op.create_table(
        "conversation_tags",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_conversation_tags_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "conversation_id", "key", name=op.f("pk_conversation_tags")),
    )
    op.create_index(
        op.f("ix_conversation_tags_workspace_id_key_conversation_id"),
        "conversation_tags",
        ["workspace_id", "key", "conversation_id"],
        unique=False,
    )
    op.add_column(
        "conversations", sa.Column("priority", sa.SmallInteger(), server_default=sa.text("1"), nullable=False)
    )
    op.add_column("conversations", sa.Column("snoozed_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "conversations",
        sa.Column("active_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.alter_column("conversations", "closed_at", new_column_name="resolved_at")
    _rewrite(
        "UPDATE conversations SET active_at = last_message_at, "
        "status = CASE status WHEN 'closed' THEN 'resolved' ELSE status END",
        "UPDATE events SET kind = 'conversation.resolved' WHERE kind = 'conversation.closed'",
    )
    op.drop_index(op.f("ix_conversations_assigned"), table_name="conversations")
    op.create_index(
        "ix_conversations_assigned",
        "conversations",
        ["workspace_id", "assignee_id", "status", "active_at", "id"],
        unique=False,
    )
    op.drop_index(op.f("ix_conversations_queue"), table_name="conversations")
    op.create_index(
        "ix_conversations_queue", "conversations", ["workspace_id", "status", "active_at", "id"], unique=False
    )
    op.create_index("ix_conversations_active", "conversations", ["workspace_id", "active_at", "id"], unique=False)
    op.create_index(
        "ix_conversations_waiting",
        "conversations",
        ["workspace_id", "waiting_since", "id"],
        unique=False,
        postgresql_where=sa.text("waiting_since IS NOT NULL"),
    )


def _rewrite(*statements: str) -> None:
    """Change rows of every workspace: their owner, too, is forced under row-level security."""
    for table in ("conversations", "events"):
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    for statement in statements:
        op.execute(statement)
    for table in ("conversations", "events"):
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_index(
        "ix_conversations_waiting", table_name="conversations", postgresql_where=sa.text("waiting_since IS NOT NULL")
    )
    op.drop_index("ix_conversations_active", table_name="conversations")
    op.drop_index("ix_conversations_queue", table_name="conversations")
    op.create_index(
        op.f("ix_conversations_queue"),
        "conversations",
        ["workspace_id", "status", "last_message_at", "id"],
        unique=False,
    )
    op.drop_index("ix_conversations_assigned", table_name="conversations")
    op.create_index(
        op.f("ix_conversations_assigned"),
        "conversations",
        ["workspace_id", "assignee_id", "status", "last_message_at", "id"],
        unique=False,
    )
    _rewrite(
        "UPDATE conversations SET status = CASE status WHEN 'resolved' THEN 'closed' ELSE 'open' END",
        "UPDATE events SET kind = 'conversation.closed' WHERE kind = 'conversation.resolved'",
    )
    op.alter_column("conversations", "resolved_at", new_column_name="closed_at")
    op.drop_column("conversations", "active_at")
    op.drop_column("conversations", "snoozed_until")
    op.drop_column("conversations", "priority")
    op.drop_index(op.f("ix_conversation_tags_workspace_id_key_conversation_id"), table_name="conversation_tags")
    op.drop_table("conversation_tags")
    op.drop_index(op.f("ix_conversation_reads_workspace_id_conversation_id"), table_name="conversation_reads")
    op.drop_table("conversation_reads")
    op.drop_index(op.f("ix_saved_views_workspace_id_agent_id"), table_name="saved_views")
    op.drop_table("saved_views")
    op.drop_table("bulk_changes")
    op.drop_table("tags")
