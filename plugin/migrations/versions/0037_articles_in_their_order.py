"""help centre: a shelf's articles are read in their order, as many as a page shows"""

from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_articles_workspace_id_collection_id_place_id", "articles", ["workspace_id", "collection_id", "place", "id"]
    )
    op.drop_index("ix_articles_workspace_id_collection_id", table_name="articles")


def downgrade() -> None:
    op.create_index("ix_articles_workspace_id_collection_id", "articles", ["workspace_id", "collection_id"])
    op.drop_index("ix_articles_workspace_id_collection_id_place_id", table_name="articles")
