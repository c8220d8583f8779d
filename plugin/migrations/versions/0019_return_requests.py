"""return requests"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "return_requests",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("conversation_id", sa.Uuid(), nullable=True),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), server_default="ahlan", nullable=False),
        sa.Column("asked_by", sa.String(), server_default="shopper", nullable=False),
        sa.Column("state", sa.String(), server_default="requested", nullable=False),
        sa.Column("moves", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stuck", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolution", sa.String(), server_default="", nullable=False),
        sa.Column("policy_version", sa.Uuid(), nullable=True),
        sa.Column("verified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("language", sa.String(), server_default="", nullable=False),
        sa.Column("choice", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("decision", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("review", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("keep", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("pays", sa.String(), server_default="", nullable=False),
        sa.Column("payer_id", sa.Uuid(), nullable=True),
        sa.Column("worth", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("cash", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("credit", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("bonus", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("delivery", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("paid", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), server_default="", nullable=False),
        sa.Column("exponent", sa.Integer(), server_default=sa.text("2"), nullable=False),
        sa.Column("external_id", sa.String(), server_default="", nullable=False),
        sa.Column("name", sa.String(), server_default="", nullable=False),
        sa.Column("method", sa.String(), server_default="", nullable=False),
        sa.Column("carrier", sa.String(), server_default="", nullable=False),
        sa.Column("tracking_number", sa.String(), server_default="", nullable=False),
        sa.Column("tracking_url", sa.String(), server_default="", nullable=False),
        sa.Column("label_file", sa.Uuid(), nullable=True),
        sa.Column("photos", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("why", sa.String(), server_default="", nullable=False),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column("own_words", sa.String(), server_default="", nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("inspected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "order_id"],
            ["orders.workspace_id", "orders.id"],
            name=op.f("fk_return_requests_workspace_id_order_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "policy_version"],
            ["return_policies.workspace_id", "return_policies.id"],
            name=op.f("fk_return_requests_workspace_id_policy_version"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_return_requests_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_return_requests")),
        sa.UniqueConstraint(
            "workspace_id", "store_id", "client_id", name=op.f("uq_return_requests_workspace_id_store_id_client_id")
        ),
        sa.UniqueConstraint(
            "workspace_id", "store_id", "serial", name=op.f("uq_return_requests_workspace_id_store_id_serial")
        ),
        info={
            "personal": {
                "kept": "the merchant's books: what was sent back and what was given for it",
                "blank": ["public_id", "choice", "note", "own_words", "tracking_number", "tracking_url", "photos"],
                "plain": [
                    "origin",
                    "state",
                    "resolution",
                    "decision",
                    "language",
                    "method",
                    "why",
                    "external_id",
                    "name",
                    "carrier",
                    "currency",
                    "pays",
                    "asked_by",
                    "review",
                ],
            }
        },
    )
    op.create_index(
        "ix_return_requests_conversation",
        "return_requests",
        ["workspace_id", "conversation_id"],
        unique=False,
        postgresql_where=sa.text("conversation_id IS NOT NULL"),
    )
    op.create_index("ix_return_requests_newest", "return_requests", ["workspace_id", "moved_at", "id"], unique=False)
    op.create_index(
        "ix_return_requests_open",
        "return_requests",
        ["workspace_id", "moved_at", "id"],
        unique=False,
        postgresql_where=sa.text("state NOT IN ('declined', 'closed', 'cancelled')"),
    )
    op.create_index(
        "ix_return_requests_queue", "return_requests", ["workspace_id", "state", "moved_at", "id"], unique=False
    )
    op.create_index(
        "ix_return_requests_waiting",
        "return_requests",
        ["workspace_id", "waiting_since", "id"],
        unique=False,
        postgresql_where=sa.text("waiting_since IS NOT NULL"),
    )
    op.create_index(
        op.f("ix_return_requests_workspace_id_order_id"), "return_requests", ["workspace_id", "order_id"], unique=False
    )
    op.create_index(
        op.f("ix_return_requests_workspace_id_serial"), "return_requests", ["workspace_id", "serial"], unique=False
    )
    op.create_index(
        "uq_return_requests_external",
        "return_requests",
        ["workspace_id", "store_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id <> ''"),
    )
    op.create_index(
        "uq_return_requests_public",
        "return_requests",
        ["workspace_id", "public_id"],
        unique=True,
        postgresql_where=sa.text("public_id <> ''"),
    )
    op.create_table(
        "return_lines",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("line_external_id", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("variant_title", sa.String(), server_default="", nullable=False),
        sa.Column("sku", sa.String(), server_default="", nullable=False),
        sa.Column("image_url", sa.String(), server_default="", nullable=False),
        sa.Column("product_external_id", sa.String(), server_default="", nullable=False),
        sa.Column("variant_external_id", sa.String(), server_default="", nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("words", sa.String(), server_default="", nullable=False),
        sa.Column("answers", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("goods", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("fee", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("restock", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("damaged", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("missing", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "request_id"],
            ["return_requests.workspace_id", "return_requests.id"],
            name=op.f("fk_return_lines_workspace_id_request_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_return_lines")),
        info={
            "personal": {
                "kept": "the merchant's books: what was sent back, and why",
                "blank": ["words", "answers"],
                "plain": [
                    "line_external_id",
                    "title",
                    "variant_title",
                    "sku",
                    "image_url",
                    "product_external_id",
                    "variant_external_id",
                    "reason",
                ],
            }
        },
    )
    op.create_index("ix_return_lines_request", "return_lines", ["workspace_id", "request_id", "position"], unique=False)
    op.create_table(
        "return_steps",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default="queued", nullable=False),
        sa.Column("wanted", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("quote", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("outcome", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("worth", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), server_default="", nullable=False),
        sa.Column("exponent", sa.Integer(), server_default=sa.text("2"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("tries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("said", sa.String(), server_default="", nullable=False),
        sa.Column("code", sa.String(), server_default="", nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "request_id"],
            ["return_requests.workspace_id", "return_requests.id"],
            name=op.f("fk_return_steps_workspace_id_request_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_return_steps")),
        sa.UniqueConstraint(
            "workspace_id", "request_id", "position", name=op.f("uq_return_steps_workspace_id_request_id_position")
        ),
        info={
            "personal": {
                "kept": "the merchant's books: what the store was told of a return",
                "blank": ["wanted", "quote", "outcome", "said"],
                "plain": ["kind", "state", "currency", "code"],
            }
        },
    )
    op.create_index(
        op.f("ix_return_steps_workspace_id_order_id"), "return_steps", ["workspace_id", "order_id"], unique=False
    )
    op.create_index(
        "uq_return_steps_pay",
        "return_steps",
        ["workspace_id", "request_id"],
        unique=True,
        postgresql_where=sa.text("kind = 'pay' AND state <> 'skipped'"),
    )


def downgrade() -> None:
    op.drop_index(
        "uq_return_steps_pay",
        table_name="return_steps",
        postgresql_where=sa.text("kind = 'pay' AND state <> 'skipped'"),
    )
    op.drop_index(op.f("ix_return_steps_workspace_id_order_id"), table_name="return_steps")
    op.drop_table("return_steps")
    op.drop_index("ix_return_lines_request", table_name="return_lines")
    op.drop_table("return_lines")
    op.drop_index(
        "uq_return_requests_public", table_name="return_requests", postgresql_where=sa.text("public_id <> ''")
    )
    op.drop_index(
        "uq_return_requests_external", table_name="return_requests", postgresql_where=sa.text("external_id <> ''")
    )
    op.drop_index(op.f("ix_return_requests_workspace_id_serial"), table_name="return_requests")
    op.drop_index(op.f("ix_return_requests_workspace_id_order_id"), table_name="return_requests")
    op.drop_index(
        "ix_return_requests_waiting",
        table_name="return_requests",
        postgresql_where=sa.text("waiting_since IS NOT NULL"),
    )
    op.drop_index("ix_return_requests_queue", table_name="return_requests")
    op.drop_index(
        "ix_return_requests_open",
        table_name="return_requests",
        postgresql_where=sa.text("state NOT IN ('declined', 'closed', 'cancelled')"),
    )
    op.drop_index("ix_return_requests_newest", table_name="return_requests")
    op.drop_index(
        "ix_return_requests_conversation",
        table_name="return_requests",
        postgresql_where=sa.text("conversation_id IS NOT NULL"),
    )
    op.drop_table("return_requests")
