"""Every table of the product in one metadata: for migrations, for row-level security, for the tests of both."""

from plugin import joining, privacy, stores, team, workspaces
from plugin.conversations import attachments, bulk, clocks, conversations, messages, tags, teams, views
from plugin.crm import (
    actions,
    backfill,
    carts,
    consents,
    customers,
    identities,
    orders,
    products,
    reconcile,
    terms,
    visitors,
)
from plugin.health import incidents
from plugin.kernel import crypto, events, jobs
from plugin.kernel.db import Base
from webhooks import inbox

TABLES = (
    actions, attachments, backfill, bulk, carts, clocks, consents, conversations, crypto, customers, events, identities,
    inbox, incidents, jobs, joining, messages, orders, privacy, products, reconcile, stores, tags, team, teams, terms,
    views, visitors, workspaces,
)  # fmt: skip

metadata = Base.metadata
