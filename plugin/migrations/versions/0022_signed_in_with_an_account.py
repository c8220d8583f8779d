"""signed in with an account"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("visitors", sa.Column("signed_in_until", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("visitors", "signed_in_until")
