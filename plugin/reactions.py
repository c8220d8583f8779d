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
from plugin.crm import actions, backfill, reconcile, rereading
from plugin.health import alerts
from plugin.kernel.jobs import Task
from plugin.returns import carrying, proof, telling, watching

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
    "reread_return": rereading.reread_return,
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
    "carry_return": carrying.carry_return,
    "tell_return": telling.tell_return,
    "wake_return": watching.wake_return,
    "follow_store": watching.follow_store,
}

REACTIONS: Mapping[str, Sequence[str]] = {
    "store.connected": ("check_store", "start_backfill"),
    "message.sent": ("deliver_reply",),
    "message.told": ("deliver_reply",),
    "agent.deactivated": ("release_agent",),
    "conversation.resolved": ("ask_rating",),
    "return.requested": ("follow_store",),
    "return.approved": ("follow_store",),
    "return.declined": ("follow_store",),
    "return.cancelled": ("follow_store",),
    "return.closed": ("follow_store",),
    "return_request.requested": ("tell_return",),
    "return_request.approved": ("tell_return",),
    "return_request.declined": ("tell_return",),
    "return_request.asked": ("tell_return",),
    "return_request.label_sent": ("tell_return",),
    "return_request.in_transit": ("tell_return",),
    "return_request.received": ("tell_return",),
    "return_request.inspected": ("tell_return",),
    "return_request.paid": ("tell_return",),
    "return_request.closed": ("tell_return",),
    "return_request.cancelled": ("tell_return",),
    "return_request.reopened": ("tell_return",),
    "return_request.reminded": ("tell_return",),
}
