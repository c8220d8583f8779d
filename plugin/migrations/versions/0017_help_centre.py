"""help centre"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "article_imports",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("items", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("report", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_article_imports")),
        info={"moves": "stays", "personal": {"nobody": "what the merchant tells everybody"}},
    )
    op.create_table(
        "help_collections",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("names", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("words", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_help_collections")),
        sa.UniqueConstraint("workspace_id", "slug", name=op.f("uq_help_collections_workspace_id_slug")),
        info={"moves": "stays", "personal": {"nobody": "what the merchant tells everybody"}},
    )
    op.create_table(
        "help_searches",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("said", sa.String(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "day", "language", "key", name=op.f("pk_help_searches")),
        info={"moves": "stays", "personal": {"nobody": "what is looked for, without who, addresses and numbers"}},
    )
    op.create_table(
        "articles",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("source_language", sa.String(), nullable=False),
        sa.Column("collection_id", sa.Uuid(), nullable=True),
        sa.Column("store_id", sa.Uuid(), nullable=True),
        sa.Column("place", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("related", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("origin", sa.String(), server_default="", nullable=False),
        sa.Column("imported", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("starter", sa.String(), server_default="", nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "collection_id"],
            ["help_collections.workspace_id", "help_collections.id"],
            name=op.f("fk_articles_workspace_id_collection_id"),
            ondelete="NO ACTION",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_articles")),
        info={"moves": "stays", "personal": {"nobody": "what the merchant tells everybody"}},
    )
    op.create_index(
        op.f("ix_articles_workspace_id_collection_id"), "articles", ["workspace_id", "collection_id"], unique=False
    )
    op.create_index(
        "uq_articles_origin",
        "articles",
        ["workspace_id", "origin"],
        unique=True,
        postgresql_where=sa.text("origin <> ''"),
    )
    op.create_table(
        "article_days",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("article_id", sa.Uuid(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("reads", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("helped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "article_id"],
            ["articles.workspace_id", "articles.id"],
            name=op.f("fk_article_days_workspace_id_article_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "article_id", "language", "day", name=op.f("pk_article_days")),
        info={"moves": "stays", "personal": {"nobody": "counts by day"}},
    )
    op.create_table(
        "article_reasons",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("article_id", sa.Uuid(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "article_id"],
            ["articles.workspace_id", "articles.id"],
            name=op.f("fk_article_reasons_workspace_id_article_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_article_reasons")),
        info={
            "moves": "stays",
            "personal": {"nobody": "what a text lacks, from nobody in particular, without addresses and numbers"},
        },
    )
    op.create_table(
        "article_terms",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("term", sa.String(collation="C"), nullable=False),
        sa.Column("article_id", sa.Uuid(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("weight", sa.REAL(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "article_id"],
            ["articles.workspace_id", "articles.id"],
            name=op.f("fk_article_terms_workspace_id_article_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "term", "article_id", "language", name=op.f("pk_article_terms")),
        info={"moves": "stays", "personal": {"nobody": "words of what the merchant tells everybody"}},
    )
    op.create_table(
        "article_texts",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("article_id", sa.Uuid(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("slug", sa.String(), nullable=False),
        sa.Column("former", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("published", sa.Integer(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("publish_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("source_version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("shown", sa.String(), server_default="", nullable=False),
        sa.Column("html", sa.String(), server_default="", nullable=False),
        sa.Column("edited_by", sa.Uuid(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "article_id"],
            ["articles.workspace_id", "articles.id"],
            name=op.f("fk_article_texts_workspace_id_article_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "article_id", "language", name=op.f("pk_article_texts")),
        sa.UniqueConstraint(
            "workspace_id", "language", "slug", name=op.f("uq_article_texts_workspace_id_language_slug")
        ),
        info={"moves": "stays", "personal": {"nobody": "what the merchant tells everybody"}},
    )
    op.create_table(
        "article_versions",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("article_id", sa.Uuid(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("body", sa.String(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "article_id"],
            ["articles.workspace_id", "articles.id"],
            name=op.f("fk_article_versions_workspace_id_article_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "article_id", "language", "number", name=op.f("pk_article_versions")),
        info={"moves": "stays", "personal": {"nobody": "what the merchant tells everybody"}},
    )


def downgrade() -> None:
    op.drop_table("article_versions")
    op.drop_table("article_texts")
    op.drop_table("article_terms")
    op.drop_table("article_reasons")
    op.drop_table("article_days")
    op.drop_index("uq_articles_origin", table_name="articles", postgresql_where=sa.text("origin <> ''"))
    op.drop_index(op.f("ix_articles_workspace_id_collection_id"), table_name="articles")
    op.drop_table("articles")
    op.drop_table("help_searches")
    op.drop_table("help_collections")
    op.drop_table("article_imports")
