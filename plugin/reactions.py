"""What follows what: the table that explains the product.

`REACTIONS` names the tasks that run after an event's transaction has committed; each gets `event_id` and `subject_id`.
`TASKS` holds every task by the name that job rows carry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plugin import joining, privacy
from plugin.automations import running
from plugin.automations import starters as rule_starters
from plugin.bot import answering, coverage, drafting, gifts, models, solved, teaching
from plugin.conversations import (
    clocks,
    conversations,
    delivery,
    forwarding,
    links,
    ratings,
    routing,
    starters,
    transcripts,
)
from plugin.crm import actions, backfill, reconcile, rereading
from plugin.health import alerts
from plugin.kernel.jobs import Task
from plugin.knowledge import articles, meaning
from plugin.knowledge import search as help_search
from plugin.returns import carrying, labels, proof, self_service, telling, watching, withdrawing

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
    "give_discount": gifts.give_discount,
    "tell_gift": gifts.tell_gift,
    "reread_return": rereading.reread_return,
    "move_store": joining.move_store,
    "deliver_reply": delivery.deliver_reply,
    "send_replies": delivery.send_replies,
    "send_forward": forwarding.send_forward,
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
    "apply_rules": running.apply_rules,
    "watch_rules": running.watch_rules,
    "plant_rules": rule_starters.plant_rules,
    "publish_article": articles.publish_article,
    "index_article": help_search.index_article,
    "embed_article": meaning.embed_article,
    "count_topic": coverage.count_topic,
    "suggest_article": drafting.suggest_article,
    "send_order_code": proof.send_order_code,
    "carry_return": carrying.carry_return,
    "tell_return": telling.tell_return,
    "wake_return": watching.wake_return,
    "follow_store": watching.follow_store,
    "send_withdrawal_receipt": withdrawing.send_withdrawal_receipt,
    "sort_withdrawal": withdrawing.sort_withdrawal,
    "answer_withdrawal": withdrawing.answer_withdrawal,
    "follow_withdrawal": withdrawing.follow_withdrawal,
    "warn_withdrawal": withdrawing.warn_withdrawal,
    "tell_self_service": self_service.tell_self_service,
    "want_label": labels.want_label,
    "buy_label": labels.buy_label,
    "drop_label": labels.drop_label,
    "void_label": labels.void_label,
    "answer_by_bot": answering.answer_by_bot,
    "teach_bot": teaching.teach_bot,
    "keep_bot": teaching.keep_bot,
    "keep_model": models.keep_model,
    "bring_model": models.bring_model,
    "refit_bot": models.refit_bot,
    "bot_by_night": models.bot_by_night,
    "weigh_answer": solved.weigh_answer,
    "weigh_rating": solved.weigh_rating,
    "suggest_phrasing": solved.suggest_phrasing,
    "follow_articles": teaching.follow_articles,
}

REACTIONS: Mapping[str, Sequence[str]] = {
    "store.connected": ("check_store", "start_backfill"),
    "order.acted": ("tell_gift",),
    "order.cancelled": ("follow_withdrawal",),
    "message.received": ("answer_by_bot", "apply_rules"),
    "message.sent": ("deliver_reply", "apply_rules"),
    "message.automatic": ("deliver_reply",),
    "message.told": ("deliver_reply",),
    "agent.deactivated": ("release_agent",),
    "conversation.assigned": ("apply_rules",),
    "conversation.overdue": ("apply_rules",),
    "conversation.pending": ("apply_rules",),
    "conversation.ranked": ("apply_rules",),
    "conversation.rated": ("apply_rules", "weigh_rating"),
    "conversation.reopened": ("apply_rules",),
    "conversation.resolved": ("ask_rating", "apply_rules", "weigh_answer"),
    "conversation.started": ("count_topic",),
    "conversation.tagged": ("apply_rules",),
    "conversation.unattended": ("apply_rules",),
    "conversation.woken": ("apply_rules",),
    "order.act_failed": ("tell_self_service", "tell_gift"),
    "order.act_unsure": ("tell_self_service", "tell_gift"),
    "article.published": ("index_article", "follow_articles", "embed_article"),
    "article.unpublished": ("index_article", "follow_articles", "embed_article"),
    "article.deleted": ("index_article", "follow_articles", "embed_article"),
    "article.restored": ("index_article", "follow_articles", "embed_article"),
    "return.requested": ("follow_store",),
    "return.approved": ("follow_store",),
    "return.declined": ("follow_store",),
    "return.cancelled": ("follow_store",),
    "return.closed": ("follow_store",),
    "return_request.requested": ("tell_return",),
    "return_request.approved": ("tell_return", "want_label"),
    "return_request.declined": ("tell_return", "follow_withdrawal"),
    "return_request.changed": ("tell_return",),
    "return_request.asked": ("tell_return",),
    "return_request.label_sent": ("tell_return",),
    "return_request.in_transit": ("tell_return",),
    "return_request.received": ("tell_return",),
    "return_request.inspected": ("tell_return",),
    "return_request.paid": ("tell_return", "follow_withdrawal"),
    "return_request.closed": ("tell_return", "drop_label", "follow_withdrawal"),
    "return_request.cancelled": ("tell_return", "drop_label", "follow_withdrawal"),
    "return_request.sent_instead": ("tell_return",),
    "return_request.reopened": ("tell_return",),
    "return_request.reminded": ("tell_return",),
}
