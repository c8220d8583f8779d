"""What follows what: the table that explains the product.

`REACTIONS` names the tasks that run after an event's transaction has committed; each gets `event_id` and `subject_id`.
`TASKS` holds every task by the name that job rows carry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plugin import joining, privacy
from plugin.conversations import (
    clocks,
    conversations,
    delivery,
    links,
    ratings,
    routing,
    starters,
    transcripts,
)
from plugin.crm import actions, backfill, reconcile
from plugin.health import alerts
from plugin.kernel.jobs import Task
from plugin.returns import proof

TASKS: Mapping[str, Task] = {
    "check_store": reconcile.check_store,
    "reconcile_store": reconcile.reconcile_store,
    "start_backfill": backfill.start_backfill,
    "backfill_resource": backfill.backfill_resource,
    "retention": privacy.retention,
    "data_request": privacy.data_request,
    "redact_customer": privacy.redact_customer,
    "redact_store": privacy.redact_store,
    "carry_out": actions.carry_out,
    "move_store": joining.move_store,
    "deliver_reply": delivery.deliver_reply,
    "send_replies": delivery.send_replies,
    "watch_store": alerts.watch_store,
    "mail_alert": alerts.mail_alert,
    "wake_conversation": conversations.wake_conversation,
    "watch_inbox": routing.watch_inbox,
    "reckon_clocks": clocks.reckon_clocks,
    "give_conversation": routing.give_conversation,
    "release_agent": routing.release_agent,
    "plant_macros": starters.plant_macros,
    "ask_rating": ratings.ask_rating,
    "preview_links": links.preview_links,
    "send_transcript": transcripts.send_transcript,
    "send_order_code": proof.send_order_code,
}

REACTIONS: Mapping[str, Sequence[str]] = {
    "store.connected": ("check_store", "start_backfill"),
    "message.sent": ("deliver_reply",),
    "agent.deactivated": ("release_agent",),
    "conversation.resolved": ("ask_rating",),
}
