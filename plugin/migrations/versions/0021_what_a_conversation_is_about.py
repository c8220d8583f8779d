"""what a conversation is about"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "conversation_orders",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_conversation_orders_workspace_id_agent_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_conversation_orders_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "order_id"],
            ["orders.workspace_id", "orders.id"],
            name=op.f("fk_conversation_orders_workspace_id_order_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "conversation_id", "order_id", name=op.f("pk_conversation_orders")),
    )
    op.create_index(
        op.f("ix_conversation_orders_workspace_id_agent_id"),
        "conversation_orders",
        ["workspace_id", "agent_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_conversation_orders_workspace_id_order_id"),
        "conversation_orders",
        ["workspace_id", "order_id"],
        unique=False,
    )
    op.create_table(
        "conversation_returns",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("return_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_conversation_returns_workspace_id_agent_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_conversation_returns_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "return_id"],
            ["return_requests.workspace_id", "return_requests.id"],
            name=op.f("fk_conversation_returns_workspace_id_return_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "conversation_id", "return_id", name=op.f("pk_conversation_returns")),
    )
    op.create_index(
        op.f("ix_conversation_returns_workspace_id_agent_id"),
        "conversation_returns",
        ["workspace_id", "agent_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_conversation_returns_workspace_id_return_id"),
        "conversation_returns",
        ["workspace_id", "return_id"],
        unique=False,
    )
    op.create_table(
        "subject_words",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("initial", sa.String(collation="C"), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("term", sa.String(collation="C"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_subject_words_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "initial", "conversation_id", "term", name=op.f("pk_subject_words")),
        info={"moves": "stays"},
    )
    op.create_index(
        op.f("ix_subject_words_workspace_id_conversation_id"),
        "subject_words",
        ["workspace_id", "conversation_id"],
        unique=False,
    )
    # The words of the subjects that there are: the worker makes them, with the other words of these conversations.
    op.execute("ALTER TABLE conversations NO FORCE ROW LEVEL SECURITY")
    op.execute(
        "INSERT INTO search_queue (workspace_id, conversation_id, start) "
        "SELECT workspace_id, id, 0 FROM conversations WHERE subject <> ''"
    )
    op.execute("ALTER TABLE conversations FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_index(op.f("ix_subject_words_workspace_id_conversation_id"), table_name="subject_words")
    op.drop_table("subject_words")
    op.drop_index(op.f("ix_conversation_returns_workspace_id_return_id"), table_name="conversation_returns")
    op.drop_index(op.f("ix_conversation_returns_workspace_id_agent_id"), table_name="conversation_returns")
    op.drop_table("conversation_returns")
    op.drop_index(op.f("ix_conversation_orders_workspace_id_order_id"), table_name="conversation_orders")
    op.drop_index(op.f("ix_conversation_orders_workspace_id_agent_id"), table_name="conversation_orders")
    op.drop_table("conversation_orders")
