"""Every table of the product in one metadata: for migrations, for row-level security, for the tests of both."""

from plugin import joining, privacy, stores, team, workspaces
from plugin.conversations import (
    attachments,
    bulk,
    changes,
    clocks,
    conversations,
    fields,
    letters,
    macros,
    mailboxes,
    mentions,
    messages,
    ratings,
    readings,
    search,
    tags,
    teams,
    views,
)
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
from plugin.returns import policies, proof
from plugin.returns import records as return_records
from plugin.returns import steps as return_steps
from webhooks import inbox

TABLES = (
    actions, attachments, backfill, bulk, carts, changes, clocks, consents, conversations, crypto, customers, events,
    fields, identities, inbox, incidents, jobs, joining, letters, macros, mailboxes, mentions, messages, orders,
    policies, privacy, products, proof, ratings, readings, reconcile, return_records, return_steps, search,
    stores, tags, team, teams, terms, views,
    visitors, workspaces,
)  # fmt: skip

metadata = Base.metadata
