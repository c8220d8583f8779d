"""Every table of the product in one metadata: for migrations, for row-level security, for the tests of both."""

from plugin import joining, privacy, stores, team, workspaces
from plugin.automations import automation
from plugin.bot import bots, coverage, drift, flow_book, gifts, helping, lessons, models, turns
from plugin.conversations import (
    attachments,
    blocked,
    bulk,
    changes,
    clocks,
    conversations,
    fields,
    letters,
    macros,
    mailboxes,
    mentions,
    merging,
    messages,
    ratings,
    readings,
    search,
    tags,
    teams,
    ties,
    views,
)
from plugin.crm import (
    actions,
    backfill,
    carts,
    consents,
    customers,
    identities,
    notes,
    orders,
    products,
    reconcile,
    terms,
    visitors,
)
from plugin.health import incidents
from plugin.kernel import crypto, events, jobs
from plugin.kernel.db import Base
from plugin.knowledge import articles, extras, importing, meaning, reading
from plugin.knowledge import search as help_search
from plugin.model import calls as model_calls
from plugin.model import settings as model_settings
from plugin.returns import claims, labels, policies, proof, self_service, shipping, withdrawals
from plugin.returns import records as return_records
from plugin.returns import steps as return_steps
from webhooks import inbox

TABLES = (
    actions, articles, attachments, automation, backfill, blocked, bots, bulk, carts, changes, claims, clocks, consents,
    conversations, coverage, crypto, customers, drift, events, extras, fields, flow_book, gifts, help_search, helping,
    identities, importing, inbox, incidents, jobs, joining, labels, lessons, letters, macros, mailboxes, meaning,
    mentions, merging, messages, model_calls, model_settings, models, notes, orders, policies, privacy, products, proof,
    ratings, reading, readings, reconcile, return_records, return_steps, search, self_service, shipping, stores, tags,
    team, teams, terms, ties, turns, views, visitors, withdrawals, workspaces,
)  # fmt: skip

metadata = Base.metadata
