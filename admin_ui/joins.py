"""What the lines between messages say of conversations put together, taken apart and tied, and of who was blocked."""

from __future__ import annotations

from collections.abc import Sequence

from plugin.kernel.events import Event
from plugin.kernel.i18n import Translator
from plugin.kernel.lazy import _
from plugin.kernel.text import isolate

_ENDS = ("conversation.unmerged", "conversation.unsplit")

_MERGED = _("%(name)s put another conversation into this one")
_UNMERGED = _("%(name)s took another conversation out of this one again")
_SPLIT = _("%(name)s split what followed off into a conversation of its own")
_PART = _("%(name)s split this off from another conversation")
_UNSPLIT = _("%(name)s put what was split off back here")
_BLOCKED = _("%(name)s blocked whoever writes here")
_TIED = {
    ("conversation.tied", "order"): _("%(name)s tied this to the order %(what)s"),
    ("conversation.tied", "return"): _("%(name)s tied this to the return %(what)s"),
    ("conversation.untied", "order"): _("%(name)s untied this from the order %(what)s"),
    ("conversation.untied", "return"): _("%(name)s untied this from the return %(what)s"),
}


def happened(t: Translator, event: Event, who: str, others: Sequence[Event]) -> tuple[str, str, str] | None:
    """The words of a join or a block, the conversation it names, and which join can be undone; None: another event."""
    join = str(event.data.get("join", ""))
    undone = any(other.data.get("join") == join and other.kind in _ENDS for other in others) if join else False
    can = "" if undone else join
    other = str(event.data.get("other", ""))
    match event.kind:
        case "conversation.merged":
            return t.gettext(_MERGED, name=who), "", can
        case "conversation.unmerged":
            return t.gettext(_UNMERGED, name=who), other, ""
        case "conversation.split":
            part = bool(event.data.get("part"))
            return t.gettext(_PART if part else _SPLIT, name=who), "" if undone else other, "" if part else can
        case "conversation.unsplit":
            return t.gettext(_UNSPLIT, name=who), "", ""
        case "sender.blocked":
            return t.gettext(_BLOCKED, name=who), "", ""
        case "conversation.tied" | "conversation.untied":
            said = _TIED[event.kind, event.data["what"]]
            return t.gettext(said, name=who, what=isolate(event.data["name"], "ltr")), "", ""
    return None
