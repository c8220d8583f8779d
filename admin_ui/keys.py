"""The keys of the panel: this table is what the page binds (static/keys.js reads it) and what the list of ? shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from plugin.conversations.changes import SIGNS
from plugin.kernel.lazy import Lazy, _


@dataclass(frozen=True, slots=True)
class Key:
    """One shortcut. `act` names what static/keys.js does; `shown` is printed.

    `codes` are places on the keyboard (KeyboardEvent.code), not letters: j is j on an Arabic and a Hebrew keyboard too;
    two of them are pressed one after the other, and of one with | between its names any will do. `signs` are characters
    instead, wherever a keyboard has them. `needs` is what must be on the page, as a selector: without it the key does
    nothing and is not listed.
    """

    act: str
    shown: Sequence[str]
    says: Lazy
    codes: Sequence[str] = ()
    signs: str = ""
    needs: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Keys that belong together. `writing`: they hold in the reply box, the others outside of fields."""

    name: Lazy
    keys: Sequence[Key]
    writing: bool = False


_ROW, _TALK = ".row", "#thread[data-conversation]"
_MESSAGE, _TOOLS, _NOTE = "#messages > .message", "#messages .tools", "#notes li"
_WORDS = "form[data-words-of]"
_SIGN = "|".join(f"Digit{number}" for number in range(1, len(SIGNS) + 1))

KEYS: Sequence[Group] = (
    Group(
        _("The list"),
        (
            Key("next", ("j",), _("Next conversation"), ("KeyJ",), needs=_ROW),
            Key("previous", ("k",), _("Previous conversation"), ("KeyK",), needs=_ROW),
            Key("pick", ("x",), _("Choose the conversation for a change to many"), ("KeyX",), needs=".row-pick"),
            Key("filter", ("f",), _("Search or filter the list"), ("KeyF",), needs="#find"),
            Key("views", ("v",), _("Choose another list"), ("KeyV",), needs="#views"),
            Key("back", ("u",), _("Back to the list"), ("KeyU",), needs="#thread .back"),
        ),
    ),
    Group(
        _("The conversation"),
        (
            Key("reply", ("r",), _("Write a reply"), ("KeyR",), needs="#composer [value=reply]"),
            Key("note", ("n",), _("Write a note"), ("KeyN",), needs="#composer [value=note]"),
            Key("macro", ("m",), _("Reply with a macro"), ("KeyM",), needs="#composer [value=reply]"),
            Key("take", ("a",), _("Take the conversation"), ("KeyA",), needs="#assign"),
            Key("assign", ("i",), _("Give it to somebody"), ("KeyI",), needs="#assign"),
            Key("turn", ("e",), _("Resolve the conversation, or open it again"), ("KeyE",), needs="#turn"),
            Key("wait", ("w",), _("Wait for the customer"), ("KeyW",), needs="#more [value=pending]"),
            Key("snooze", ("s",), _("Snooze the conversation"), ("KeyS",), needs="#snooze"),
            Key("spam", ("!",), _("Mark as spam"), signs="!", needs="#more [value=spam]"),
            Key("priority", ("p",), _("Change the priority"), ("KeyP",), needs="#priority"),
            Key("tag", ("t",), _("Add a tag"), ("KeyT",), needs="#tag"),
            Key("subject", ("b",), _("Say what it is about"), ("KeyB",), needs=".titling #subject"),
            Key("older", ("o",), _("Show earlier messages"), ("KeyO",), needs="[data-older]"),
            Key("order", ("d",), _("Act on the latest order"), ("KeyD",), needs=".act-open [data-act]"),
            Key("forward", ("y",), _("Forward it by e-mail"), ("KeyY",), needs="#composer [value=forward]"),
            Key("merge", ("q",), _("Merge it with another"), ("KeyQ",), needs="#merge-open"),
            Key("tie", (";", "o"), _("Tie to an order or a return"), ("Semicolon", "KeyO"), needs="#tie-open"),
            Key("menu", ("l",), _("Show what else can be done with it"), ("KeyL",), needs="#more"),
            Key("attach", ("h",), _("Attach a file"), ("KeyH",), needs="[data-attach]"),
            Key("customer", ("c",), _("The customer beside it"), ("KeyC",), needs=_TALK),
        ),
    ),
    Group(
        _("One message, one note"),
        (
            Key("earlier", (",",), _("Mark the message before"), ("Comma",), needs=_MESSAGE),
            Key("later", (".",), _("Mark the message behind"), ("Period",), needs=_MESSAGE),
            Key(
                "sign",
                ("1", "…", str(len(SIGNS))),
                _("React to it with an emoji, or take it off"),
                (_SIGN,),
                needs=_TOOLS,
            ),
            Key("edit", (";", "e"), _("Edit"), ("Semicolon", "KeyE"), needs=f"{_TOOLS}, {_NOTE} button"),
            Key("delete", (";", "d"), _("Delete"), ("Semicolon", "KeyD"), needs=f"{_TOOLS}, {_NOTE} button"),
            Key("restore", (";", "b"), _("Bring back"), ("Semicolon", "KeyB"), needs=_TOOLS),
            Key("split", (";", "s"), _("Split from here"), ("Semicolon", "KeyS"), needs=_TOOLS),
            Key("forward_one", (";", "f"), _("Forward it alone"), ("Semicolon", "KeyF"), needs=_TOOLS),
            Key("tools", (";", "m"), _("What to do with this message"), ("Semicolon", "KeyM"), needs=_TOOLS),
            Key("notes", (";", "k"), _("Mark a note on the customer"), ("Semicolon", "KeyK"), needs=_NOTE),
            Key("note_new", (";", "n"), _("A note on this customer"), ("Semicolon", "KeyN"), needs="#note-new"),
        ),
    ),
    Group(
        _("While writing"),
        (
            Key("send", ("Ctrl", "Enter"), _("Send"), needs="#composer"),
            Key("macro_here", ("/",), _("Put in a macro"), signs="/", needs="#composer [value=reply]"),
            Key("mention", ("@",), _("Mention a colleague, in a note"), signs="@", needs="#composer"),
            Key("save_words", ("Ctrl", "S"), _("Save the article"), needs=_WORDS),
            Key("bold_words", ("Ctrl", "B"), _("Bold"), needs=_WORDS),
            Key("slanted_words", ("Ctrl", "I"), _("Italic"), needs=_WORDS),
            Key("link_words", ("Ctrl", "K"), _("A link"), needs=_WORDS),
            Key("leave", ("Esc",), _("Leave the box; what was written stays"), needs="#composer"),
        ),
        writing=True,
    ),
    Group(
        _("Everywhere"),
        (
            Key("home", ("g", "h"), _("Go to the first page"), ("KeyG", "KeyH")),
            Key("inbox", ("g", "i"), _("Go to the inbox"), ("KeyG", "KeyI")),
            Key("visitors", ("g", "v"), _("Go to the visitors"), ("KeyG", "KeyV")),
            Key("customers", ("g", "c"), _("Go to the customers"), ("KeyG", "KeyC")),
            Key("help", ("g", "a"), _("Go to the help centre"), ("KeyG", "KeyA")),
            Key("stores", ("g", "s"), _("Go to the stores"), ("KeyG", "KeyS")),
            Key("reports", ("g", "r"), _("Go to the reports"), ("KeyG", "KeyR"), needs="[data-nav$='/reports']"),
            Key("team", ("g", "t"), _("Go to the team"), ("KeyG", "KeyT")),
            Key("settings", ("g", "e"), _("Go to the settings"), ("KeyG", "KeyE")),
            Key("find", ("Ctrl", "K"), _("Search all conversations, from anywhere")),
            Key("search", ("/",), _("Search customers"), signs="/"),
            Key("undo", ("z",), _("Undo what was just done"), ("KeyZ",), needs=".toast [data-undo]"),
            Key("keys", ("?",), _("This list"), signs="?"),
        ),
    ),
)
