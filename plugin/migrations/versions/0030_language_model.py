"""a language model of the merchant's choice"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "model_calls",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("tokens_in", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("tokens_out", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("counted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("cost", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("currency", sa.String(), server_default="", nullable=False),
        sa.Column("milliseconds", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_model_calls")),
        info={"moves": "stays", "personal": {"nobody": "figures of calls; no words, nobody's id"}},
    )
    op.create_index(
        op.f("ix_model_calls_workspace_id_created_at"), "model_calls", ["workspace_id", "created_at"], unique=False
    )
    op.create_table(
        "model_settings",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("endpoint", sa.String(), server_default="", nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=True),
        sa.Column("model", sa.String(), server_default="", nullable=False),
        sa.Column("uses", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("seconds", sa.Integer(), server_default=sa.text("8"), nullable=False),
        sa.Column("tokens_day", sa.BigInteger(), server_default=sa.text("200000"), nullable=False),
        sa.Column("tokens_month", sa.BigInteger(), server_default=sa.text("3000000"), nullable=False),
        sa.Column("currency", sa.String(), server_default="", nullable=False),
        sa.Column("price_in", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("price_out", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("money_day", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("money_month", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("paused_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("trouble", sa.String(), server_default="", nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_model_settings")),
        info={"moves": "stays", "personal": {"nobody": "the merchant's own, with a sealed key"}},
    )
    op.create_table(
        "model_texts",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("words", sa.String(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_model_texts_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "message_id"],
            ["messages.workspace_id", "messages.id"],
            name=op.f("fk_model_texts_workspace_id_message_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_model_texts")),
    )
    op.create_index(
        op.f("ix_model_texts_workspace_id_created_at"), "model_texts", ["workspace_id", "created_at"], unique=False
    )
    op.create_index(
        "uq_model_texts_message",
        "model_texts",
        ["workspace_id", "message_id", "language"],
        unique=True,
        postgresql_where=sa.text("message_id IS NOT NULL"),
    )
    op.create_index(
        "uq_model_texts_summary",
        "model_texts",
        ["workspace_id", "conversation_id", "language"],
        unique=True,
        postgresql_where=sa.text("message_id IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("uq_model_texts_summary", table_name="model_texts", postgresql_where=sa.text("message_id IS NULL"))
    op.drop_index(
        "uq_model_texts_message", table_name="model_texts", postgresql_where=sa.text("message_id IS NOT NULL")
    )
    op.drop_index(op.f("ix_model_texts_workspace_id_created_at"), table_name="model_texts")
    op.drop_table("model_texts")
    op.drop_table("model_settings")
    op.drop_index(op.f("ix_model_calls_workspace_id_created_at"), table_name="model_calls")
    op.drop_table("model_calls")
