"""learning: models of workspaces, weeks of the bot, where lessons come from"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "bot_models",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("contents", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("vectors", sa.LargeBinary(), nullable=False),
        sa.Column("figures", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("compared", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("live_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_bot_models")),
        sa.UniqueConstraint("workspace_id", "number", name=op.f("uq_bot_models_workspace_id_number")),
        info={"moves": "stays", "personal": {"nobody": "ids of lessons, titles of articles, figures"}},
    )
    op.create_index(
        "uq_bot_models_live", "bot_models", ["workspace_id"], unique=True, postgresql_where=sa.text("state = 'live'")
    )
    op.create_table(
        "bot_weeks",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("talks", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("unsure", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("handed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("corrected", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("scores", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("alarms", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_bot_weeks_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "store_id", "week", name=op.f("pk_bot_weeks")),
        info={"personal": {"nobody": "counts by week"}},
    )
    op.add_column("article_suggestions", sa.Column("agent_id", sa.Uuid(), nullable=True))
    op.add_column("article_suggestions", sa.Column("question", sa.String(), server_default="", nullable=False))
    op.add_column("bot_lessons", sa.Column("origin", sa.String(), server_default="", nullable=False))
    op.add_column("bot_lessons", sa.Column("vectors", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("bot_lessons", "vectors")
    op.drop_column("bot_lessons", "origin")
    op.drop_column("article_suggestions", "question")
    op.drop_column("article_suggestions", "agent_id")
    op.drop_table("bot_weeks")
    op.drop_index("uq_bot_models_live", table_name="bot_models", postgresql_where=sa.text("state = 'live'"))
    op.drop_table("bot_models")
