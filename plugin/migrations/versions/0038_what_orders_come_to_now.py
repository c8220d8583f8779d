"""orders: what an order comes to as it stands, beside what all that was ordered did"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("orders", sa.Column("current_total", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("orders", "current_total")
