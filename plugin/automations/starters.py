"""The rules that a new workspace begins with. None of them writes to a shopper, deletes or hides anything."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from plugin import workspaces
from plugin.app import App
from plugin.automations import automation, conditions
from plugin.automations.automation import Draft
from plugin.automations.conditions import Key, Term
from plugin.automations.rules import Deed, Do, Trigger
from plugin.kernel.db import Tx
from plugin.kernel.i18n import Catalogues, Translator
from plugin.kernel.lazy import _

# What shoppers write, in every language at once: a shop answers in three, and people mix them.
_Words = Mapping[str, tuple[str, ...]]

THANKS: _Words = {
    "en": (
        "thank you", "thank you so much", "thank you very much", "thanks", "thanks a lot", "many thanks", "thx",
        "ty", "ok", "okay", "great", "perfect", "got it", "very much", "so much", "bye",
    ),
    "ar": (
        "شكرا", "شكرا جزيلا", "شكرا لك", "شكرا لكم", "مشكور", "مشكورين", "تسلم", "تسلمون", "يعطيك العافية",
        "الله يعطيك العافية", "تمام", "ممتاز", "اوكي", "جزاك الله خيرا", "مع السلامة",
    ),
    "he": (
        "תודה", "תודה רבה", "המון תודה", "תודה לכם", "אחלה", "מעולה", "מצוין", "סבבה", "בסדר", "אוקיי", "יום טוב",
    ),
}  # fmt: skip
URGENT: _Words = {
    "en": (
        "urgent", "urgently", "asap", "emergency", "chargeback", "lawyer", "scam", "fraud", "complaint",
        "charged twice",
    ),
    "ar": (
        "عاجل", "مستعجل", "ضروري جدا", "احتيال", "نصابين", "محامي", "شكوى", "خصم مرتين",
    ),
    "he": (
        "דחוף", "בדחיפות", "הונאה", "עורך דין", "תביעה", "תלונה", "חויבתי פעמיים",
    ),
}  # fmt: skip
WHERE: _Words = {
    "en": (
        "where is my order", "where's my order", "where is my package", "where is my parcel", "track my order",
        "tracking number", "order status", "not arrived", "hasn't arrived", "didn't arrive", "not received my order",
        "when will it arrive", "when will my order",
    ),
    "ar": (
        "اين طلبي", "وين طلبي", "فين طلبي", "وين الطلب", "اين الطلب", "وين شحنتي", "اين شحنتي", "متى يوصل",
        "متى يصل", "متى توصل", "لم يصل", "ما وصل", "ما وصلني", "لم يصلني", "ما وصلت", "لم تصل", "تتبع الطلب",
        "تتبع الشحنة", "رقم التتبع", "حالة الطلب",
    ),
    "he": (
        "איפה ההזמנה", "איפה החבילה", "איפה המשלוח", "מתי מגיע", "מתי מגיעה", "מתי יגיע", "מתי תגיע", "לא הגיע",
        "לא הגיעה", "לא קיבלתי", "מספר מעקב", "מעקב משלוח", "סטטוס הזמנה", "מה קורה עם ההזמנה",
    ),
}  # fmt: skip
BEFORE_IT_LEAVES: _Words = {
    "en": (
        "cancel my order", "cancel the order", "cancel order", "change the address", "wrong address",
        "change my order", "wrong size",
    ),
    "ar": (
        "الغاء الطلب", "الغاء طلبي", "الغي الطلب", "الغوا الطلب", "تغيير العنوان", "اغير العنوان", "عنوان خطا",
        "تعديل الطلب",
    ),
    "he": (
        "לבטל את ההזמנה", "ביטול הזמנה", "לבטל הזמנה", "לשנות כתובת", "לשנות את הכתובת", "כתובת שגויה",
        "לשנות את ההזמנה",
    ),
}  # fmt: skip
ADVERTISING: _Words = {
    "en": (
        "seo services", "guest post", "backlinks", "link building", "rank your website", "first page of google",
        "website redesign", "increase your traffic", "web design services", "lead generation services",
    ),
    "ar": (
        "خدمات سيو", "تحسين محركات البحث", "زيادة متابعين",
    ),
    "he": (
        "קידום אתרים", "קישורים נכנסים",
    ),
}  # fmt: skip


def starters(t: Translator) -> list[Draft]:
    """The set, named in the language of the workspace. Pure."""

    def tag(name: str) -> Deed:
        return Deed(Do.TAG, t.gettext(name))

    def say(key: Key, phrases: _Words) -> Term:
        """The workspace's own language first: whoever opens the rule reads its beginning."""
        return _any(
            key, *(phrase for code in sorted(phrases, key=lambda one: one != t.locale) for phrase in phrases[code])
        )

    high = Deed(Do.PRIORITY, "high")
    below_high = conditions.term(Key.PRIORITY, ["<high"])
    return [
        Draft(
            t.gettext(_("A mere thank-you opens nothing again")),
            Trigger.RECEIVED,
            (_any(Key.BEFORE, "resolved"), say(Key.ONLY, THANKS)),
            (Deed(Do.STATUS, "resolved"),),
            stop=True,
        ),
        Draft(
            t.gettext(_("Advertising goes to the end")),
            Trigger.STARTED,
            (_any(Key.KNOWN, "no"), _any(Key.CHANNEL, "email"), say(Key.SAYS, ADVERTISING)),
            (tag(_("advertising")), Deed(Do.PRIORITY, "low")),
            stop=True,
        ),
        Draft(
            t.gettext(_("Where is my order?")),
            Trigger.RECEIVED,
            (say(Key.SAYS, WHERE),),
            (tag(_("where is my order")),),
        ),
        Draft(
            t.gettext(_("Urgent words first")),
            Trigger.RECEIVED,
            (say(Key.SAYS, URGENT), below_high),
            (high, tag(_("urgent"))),
        ),
        Draft(
            t.gettext(_("To change or cancel before it leaves")),
            Trigger.RECEIVED,
            (say(Key.SAYS, BEFORE_IT_LEAVES), _any(Key.ORDER, "unshipped")),
            (high, tag(_("before it leaves"))),
        ),
        Draft(
            t.gettext(_("Whose order is late comes first")),
            Trigger.STARTED,
            (_any(Key.ORDER, "late", "failed"), below_high),
            (high, tag(_("late order"))),
        ),
        Draft(t.gettext(_("VIP customers first")), Trigger.STARTED, (_any(Key.CUSTOMER, "vip"), below_high), (high,)),
        Draft(t.gettext(_("Loyal customers first")), Trigger.STARTED, (_any(Key.ORDERS, ">=5"), below_high), (high,)),
        Draft(
            t.gettext(_("A low rating is looked at again")),
            Trigger.RATED,
            (_any(Key.RATING, "<=2"),),
            (tag(_("unhappy")), Deed(Do.STATUS, "open")),
        ),
        Draft(
            t.gettext(_("Who has waited for a day comes first")),
            Trigger.WAITS,
            (below_high,),
            (high,),
            after=timedelta(days=1),
        ),
        Draft(
            t.gettext(_("No answer to us for four days: resolved")),
            Trigger.SILENT,
            (_any(Key.STATUS, "pending"),),
            (Deed(Do.STATUS, "resolved"),),
            after=timedelta(days=4),
        ),
    ]


def _any(key: Key, *values: str) -> Term:
    return conditions.term(key, values)


async def plant(tx: Tx, catalogues: Catalogues) -> int:
    """Write the set where there has never been a rule. Returns how many were written."""
    workspace = await workspaces.current(tx)
    return await automation.plant(tx, starters(catalogues.translator(workspace.locale if workspace else "")))


async def plant_rules(app: App, workspace_id: UUID) -> None:
    """Task: a new workspace begins with the starter set, switched on."""
    async with app.db.transaction(workspace_id) as tx:
        await plant(tx, app.catalogues)
        await tx.complete_job()
