"""first"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_log",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_access_log")),
    )
    op.create_index("ix_access_log_age", "access_log", ["workspace_id", "created_at"], unique=False)
    op.create_index(
        op.f("ix_access_log_workspace_id_customer_id_created_at"),
        "access_log",
        ["workspace_id", "customer_id", "created_at"],
        unique=False,
    )
    op.create_table(
        "agents",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=True),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("locale", sa.String(), server_default="", nullable=False),
        sa.Column("timezone", sa.String(), server_default="", nullable=False),
        sa.Column("password_hash", sa.String(), server_default="", nullable=False),
        sa.Column("available", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deactivated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_agents")),
        sa.UniqueConstraint("workspace_id", "email", name=op.f("uq_agents_workspace_id_email")),
    )
    op.create_table(
        "connect_grants",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("store_url", sa.String(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("state", sa.String(), server_default="open", nullable=False),
        sa.Column("reason", sa.String(), server_default="", nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_connect_grants")),
    )
    op.create_table(
        "customers",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), server_default="", nullable=False),
        sa.Column("email", sa.String(), server_default="", nullable=False),
        sa.Column("phone", sa.String(), server_default="", nullable=False),
        sa.Column("locale", sa.String(), server_default="", nullable=False),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column("orders_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("first_order_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_order_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("contacted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_activity_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("merged_into", sa.Uuid(), nullable=True),
        sa.Column("anonymised_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "merged_into"],
            ["customers.workspace_id", "customers.id"],
            name=op.f("fk_customers_workspace_id_merged_into"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_customers")),
    )
    op.create_index(
        "ix_customers_list",
        "customers",
        ["workspace_id", sa.literal_column("last_activity_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("merged_into IS NULL"),
    )
    op.create_index(
        op.f("ix_customers_workspace_id_merged_into"),
        "customers",
        ["workspace_id", "merged_into"],
        unique=False,
        postgresql_where=sa.text("merged_into IS NOT NULL"),
    )
    op.create_table(
        "data_keys",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("master", sa.String(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_data_keys")),
    )
    op.create_table(
        "directory",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("kind", "key", "workspace_id", name=op.f("pk_directory")),
        info={"access": "directory"},
    )
    op.create_table(
        "events",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=True),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_events")),
    )
    op.create_index(
        op.f("ix_events_workspace_id_customer_id_at_id"),
        "events",
        ["workspace_id", "customer_id", "at", "id"],
        unique=False,
    )
    op.create_index(op.f("ix_events_workspace_id_kind_at"), "events", ["workspace_id", "kind", "at"], unique=False)
    op.create_index(op.f("ix_events_workspace_id_store_id"), "events", ["workspace_id", "store_id"], unique=False)
    op.create_index(op.f("ix_events_workspace_id_subject_id"), "events", ["workspace_id", "subject_id"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("arguments", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("run_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("unique_key", sa.String(), nullable=True),
        sa.Column("every", sa.Integer(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease", sa.Uuid(), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_jobs")),
        info={"access": "queue", "grants": "SELECT, INSERT, UPDATE, DELETE"},
    )
    op.create_index(
        "ix_jobs_due",
        "jobs",
        ["run_at"],
        unique=False,
        postgresql_where=sa.text("done_at IS NULL AND failed_at IS NULL"),
    )
    op.create_index(
        "uq_jobs_unfinished",
        "jobs",
        ["workspace_id", "unique_key"],
        unique=True,
        postgresql_where=sa.text("done_at IS NULL AND failed_at IS NULL AND unique_key IS NOT NULL"),
    )
    op.create_table(
        "key_checks",
        sa.Column("master", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("master", name=op.f("pk_key_checks")),
        info={"access": "none", "grants": "SELECT, INSERT, DELETE"},
    )
    op.create_table(
        "privacy_requests",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("subject", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.String(), server_default="open", nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_privacy_requests")),
        sa.UniqueConstraint("workspace_id", "fingerprint", name=op.f("uq_privacy_requests_workspace_id_fingerprint")),
    )
    op.create_index(
        op.f("ix_privacy_requests_workspace_id_state_due_at"),
        "privacy_requests",
        ["workspace_id", "state", "due_at"],
        unique=False,
    )
    op.create_table(
        "stores",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("platform", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("status", sa.String(), server_default="connected", nullable=False),
        sa.Column("status_reason", sa.String(), server_default="", nullable=False),
        sa.Column("origins", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("currency", sa.String(), server_default="", nullable=False),
        sa.Column("currency_decimals", sa.Integer(), nullable=True),
        sa.Column("timezone", sa.String(), server_default="UTC", nullable=False),
        sa.Column("locale", sa.String(), server_default="en", nullable=False),
        sa.Column("email", sa.String(), server_default="", nullable=False),
        sa.Column("country", sa.String(), server_default="", nullable=False),
        sa.Column("profiled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("scopes", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("findings", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("embed_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("history_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("history_limited_by", sa.String(), server_default="", nullable=False),
        sa.Column("widget", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("installed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("uninstalled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_stores")),
        sa.UniqueConstraint(
            "workspace_id", "platform", "external_id", name=op.f("uq_stores_workspace_id_platform_external_id")
        ),
        sa.UniqueConstraint("workspace_id", "public_key", name=op.f("uq_stores_workspace_id_public_key")),
    )
    op.create_table(
        "webhook_inbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("store_kind", sa.String(), nullable=False),
        sa.Column("store_key", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("workspace_id", sa.Uuid(), nullable=True),
        sa.Column("store_id", sa.Uuid(), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("parked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_inbox")),
        sa.UniqueConstraint("source", "key", name=op.f("uq_webhook_inbox_source_key")),
        info={"access": "queue", "grants": "SELECT, UPDATE"},
    )
    op.create_index(
        "ix_webhook_inbox_parked",
        "webhook_inbox",
        ["workspace_id", "parked_at"],
        unique=False,
        postgresql_where=sa.text("parked_at IS NOT NULL"),
    )
    op.create_index(
        "ix_webhook_inbox_store",
        "webhook_inbox",
        ["store_key", "id"],
        unique=False,
        postgresql_where=sa.text("done_at IS NULL AND parked_at IS NULL"),
    )
    op.create_index(
        "ix_webhook_inbox_waiting",
        "webhook_inbox",
        ["id"],
        unique=False,
        postgresql_where=sa.text("done_at IS NULL AND parked_at IS NULL"),
    )
    op.create_table(
        "workspaces",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("locale", sa.String(), server_default="en", nullable=False),
        sa.Column("timezone", sa.String(), server_default="UTC", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", name=op.f("pk_workspaces")),
    )
    op.create_table(
        "backfills",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default="running", nullable=False),
        sa.Column("cursor", sa.String(), nullable=True),
        sa.Column("done_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("limited_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("limited_by", sa.String(), server_default="", nullable=False),
        sa.Column("last_error", sa.String(), server_default="", nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_backfills_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_backfills")),
        sa.UniqueConstraint(
            "workspace_id", "store_id", "resource", name=op.f("uq_backfills_workspace_id_store_id_resource")
        ),
    )
    op.create_table(
        "carts",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("version", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("token", sa.String(), server_default="", nullable=False),
        sa.Column("email", sa.String(), server_default="", nullable=False),
        sa.Column("phone", sa.String(), server_default="", nullable=False),
        sa.Column("currency", sa.String(), server_default="", nullable=False),
        sa.Column("exponent", sa.Integer(), server_default=sa.text("2"), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=True),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("recovery_url", sa.String(), server_default="", nullable=False),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "customer_id"],
            ["customers.workspace_id", "customers.id"],
            name=op.f("fk_carts_workspace_id_customer_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_carts_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_carts")),
        sa.UniqueConstraint(
            "workspace_id",
            "store_id",
            "kind",
            "external_id",
            name=op.f("uq_carts_workspace_id_store_id_kind_external_id"),
        ),
    )
    op.create_index(
        "ix_carts_email",
        "carts",
        ["workspace_id", "email"],
        unique=False,
        postgresql_where=sa.text("email <> '' AND completed_at IS NULL"),
    )
    op.create_index(
        op.f("ix_carts_workspace_id_customer_id_version"),
        "carts",
        ["workspace_id", "customer_id", "version"],
        unique=False,
    )
    op.create_index(
        op.f("ix_carts_workspace_id_store_id_token"), "carts", ["workspace_id", "store_id", "token"], unique=False
    )
    op.create_table(
        "customer_merges",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("survivor_id", sa.Uuid(), nullable=False),
        sa.Column("absorbed_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("undone_by", sa.String(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "absorbed_id"],
            ["customers.workspace_id", "customers.id"],
            name=op.f("fk_customer_merges_workspace_id_absorbed_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "survivor_id"],
            ["customers.workspace_id", "customers.id"],
            name=op.f("fk_customer_merges_workspace_id_survivor_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_customer_merges")),
    )
    op.create_index(
        op.f("ix_customer_merges_workspace_id_absorbed_id"),
        "customer_merges",
        ["workspace_id", "absorbed_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_customer_merges_workspace_id_survivor_id"),
        "customer_merges",
        ["workspace_id", "survivor_id"],
        unique=False,
    )
    op.create_table(
        "customer_terms",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("term", sa.String(collation="C"), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "customer_id"],
            ["customers.workspace_id", "customers.id"],
            name=op.f("fk_customer_terms_workspace_id_customer_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "term", "customer_id", "source", name=op.f("pk_customer_terms")),
    )
    op.create_index(
        op.f("ix_customer_terms_workspace_id_customer_id"),
        "customer_terms",
        ["workspace_id", "customer_id"],
        unique=False,
    )
    op.create_table(
        "identities",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.Column("proof", sa.String(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=True),
        sa.Column("proven_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "customer_id"],
            ["customers.workspace_id", "customers.id"],
            name=op.f("fk_identities_workspace_id_customer_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_identities")),
        sa.UniqueConstraint(
            "workspace_id",
            "customer_id",
            "kind",
            "value",
            "store_id",
            name=op.f("uq_identities_workspace_id_customer_id_kind_value_store_id"),
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_index(
        op.f("ix_identities_workspace_id_kind_value"), "identities", ["workspace_id", "kind", "value"], unique=False
    )
    op.create_index(
        op.f("ix_identities_workspace_id_store_id"), "identities", ["workspace_id", "store_id"], unique=False
    )
    op.create_table(
        "invitations",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("invited_by", sa.Uuid(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "invited_by"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_invitations_workspace_id_invited_by"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("workspace_id", "secret_hash", name=op.f("uq_invitations_workspace_id_secret_hash")),
    )
    op.create_table(
        "orders",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("version", sa.DateTime(timezone=True), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("number", sa.String(collation="C"), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("payment_status", sa.String(), nullable=False),
        sa.Column("fulfilment_status", sa.String(), nullable=False),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("exponent", sa.Integer(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("subtotal", sa.BigInteger(), nullable=True),
        sa.Column("shipping_total", sa.BigInteger(), nullable=True),
        sa.Column("discount_total", sa.BigInteger(), nullable=True),
        sa.Column("tax_total", sa.BigInteger(), nullable=True),
        sa.Column("refunded", sa.BigInteger(), nullable=True),
        sa.Column("customer_external_id", sa.String(), server_default="", nullable=False),
        sa.Column("email", sa.String(), server_default="", nullable=False),
        sa.Column("phone", sa.String(), server_default="", nullable=False),
        sa.Column("customer_name", sa.String(), server_default="", nullable=False),
        sa.Column("locale", sa.String(), server_default="", nullable=False),
        sa.Column("payment_method", sa.String(), server_default="", nullable=False),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column("tags", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("shipping_address", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("cart_token", sa.String(), server_default="", nullable=False),
        sa.Column("status_url", sa.String(), server_default="", nullable=False),
        sa.Column("raw", sa.Text(), server_default="{}", nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "customer_id"],
            ["customers.workspace_id", "customers.id"],
            name=op.f("fk_orders_workspace_id_customer_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_orders_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_orders")),
        sa.UniqueConstraint(
            "workspace_id", "store_id", "external_id", name=op.f("uq_orders_workspace_id_store_id_external_id")
        ),
    )
    op.create_index(
        "ix_orders_cart_token",
        "orders",
        ["workspace_id", "store_id", "cart_token"],
        unique=False,
        postgresql_where=sa.text("cart_token <> ''"),
    )
    op.create_index(
        op.f("ix_orders_workspace_id_customer_id_placed_at"),
        "orders",
        ["workspace_id", "customer_id", "placed_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_orders_workspace_id_number"),
        "orders",
        ["workspace_id", "number"],
        unique=False,
        postgresql_where=sa.text("number <> ''"),
    )
    op.create_table(
        "products",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("version", sa.DateTime(timezone=True), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("url", sa.String(), server_default="", nullable=False),
        sa.Column("image_url", sa.String(), server_default="", nullable=False),
        sa.Column("description", sa.String(), server_default="", nullable=False),
        sa.Column("vendor", sa.String(), server_default="", nullable=False),
        sa.Column("product_type", sa.String(), server_default="", nullable=False),
        sa.Column("tags", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("raw", sa.Text(), server_default="{}", nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_products_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_products")),
        sa.UniqueConstraint(
            "workspace_id", "store_id", "external_id", name=op.f("uq_products_workspace_id_store_id_external_id")
        ),
    )
    op.create_table(
        "reconciliations",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("compared_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deep_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_reconciliations_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "store_id", "resource", name=op.f("pk_reconciliations")),
    )
    op.create_table(
        "sessions",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_agent", sa.String(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_sessions_workspace_id_agent_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("workspace_id", "secret_hash", name=op.f("uq_sessions_workspace_id_secret_hash")),
    )
    op.create_table(
        "staff_identities",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_staff_identities_workspace_id_agent_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_staff_identities_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_staff_identities")),
        sa.UniqueConstraint(
            "workspace_id",
            "store_id",
            "external_id",
            name=op.f("uq_staff_identities_workspace_id_store_id_external_id"),
        ),
    )
    op.create_table(
        "store_credentials",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_store_credentials_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "store_id", "kind", name=op.f("pk_store_credentials")),
    )
    op.create_table(
        "store_customers",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.DateTime(timezone=True), nullable=False),
        sa.Column("provisional", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("first_name", sa.String(), server_default="", nullable=False),
        sa.Column("last_name", sa.String(), server_default="", nullable=False),
        sa.Column("email", sa.String(), server_default="", nullable=False),
        sa.Column("phone", sa.String(), server_default="", nullable=False),
        sa.Column("locale", sa.String(), server_default="", nullable=False),
        sa.Column("tags", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column("addresses", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("accepts_marketing", sa.Boolean(), nullable=True),
        sa.Column("platform_created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("spent_amount", sa.BigInteger(), nullable=True),
        sa.Column("spent_currency", sa.String(), server_default="", nullable=False),
        sa.Column("spent_exponent", sa.Integer(), server_default=sa.text("2"), nullable=False),
        sa.Column("orders_count", sa.Integer(), nullable=True),
        sa.Column("raw", sa.Text(), server_default="{}", nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "customer_id"],
            ["customers.workspace_id", "customers.id"],
            name=op.f("fk_store_customers_workspace_id_customer_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_store_customers_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_store_customers")),
        sa.UniqueConstraint(
            "workspace_id", "store_id", "external_id", name=op.f("uq_store_customers_workspace_id_store_id_external_id")
        ),
    )
    op.create_index(
        op.f("ix_store_customers_workspace_id_customer_id"),
        "store_customers",
        ["workspace_id", "customer_id"],
        unique=False,
    )
    op.create_table(
        "tombstones",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("resource", sa.String(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("version", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_tombstones_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_tombstones")),
        sa.UniqueConstraint(
            "workspace_id",
            "store_id",
            "resource",
            "external_id",
            name=op.f("uq_tombstones_workspace_id_store_id_resource_external_id"),
        ),
    )
    op.create_table(
        "visitors",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("identified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("typed_email", sa.String(), server_default="", nullable=False),
        sa.Column("typed_name", sa.String(), server_default="", nullable=False),
        sa.Column("locale", sa.String(), server_default="", nullable=False),
        sa.Column("page", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("cart_token", sa.String(), server_default="", nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "customer_id"],
            ["customers.workspace_id", "customers.id"],
            name=op.f("fk_visitors_workspace_id_customer_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_visitors_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_visitors")),
        sa.UniqueConstraint("workspace_id", "secret_hash", name=op.f("uq_visitors_workspace_id_secret_hash")),
    )
    op.create_index(
        op.f("ix_visitors_workspace_id_customer_id"), "visitors", ["workspace_id", "customer_id"], unique=False
    )
    op.create_index(
        op.f("ix_visitors_workspace_id_store_id_last_seen_at"),
        "visitors",
        ["workspace_id", "store_id", "last_seen_at"],
        unique=False,
    )
    op.create_table(
        "conversations",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=True),
        sa.Column("customer_id", sa.Uuid(), nullable=True),
        sa.Column("visitor_id", sa.Uuid(), nullable=True),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("status", sa.String(), server_default="open", nullable=False),
        sa.Column("assignee_id", sa.Uuid(), nullable=True),
        sa.Column("subject", sa.String(), server_default="", nullable=False),
        sa.Column("preview", sa.String(), server_default="", nullable=False),
        sa.Column("preview_author", sa.String(), server_default="", nullable=False),
        sa.Column("locale", sa.String(), server_default="", nullable=False),
        sa.Column("reply_email", sa.String(), server_default="", nullable=False),
        sa.Column("emailed_seq", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_seq", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_position", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("shopper_read_seq", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("agent_read_seq", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_message_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_replied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "assignee_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_conversations_workspace_id_assignee_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "customer_id"],
            ["customers.workspace_id", "customers.id"],
            name=op.f("fk_conversations_workspace_id_customer_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_conversations_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "visitor_id"],
            ["visitors.workspace_id", "visitors.id"],
            name=op.f("fk_conversations_workspace_id_visitor_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_conversations")),
    )
    op.create_index(
        "ix_conversations_assigned",
        "conversations",
        ["workspace_id", "assignee_id", "status", "last_message_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_conversations_queue", "conversations", ["workspace_id", "status", "last_message_at", "id"], unique=False
    )
    op.create_index(
        op.f("ix_conversations_workspace_id_customer_id_last_message_at"),
        "conversations",
        ["workspace_id", "customer_id", "last_message_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_conversations_workspace_id_store_id_created_at"),
        "conversations",
        ["workspace_id", "store_id", "created_at"],
        unique=False,
    )
    op.create_index(
        op.f("ix_conversations_workspace_id_visitor_id"), "conversations", ["workspace_id", "visitor_id"], unique=False
    )
    op.create_table(
        "fulfilments",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("order_external_id", sa.String(), nullable=False),
        sa.Column("version", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("tracking_number", sa.String(), server_default="", nullable=False),
        sa.Column("tracking_url", sa.String(), server_default="", nullable=False),
        sa.Column("carrier", sa.String(), server_default="", nullable=False),
        sa.Column("shipped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "order_id"],
            ["orders.workspace_id", "orders.id"],
            name=op.f("fk_fulfilments_workspace_id_order_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_fulfilments")),
        sa.UniqueConstraint(
            "workspace_id", "store_id", "external_id", name=op.f("uq_fulfilments_workspace_id_store_id_external_id")
        ),
    )
    op.create_index(
        op.f("ix_fulfilments_workspace_id_order_id"), "fulfilments", ["workspace_id", "order_id"], unique=False
    )
    op.create_index(
        op.f("ix_fulfilments_workspace_id_store_id_order_external_id"),
        "fulfilments",
        ["workspace_id", "store_id", "order_external_id"],
        unique=False,
    )
    op.create_table(
        "order_lines",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("variant_title", sa.String(), server_default="", nullable=False),
        sa.Column("sku", sa.String(), server_default="", nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price", sa.BigInteger(), nullable=True),
        sa.Column("product_external_id", sa.String(), server_default="", nullable=False),
        sa.Column("variant_external_id", sa.String(), server_default="", nullable=False),
        sa.Column("image_url", sa.String(), server_default="", nullable=False),
        sa.Column("refunded_quantity", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "order_id"],
            ["orders.workspace_id", "orders.id"],
            name=op.f("fk_order_lines_workspace_id_order_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "order_id", "external_id", name=op.f("pk_order_lines")),
    )
    op.create_table(
        "refunds",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("order_external_id", sa.String(), nullable=False),
        sa.Column("version", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), server_default="", nullable=False),
        sa.Column("exponent", sa.Integer(), server_default=sa.text("2"), nullable=False),
        sa.Column("reason", sa.String(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "order_id"],
            ["orders.workspace_id", "orders.id"],
            name=op.f("fk_refunds_workspace_id_order_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_refunds")),
        sa.UniqueConstraint(
            "workspace_id", "store_id", "external_id", name=op.f("uq_refunds_workspace_id_store_id_external_id")
        ),
    )
    op.create_index(op.f("ix_refunds_workspace_id_order_id"), "refunds", ["workspace_id", "order_id"], unique=False)
    op.create_index(
        op.f("ix_refunds_workspace_id_store_id_order_external_id"),
        "refunds",
        ["workspace_id", "store_id", "order_external_id"],
        unique=False,
    )
    op.create_table(
        "variants",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("external_id", sa.String(), nullable=False),
        sa.Column("version", sa.DateTime(timezone=True), nullable=False),
        sa.Column("product_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), server_default="", nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), server_default="", nullable=False),
        sa.Column("exponent", sa.Integer(), server_default=sa.text("2"), nullable=False),
        sa.Column("stock", sa.Integer(), nullable=True),
        sa.Column("available", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "product_id"],
            ["products.workspace_id", "products.id"],
            name=op.f("fk_variants_workspace_id_product_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_variants")),
        sa.UniqueConstraint(
            "workspace_id", "store_id", "external_id", name=op.f("uq_variants_workspace_id_store_id_external_id")
        ),
    )
    op.create_index(
        op.f("ix_variants_workspace_id_product_id"), "variants", ["workspace_id", "product_id"], unique=False
    )
    op.create_table(
        "messages",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=True),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("author_name", sa.String(), server_default="", nullable=False),
        sa.Column("kind", sa.String(), server_default="message", nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "agent_id"],
            ["agents.workspace_id", "agents.id"],
            name=op.f("fk_messages_workspace_id_agent_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_messages_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_messages")),
        sa.UniqueConstraint(
            "workspace_id",
            "conversation_id",
            "client_id",
            name=op.f("uq_messages_workspace_id_conversation_id_client_id"),
        ),
        sa.UniqueConstraint(
            "workspace_id", "conversation_id", "seq", name=op.f("uq_messages_workspace_id_conversation_id_seq")
        ),
    )
    op.create_index(op.f("ix_messages_workspace_id_store_id"), "messages", ["workspace_id", "store_id"], unique=False)
    op.create_index("uq_messages_position", "messages", ["workspace_id", "conversation_id", "position"], unique=True)
    op.create_table(
        "attachments",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=True),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("uploader", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("thumbnail", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "conversation_id"],
            ["conversations.workspace_id", "conversations.id"],
            name=op.f("fk_attachments_workspace_id_conversation_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "message_id"],
            ["messages.workspace_id", "messages.id"],
            name=op.f("fk_attachments_workspace_id_message_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_attachments")),
    )
    op.create_index(
        "ix_attachments_loose",
        "attachments",
        ["workspace_id", "uploader", "created_at"],
        unique=False,
        postgresql_where=sa.text("message_id IS NULL"),
    )
    op.create_index(
        op.f("ix_attachments_workspace_id_message_id"), "attachments", ["workspace_id", "message_id"], unique=False
    )
    op.create_index(
        op.f("ix_attachments_workspace_id_store_id"), "attachments", ["workspace_id", "store_id"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_attachments_workspace_id_store_id"), table_name="attachments")
    op.drop_index(op.f("ix_attachments_workspace_id_message_id"), table_name="attachments")
    op.drop_index("ix_attachments_loose", table_name="attachments", postgresql_where=sa.text("message_id IS NULL"))
    op.drop_table("attachments")
    op.drop_index("uq_messages_position", table_name="messages")
    op.drop_index(op.f("ix_messages_workspace_id_store_id"), table_name="messages")
    op.drop_table("messages")
    op.drop_index(op.f("ix_variants_workspace_id_product_id"), table_name="variants")
    op.drop_table("variants")
    op.drop_index(op.f("ix_refunds_workspace_id_store_id_order_external_id"), table_name="refunds")
    op.drop_index(op.f("ix_refunds_workspace_id_order_id"), table_name="refunds")
    op.drop_table("refunds")
    op.drop_table("order_lines")
    op.drop_index(op.f("ix_fulfilments_workspace_id_store_id_order_external_id"), table_name="fulfilments")
    op.drop_index(op.f("ix_fulfilments_workspace_id_order_id"), table_name="fulfilments")
    op.drop_table("fulfilments")
    op.drop_index(op.f("ix_conversations_workspace_id_visitor_id"), table_name="conversations")
    op.drop_index(op.f("ix_conversations_workspace_id_store_id_created_at"), table_name="conversations")
    op.drop_index(op.f("ix_conversations_workspace_id_customer_id_last_message_at"), table_name="conversations")
    op.drop_index("ix_conversations_queue", table_name="conversations")
    op.drop_index("ix_conversations_assigned", table_name="conversations")
    op.drop_table("conversations")
    op.drop_index(op.f("ix_visitors_workspace_id_store_id_last_seen_at"), table_name="visitors")
    op.drop_index(op.f("ix_visitors_workspace_id_customer_id"), table_name="visitors")
    op.drop_table("visitors")
    op.drop_table("tombstones")
    op.drop_index(op.f("ix_store_customers_workspace_id_customer_id"), table_name="store_customers")
    op.drop_table("store_customers")
    op.drop_table("store_credentials")
    op.drop_table("staff_identities")
    op.drop_table("sessions")
    op.drop_table("reconciliations")
    op.drop_table("products")
    op.drop_index(op.f("ix_orders_workspace_id_number"), table_name="orders", postgresql_where=sa.text("number <> ''"))
    op.drop_index(op.f("ix_orders_workspace_id_customer_id_placed_at"), table_name="orders")
    op.drop_index("ix_orders_cart_token", table_name="orders", postgresql_where=sa.text("cart_token <> ''"))
    op.drop_table("orders")
    op.drop_table("invitations")
    op.drop_index(op.f("ix_identities_workspace_id_store_id"), table_name="identities")
    op.drop_index(op.f("ix_identities_workspace_id_kind_value"), table_name="identities")
    op.drop_table("identities")
    op.drop_index(op.f("ix_customer_terms_workspace_id_customer_id"), table_name="customer_terms")
    op.drop_table("customer_terms")
    op.drop_index(op.f("ix_customer_merges_workspace_id_survivor_id"), table_name="customer_merges")
    op.drop_index(op.f("ix_customer_merges_workspace_id_absorbed_id"), table_name="customer_merges")
    op.drop_table("customer_merges")
    op.drop_index(op.f("ix_carts_workspace_id_store_id_token"), table_name="carts")
    op.drop_index(op.f("ix_carts_workspace_id_customer_id_version"), table_name="carts")
    op.drop_index(
        "ix_carts_email", table_name="carts", postgresql_where=sa.text("email <> '' AND completed_at IS NULL")
    )
    op.drop_table("carts")
    op.drop_table("backfills")
    op.drop_table("workspaces")
    op.drop_index(
        "ix_webhook_inbox_waiting",
        table_name="webhook_inbox",
        postgresql_where=sa.text("done_at IS NULL AND parked_at IS NULL"),
    )
    op.drop_index(
        "ix_webhook_inbox_store",
        table_name="webhook_inbox",
        postgresql_where=sa.text("done_at IS NULL AND parked_at IS NULL"),
    )
    op.drop_index(
        "ix_webhook_inbox_parked", table_name="webhook_inbox", postgresql_where=sa.text("parked_at IS NOT NULL")
    )
    op.drop_table("webhook_inbox")
    op.drop_table("stores")
    op.drop_index(op.f("ix_privacy_requests_workspace_id_state_due_at"), table_name="privacy_requests")
    op.drop_table("privacy_requests")
    op.drop_table("key_checks")
    op.drop_index(
        "uq_jobs_unfinished",
        table_name="jobs",
        postgresql_where=sa.text("done_at IS NULL AND failed_at IS NULL AND unique_key IS NOT NULL"),
    )
    op.drop_index("ix_jobs_due", table_name="jobs", postgresql_where=sa.text("done_at IS NULL AND failed_at IS NULL"))
    op.drop_table("jobs")
    op.drop_index(op.f("ix_events_workspace_id_subject_id"), table_name="events")
    op.drop_index(op.f("ix_events_workspace_id_store_id"), table_name="events")
    op.drop_index(op.f("ix_events_workspace_id_kind_at"), table_name="events")
    op.drop_index(op.f("ix_events_workspace_id_customer_id_at_id"), table_name="events")
    op.drop_table("events")
    op.drop_table("directory")
    op.drop_table("data_keys")
    op.drop_index(
        op.f("ix_customers_workspace_id_merged_into"),
        table_name="customers",
        postgresql_where=sa.text("merged_into IS NOT NULL"),
    )
    op.drop_index("ix_customers_list", table_name="customers", postgresql_where=sa.text("merged_into IS NULL"))
    op.drop_table("customers")
    op.drop_table("connect_grants")
    op.drop_table("agents")
    op.drop_index(op.f("ix_access_log_workspace_id_customer_id_created_at"), table_name="access_log")
    op.drop_index("ix_access_log_age", table_name="access_log")
    op.drop_table("access_log")
