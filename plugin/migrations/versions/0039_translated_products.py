"""products: what the store calls them in other languages"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "products",
        sa.Column(
            "translations",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
    )
    op.add_column("products", sa.Column("translated_version", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("products", "translated_version")
    op.drop_column("products", "translations")
