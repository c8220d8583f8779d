"""what becomes of messages, ratings, rules of the chat"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ratings",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=True),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("score", sa.SmallInteger(), nullable=True),
        sa.Column("comment", sa.String(), server_default="", nullable=False),
        sa.Column("rated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("score BETWEEN 1 AND 5", name=op.f("ck_ratings_score")),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_ratings_workspace_id_agent_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_ratings_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_ratings")),
        sa.UniqueConstraint("workspace_id", "conversation_id", name=op.f("uq_ratings_workspace_id_conversation_id")),
    )
    op.create_index(
        op.f("ix_ratings_workspace_id_agent_id_rated_at"),
        "ratings",
        ["workspace_id", "agent_id", "rated_at"],
        unique=False,
    )
    op.create_index(op.f("ix_ratings_workspace_id_store_id"), "ratings", ["workspace_id", "store_id"], unique=False)
    op.create_table(
        "message_versions",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=True),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_message_versions_workspace_id_agent_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_message_versions_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "message_id"],
            ["messages.workspace_id", "messages.id"],
            name=op.f("fk_message_versions_workspace_id_message_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_message_versions")),
    )
    op.create_index(
        op.f("ix_message_versions_workspace_id_conversation_id"),
        "message_versions",
        ["workspace_id", "conversation_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_message_versions_workspace_id_message_id_id"),
        "message_versions",
        ["workspace_id", "message_id", "id"],
        unique=False,
    )
    op.add_column("messages", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("messages", sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_messages_changed",
        "messages",
        ["workspace_id", "conversation_id", "changed_at"],
        unique=False,
        postgresql_where=sa.text("changed_at IS NOT NULL"),
    )
    op.add_column(
        "workspaces",
        sa.Column("chat", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("workspaces", "chat")
    op.drop_index("ix_messages_changed", table_name="messages", postgresql_where=sa.text("changed_at IS NOT NULL"))
    op.drop_column("messages", "changed_at")
    op.drop_column("messages", "deleted_at")
    op.drop_index(op.f("ix_message_versions_workspace_id_message_id_id"), table_name="message_versions")
    op.drop_index(op.f("ix_message_versions_workspace_id_conversation_id"), table_name="message_versions")
    op.drop_table("message_versions")
    op.drop_index(op.f("ix_ratings_workspace_id_store_id"), table_name="ratings")
    op.drop_index(op.f("ix_ratings_workspace_id_agent_id_rated_at"), table_name="ratings")
    op.drop_table("ratings")
