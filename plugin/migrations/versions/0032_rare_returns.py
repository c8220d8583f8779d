"""returns: which are about these goods or this reason"""

from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_return_lines_product",
        "return_lines",
        ["workspace_id", "product_external_id", "reason", "request_id"],
        unique=False,
    )
    op.create_index("ix_return_lines_reason", "return_lines", ["workspace_id", "reason", "request_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_return_lines_reason", table_name="return_lines")
    op.drop_index("ix_return_lines_product", table_name="return_lines")
