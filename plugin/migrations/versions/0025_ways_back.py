"""ways back"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "return_places",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("line1", sa.String(), server_default="", nullable=False),
        sa.Column("city", sa.String(), server_default="", nullable=False),
        sa.Column("postcode", sa.String(), server_default="", nullable=False),
        sa.Column("country", sa.String(), server_default="", nullable=False),
        sa.Column("hours", sa.String(), server_default="", nullable=False),
        sa.Column("latitude", sa.Double(), nullable=True),
        sa.Column("longitude", sa.Double(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_return_places_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_return_places")),
        info={"personal": {"nobody": "the shop's own addresses"}},
    )
    op.create_index("ix_return_places_store", "return_places", ["workspace_id", "store_id", "kind"], unique=False)
    op.create_table(
        "return_shipping",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("carrier", sa.String(), server_default="", nullable=False),
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("place", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("parcel", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("methods", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("services", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("automatic", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("trouble", sa.String(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "store_id"],
            ["stores.workspace_id", "stores.id"],
            name=op.f("fk_return_shipping_workspace_id_store_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "store_id", name=op.f("pk_return_shipping")),
        info={"personal": {"nobody": "the shop's own way of getting goods back"}},
    )
    op.create_table(
        "return_labels",
        sa.Column("workspace_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("store_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=True),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default="wanted", nullable=False),
        sa.Column("external_id", sa.String(), server_default="", nullable=False),
        sa.Column("rate", sa.String(), server_default="", nullable=False),
        sa.Column("carrier", sa.String(), server_default="", nullable=False),
        sa.Column("service", sa.String(), server_default="", nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), server_default="", nullable=False),
        sa.Column("exponent", sa.Integer(), server_default=sa.text("2"), nullable=False),
        sa.Column("tracking_number", sa.String(), server_default="", nullable=False),
        sa.Column("tracking_url", sa.String(), server_default="", nullable=False),
        sa.Column("url", sa.String(), server_default="", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("said", sa.String(), server_default="", nullable=False),
        sa.Column("code", sa.String(), server_default="", nullable=False),
        sa.Column("stage", sa.String(), server_default="", nullable=False),
        sa.Column("stage_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pickup_id", sa.String(), server_default="", nullable=False),
        sa.Column("pickup_state", sa.String(), server_default="", nullable=False),
        sa.Column("confirmation", sa.String(), server_default="", nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("bought_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace_id", "request_id"],
            ["return_requests.workspace_id", "return_requests.id"],
            name=op.f("fk_return_labels_workspace_id_request_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace_id", "id", name=op.f("pk_return_labels")),
        info={
            "personal": {
                "kept": "the merchant's books: what labels cost",
                "blank": ["tracking_number", "tracking_url", "url", "said", "confirmation"],
                "plain": [
                    "state",
                    "method",
                    "external_id",
                    "rate",
                    "carrier",
                    "service",
                    "currency",
                    "code",
                    "stage",
                    "pickup_id",
                    "pickup_state",
                ],
            }
        },
    )
    op.create_index(
        op.f("ix_return_labels_workspace_id_request_id"), "return_labels", ["workspace_id", "request_id"], unique=False
    )
    op.create_index(
        op.f("ix_return_labels_workspace_id_store_id_external_id"),
        "return_labels",
        ["workspace_id", "store_id", "external_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_return_labels_workspace_id_store_id_tracking_number"),
        "return_labels",
        ["workspace_id", "store_id", "tracking_number"],
        unique=False,
    )
    op.create_index(
        "uq_return_labels_live",
        "return_labels",
        ["workspace_id", "request_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('wanted', 'prepared', 'bought', 'ready', 'unknown')"),
    )
    op.add_column("return_requests", sa.Column("place_id", sa.Uuid(), nullable=True))
    op.add_column("return_requests", sa.Column("slip_file", sa.Uuid(), nullable=True))
    op.add_column("return_requests", sa.Column("pickup_on", sa.Date(), nullable=True))
    op.add_column("return_requests", sa.Column("label_cost", sa.BigInteger(), nullable=True))
    op.add_column("return_requests", sa.Column("label_currency", sa.String(), server_default="", nullable=False))
    op.add_column(
        "return_requests", sa.Column("label_exponent", sa.Integer(), server_default=sa.text("2"), nullable=False)
    )
    op.add_column("return_requests", sa.Column("sent_external_id", sa.String(), server_default="", nullable=False))
    op.add_column("return_requests", sa.Column("sent_name", sa.String(), server_default="", nullable=False))
    op.add_column("return_requests", sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("return_requests", "sent_at")
    op.drop_column("return_requests", "sent_name")
    op.drop_column("return_requests", "sent_external_id")
    op.drop_column("return_requests", "label_exponent")
    op.drop_column("return_requests", "label_currency")
    op.drop_column("return_requests", "label_cost")
    op.drop_column("return_requests", "slip_file")
    op.drop_column("return_requests", "pickup_on")
    op.drop_column("return_requests", "place_id")
    op.drop_index(
        "uq_return_labels_live",
        table_name="return_labels",
        postgresql_where=sa.text("state IN ('wanted', 'prepared', 'bought', 'ready', 'unknown')"),
    )
    op.drop_index(op.f("ix_return_labels_workspace_id_store_id_tracking_number"), table_name="return_labels")
    op.drop_index(op.f("ix_return_labels_workspace_id_store_id_external_id"), table_name="return_labels")
    op.drop_index(op.f("ix_return_labels_workspace_id_request_id"), table_name="return_labels")
    op.drop_table("return_labels")
    op.drop_table("return_shipping")
    op.drop_index("ix_return_places_store", table_name="return_places")
    op.drop_table("return_places")
