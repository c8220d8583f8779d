"""who is who"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("changes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("address", sa.String(), server_default="", nullable=False),
        sa.Column("browser", sa.String(), server_default="", nullable=False),
        sa.Column("way", sa.String(), server_default="", nullable=False),
        sa.Column("request_id", sa.String(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_audit_log")),
        info={"grants": "SELECT, INSERT, DELETE", "personal": {"nobody": "the team's own doings"}},
    )
    op.create_index("ix_audit_log_age", "audit_log", ["workspace_id", "created_at"], unique=False)
    op.create_index(
        op.f("ix_audit_log_workspace_id_agent_id_id"), "audit_log", ["workspace_id", "agent_id", "id"], unique=False
    )
    op.create_index(
        op.f("ix_audit_log_workspace_id_topic_id"), "audit_log", ["workspace_id", "topic", "id"], unique=False
    )
    op.create_table(
        "recovery_codes",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_recovery_codes_workspace_id_agent_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_recovery_codes")),
        sa.UniqueConstraint(
            "workspace_id", "agent_id", "code_hash", name=op.f("uq_recovery_codes_workspace_id_agent_id_code_hash")
        ),
        info={"personal": {"nobody": "the team"}},
    )
    op.create_table(
        "second_factors",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_second_factors_workspace_id_agent_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_second_factors")),
        sa.UniqueConstraint("workspace_id", "agent_id", name=op.f("uq_second_factors_workspace_id_agent_id")),
        info={"personal": {"nobody": "the team"}},
    )
    op.create_table(
        "sign_in_identities",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("label", sa.String(), server_default="", nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_sign_in_identities_workspace_id_agent_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_sign_in_identities")),
        sa.UniqueConstraint(
            "workspace_id", "issuer", "subject", name=op.f("uq_sign_in_identities_workspace_id_issuer_subject")
        ),
        info={"personal": {"nobody": "the team"}},
    )
    op.create_table(
        "staff_links",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("invited_by", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_staff_links_workspace_id_agent_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "invited_by"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_staff_links_workspace_id_invited_by"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_staff_links")),
        sa.UniqueConstraint("workspace_id", "agent_id", name=op.f("uq_staff_links_workspace_id_agent_id")),
        info={"personal": {"nobody": "the team"}},
    )
    op.add_column(
        "agents",
        sa.Column("rights", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
    )
    op.add_column(
        "agents", sa.Column("refund_unlimited", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column(
        "agents",
        sa.Column(
            "refund_limits", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
    )
    op.add_column("sessions", sa.Column("address", sa.String(), server_default="", nullable=False))
    op.add_column("sessions", sa.Column("method", sa.String(), server_default="password", nullable=False))
    op.add_column("sessions", sa.Column("second_factor", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column(
        "sessions",
        sa.Column("last_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.add_column(
        "workspaces",
        sa.Column(
            "second_factor_roles",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'"),
            nullable=False,
        ),
    )


def downgrade() -> None:
    op.drop_column("workspaces", "second_factor_roles")
    op.drop_column("sessions", "last_seen_at")
    op.drop_column("sessions", "second_factor")
    op.drop_column("sessions", "method")
    op.drop_column("sessions", "address")
    op.drop_column("agents", "refund_limits")
    op.drop_column("agents", "refund_unlimited")
    op.drop_column("agents", "rights")
    op.drop_table("staff_links")
    op.drop_table("sign_in_identities")
    op.drop_table("second_factors")
    op.drop_table("recovery_codes")
    op.drop_index(op.f("ix_audit_log_workspace_id_topic_id"), table_name="audit_log")
    op.drop_index(op.f("ix_audit_log_workspace_id_agent_id_id"), table_name="audit_log")
    op.drop_index("ix_audit_log_age", table_name="audit_log")
    op.drop_table("audit_log")
