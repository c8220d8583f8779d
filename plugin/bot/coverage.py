"""What shoppers ask and the help centre does not answer: by topic, and as drafts out of what agents answered.

The language process says which of the usual topics a first message is about; the help centre is asked the same question
as a shopper would. Counted by day, nobody is named. A draft is only suggested: somebody reads it and takes it over.
"""

from datetime import date
from uuid import UUID

from sqlalchemy import Date, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from plugin.kernel.db import Base, Tenant, TenantRow, tenant_key
from plugin.kernel.personal import nobody


class TopicDay(Tenant, Base):
    """How often a topic was asked about on a day, and how often no article answered. Topic "": none of the known."""

    __tablename__ = "topic_days"
    __table_args__ = ({"info": {"moves": "stays", **nobody("counts by day")}},)

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    topic: Mapped[str] = mapped_column(primary_key=True)
    language: Mapped[str] = mapped_column(primary_key=True)
    times: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    missed: Mapped[int] = mapped_column(Integer, server_default=text("0"))


class ArticleSuggestion(TenantRow, Base):
    """An article that an answered question could become. `state`: open, taken, dismissed."""

    __tablename__ = "article_suggestions"
    __table_args__ = (
        Index("uq_article_suggestions_conversation", "workspace_id", "conversation_id", unique=True),
        tenant_key("conversation_id", "conversations"),
    )

    conversation_id: Mapped[UUID]
    language: Mapped[str]
    topic: Mapped[str] = mapped_column(server_default="")
    title: Mapped[str]
    body: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="open")
    article_id: Mapped[UUID | None]
