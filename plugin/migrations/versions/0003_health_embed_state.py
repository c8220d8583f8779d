"""health, embed state"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "incidents",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recovered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_incidents_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_incidents")),
    )
    op.create_index(
        op.f("ix_incidents_workspace_id_store_id_opened_at"),
        "incidents",
        ["workspace_id", "store_id", "opened_at"],
        unique=False,
    )
    op.create_index(
        "uq_incidents_open",
        "incidents",
        ["workspace_id", "store_id", "code"],
        unique=True,
        postgresql_where=sa.text("recovered_at IS NULL"),
    )
    op.create_table(
        "incident_mails",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_to", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "incident_id"],
            ["incidents.workspace_id", "incidents.id"],
            name=op.f("fk_incident_mails_workspace_id_incident_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_incident_mails")),
        sa.UniqueConstraint(
            "workspace_id", "incident_id", "kind", name=op.f("uq_incident_mails_workspace_id_incident_id_kind")
        ),
    )
    op.create_index(op.f("ix_incident_mails_workspace_id_at"), "incident_mails", ["workspace_id", "at"], unique=False)
    op.add_column("agents", sa.Column("alerts", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column("stores", sa.Column("embed_active", sa.Boolean(), nullable=True))
    op.create_index(
        "ix_webhook_inbox_done",
        "webhook_inbox",
        ["store_id", "received_at"],
        unique=False,
        postgresql_where=sa.text("done_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_webhook_inbox_done", table_name="webhook_inbox", postgresql_where=sa.text("done_at IS NOT NULL"))
    op.drop_column("stores", "embed_active")
    op.drop_column("agents", "alerts")
    op.drop_index(op.f("ix_incident_mails_workspace_id_at"), table_name="incident_mails")
    op.drop_table("incident_mails")
    op.drop_index("uq_incidents_open", table_name="incidents", postgresql_where=sa.text("recovered_at IS NULL"))
    op.drop_index(op.f("ix_incidents_workspace_id_store_id_opened_at"), table_name="incidents")
    op.drop_table("incidents")
