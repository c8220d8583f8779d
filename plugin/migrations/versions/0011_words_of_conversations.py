"""words of conversations"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "search_queue",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_queue")),
    )
    op.create_table(
        "conversation_words",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("start", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("words", postgresql.TSVECTOR(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_conversation_words_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "conversation_id", "start", name=op.f("pk_conversation_words")),
        postgresql_with={"toast_tuple_target": 128},
    )
    op.create_index(
        "ix_conversation_words",
        "conversation_words",
        ["words"],
        unique=False,
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    )
    # What was said before there was an index comes into it in the background, the latest first.
    op.execute("ALTER TABLE conversations NO FORCE ROW LEVEL SECURITY")
    op.execute(
        "INSERT INTO search_queue (workspace_id, conversation_id, start) "
        "SELECT workspace_id, id, 0 FROM conversations ORDER BY active_at DESC"
    )
    op.execute("ALTER TABLE conversations FORCE ROW LEVEL SECURITY")


def downgrade() -> None:
    for name in ("said", "unsaid", "changed", "named", "typed"):
        op.execute(f"DROP FUNCTION IF EXISTS ahlan_search_{name} CASCADE")
    op.execute("DROP FUNCTION IF EXISTS ahlan_find")
    op.drop_index("ix_conversation_words", table_name="conversation_words", postgresql_using="gin")
    op.drop_table("conversation_words")
    op.drop_table("search_queue")
