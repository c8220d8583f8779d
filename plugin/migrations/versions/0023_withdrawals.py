"""withdrawals"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "withdrawal_statements",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("visitor_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("contract", sa.String(), nullable=False),
        sa.Column("goods", sa.String(), server_default="", nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("receipt", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_withdrawal_statements_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_withdrawal_statements")),
        sa.UniqueConstraint("workspace_id", "reference", name=op.f("uq_withdrawal_statements_workspace_id_reference")),
        sa.UniqueConstraint(
            "workspace_id", "store_id", "visitor_id", "client_id", name="uq_withdrawal_statements_client"
        ),
        info={
            "grants": "SELECT, INSERT, DELETE",
            "personal": {
                "kept": "evidence in a legal claim, kept whole for its time: Regulation (EU) 2016/679, 17(3)(e)",
                "blank": [],
                "plain": [
                    "reference",
                    "name",
                    "contract",
                    "goods",
                    "email",
                    "language",
                    "label",
                    "zone",
                    "subject",
                    "receipt",
                    "digest",
                ],
            },
        },
    )
    op.create_index(
        op.f("ix_withdrawal_statements_workspace_id_created_at"),
        "withdrawal_statements",
        ["workspace_id", "created_at"],
        unique=False,
    )
    op.create_table(
        "withdrawals",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("stage", sa.String(), server_default="open", nullable=False),
        sa.Column("why", sa.String(), server_default="", nullable=False),
        sa.Column("verified", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("exempt", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("unsent", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("pay_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("warned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("receipt_state", sa.String(), server_default="queued", nullable=False),
        sa.Column("receipt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "id"],
            ["withdrawal_statements.workspace_id", "withdrawal_statements.id"],
            name=op.f("fk_withdrawals_workspace_id_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "order_id"],
            ["orders.workspace_id", "orders.id"],
            name=op.f("fk_withdrawals_workspace_id_order_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "request_id"],
            ["return_requests.workspace_id", "return_requests.id"],
            name=op.f("fk_withdrawals_workspace_id_request_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_withdrawals_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_withdrawals")),
        info={
            "personal": {
                "kept": "what became of a statement, without the person",
                "blank": ["note"],
                "plain": ["stage", "why", "receipt_state", "exempt"],
            }
        },
    )
    op.create_index("ix_withdrawals_queue", "withdrawals", ["workspace_id", "stage", "pay_by", "id"], unique=False)
    op.create_index(
        op.f("ix_withdrawals_workspace_id_order_id"), "withdrawals", ["workspace_id", "order_id"], unique=False
    )
    op.create_index(
        op.f("ix_withdrawals_workspace_id_request_id"),
        "withdrawals",
        ["workspace_id", "request_id"],
        unique=False,
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        op.f("ix_withdrawals_workspace_id_request_id"),
        table_name="withdrawals",
        postgresql_where=sa.text("request_id IS NOT NULL"),
    )
    op.drop_index(op.f("ix_withdrawals_workspace_id_order_id"), table_name="withdrawals")
    op.drop_index("ix_withdrawals_queue", table_name="withdrawals")
    op.drop_table("withdrawals")
    op.drop_index(op.f("ix_withdrawal_statements_workspace_id_created_at"), table_name="withdrawal_statements")
    op.drop_table("withdrawal_statements")
