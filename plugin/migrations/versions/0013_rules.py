"""rules"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rules",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("after", sa.Integer(), nullable=True),
        sa.Column("conditions", sa.String(), server_default="", nullable=False),
        sa.Column("actions", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("stop", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_rules")),
        info={"personal": {"nobody": "what a merchant has done by itself"}},
    )
    op.create_index(op.f("ix_rules_workspace_id_position"), "rules", ["workspace_id", "position"], unique=False)
    op.create_table(
        "rule_runs",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("event_key", sa.String(), nullable=False),
        sa.Column("decided", sa.String(), nullable=True),
        sa.Column("done", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_rule_runs_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "rule_id"],
            ["rules.workspace_id", "rules.id"],
            name=op.f("fk_rule_runs_workspace_id_rule_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_rule_runs")),
        sa.UniqueConstraint(
            "workspace_id",
            "conversation_id",
            "event_key",
            "rule_id",
            name=op.f("uq_rule_runs_workspace_id_conversation_id_event_key_rule_id"),
        ),
        info={"moves": "stays"},
    )
    op.create_index("ix_rule_runs_age", "rule_runs", ["workspace_id", "created_at"], unique=False)
    op.create_index(
        op.f("ix_rule_runs_workspace_id_rule_id_id"), "rule_runs", ["workspace_id", "rule_id", "id"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_rule_runs_workspace_id_rule_id_id"), table_name="rule_runs")
    op.drop_index("ix_rule_runs_age", table_name="rule_runs")
    op.drop_table("rule_runs")
    op.drop_index(op.f("ix_rules_workspace_id_position"), table_name="rules")
    op.drop_table("rules")
