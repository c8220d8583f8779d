"""knowledge: meaning, files and links of articles; what is asked and not answered"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "help_days",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("readers", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("wrote", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "day", name=op.f("pk_help_days")),
        info={"moves": "stays", "personal": {"nobody": "counts by day"}},
    )
    op.create_table(
        "topic_days",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("times", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("missed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "day", "topic", "language", name=op.f("pk_topic_days")),
        info={"moves": "stays", "personal": {"nobody": "counts by day"}},
    )
    op.create_table(
        "article_files",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("article_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "article_id"],
            ["articles.workspace_id", "articles.id"],
            name=op.f("fk_article_files_workspace_id_article_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_article_files")),
        info={"moves": "stays", "personal": {"nobody": "what the merchant tells everybody"}},
    )
    op.create_index(
        op.f("ix_article_files_workspace_id_article_id"), "article_files", ["workspace_id", "article_id"], unique=False
    )
    op.create_table(
        "article_passages",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("article_id", sa.Uuid(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("vectors", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "article_id"],
            ["articles.workspace_id", "articles.id"],
            name=op.f("fk_article_passages_workspace_id_article_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "article_id", "language", name=op.f("pk_article_passages")),
        info={"moves": "stays", "personal": {"nobody": "what the merchant tells everybody, and its vectors"}},
    )
    op.create_index(
        op.f("ix_article_passages_workspace_id_version"), "article_passages", ["workspace_id", "version"], unique=False
    )
    op.create_table(
        "article_suggestions",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), server_default="", nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default="open", nullable=False),
        sa.Column("article_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_article_suggestions_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_article_suggestions")),
    )
    op.create_index(
        "uq_article_suggestions_conversation", "article_suggestions", ["workspace_id", "conversation_id"], unique=True
    )
    op.add_column(
        "articles",
        sa.Column("links", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("articles", "links")
    op.drop_index("uq_article_suggestions_conversation", table_name="article_suggestions")
    op.drop_table("article_suggestions")
    op.drop_index(op.f("ix_article_passages_workspace_id_version"), table_name="article_passages")
    op.drop_table("article_passages")
    op.drop_index(op.f("ix_article_files_workspace_id_article_id"), table_name="article_files")
    op.drop_table("article_files")
    op.drop_table("topic_days")
    op.drop_table("help_days")
