"""Every word the storefront panel says, by the key its modules ask for; frame.html prints the result as JSON.

Plural keys end in a CLDR category (`minutes.few`): the browser's Intl.PluralRules picks the category, the catalogue
gives the form.
"""

from __future__ import annotations

from collections.abc import Callable

#: A number that stands for each CLDR plural category in every language we speak.
SAMPLES = {"zero": 0, "one": 1, "two": 2, "few": 3, "many": 11, "other": 100}


def strings(_: Callable[[str], str], ngettext: Callable[[str, str, int], str]) -> dict[str, str]:
    """The panel's words in the language of the two gettext functions (domain `widget`)."""
    forms: dict[str, Callable[[int], str]] = {
        "minutes": lambda n: ngettext("{count} minute", "{count} minutes", n),
        "hours": lambda n: ngettext("{count} hour", "{count} hours", n),
        "days": lambda n: ngettext("{count} day", "{count} days", n),
        "chat.before": lambda n: ngettext("{count} before you.", "{count} before you.", n),
        "chat.stars": lambda n: ngettext("{count} star", "{count} stars", n),
        "chat.signed": lambda n: ngettext("{count} person", "{count} people", n),
        "home.unread": lambda n: ngettext("{count} new message", "{count} new messages", n),
    }
    words = {
        "title": _("Chat with {shop}"),
        "close": _("Close chat"),
        "home.hello": _("Hello"),
        "home.hello_name": _("Hello, {name}"),
        "home.help": _("How can we help?"),
        "home.chat": _("Chat with us"),
        "home.chat_hint": _("Products, orders, deliveries"),
        "home.resume": _("Your conversation"),
        "home.finished": _("Finished. Writing again opens it."),
        "home.you": _("You: {text}"),
        "home.file": _("Attachment"),
        "home.topics": _("Help topics"),
        "home.topics_hint": _("Answers to what is asked most"),
        "presence.here": _("Here now"),
        "presence.reply": _("Answers in about {time}"),
        "presence.minutes": _("Usually answers within minutes"),
        "presence.hours": _("Usually answers within a few hours"),
        "presence.day": _("Usually answers within a day"),
        "presence.away": _("Away just now"),
        "presence.back": _("Back {time}"),
        "presence.soon": _("The answer comes as soon as we are back"),
        "chat.back": _("Back"),
        "chat.log": _("Messages"),
        "chat.intro": _(
            "Ask about a product, an order or a delivery. The conversation stays here: close it and come back any time."
        ),
        "chat.placeholder": _("Write a message"),
        "chat.full": _("Not all of it fits into one message. Send the rest in a second one."),
        "chat.send": _("Send"),
        "chat.replies": _("Suggested replies"),
        "chat.sending": _("Sending"),
        "chat.closed": _("This chat is closed. The shop's own pages say how else to reach it."),
        "chat.waiting": _("Waiting for a connection"),
        "chat.sent": _("Sent"),
        "chat.seen": _("Seen"),
        "chat.failed": _("Not sent"),
        "chat.retry": _("Try again"),
        "chat.remove": _("Remove"),
        "chat.older": _("Earlier messages"),
        "chat.older_failed": _("Earlier messages could not be loaded. Try again"),
        "chat.down": _("To the latest message"),
        "chat.typing": _("{name} is typing"),
        "chat.today": _("Today"),
        "chat.yesterday": _("Yesterday"),
        "chat.edited": _("Edited"),
        "chat.deleted": _("Message deleted"),
        "chat.order": _("Order {name}"),
        "chat.order_packing": _("Not shipped yet"),
        "chat.order_part": _("Partly shipped"),
        "chat.order_sent": _("Shipped"),
        "chat.order_cancelled": _("Cancelled"),
        "chat.from": _("From {price}"),
        "chat.sign": _("React with an emoji"),
        "chat.emoji": _("Emoji"),
        "chat.told": _("While this is being written, the team can read along."),
        "chat.next": _("You are next."),
        "chat.wait": _("An answer takes about {time}."),
        "chat.rate": _("How was it?"),
        "chat.rated": _("Thank you"),
        "chat.why": _("What should we know? (optional)"),
        "chat.copy": _("Send me a copy by e-mail"),
        "chat.copied": _("A copy goes to {email}"),
        "chat.bot": _("Automatic answer"),
        "chat.you": _("You"),
        "chat.offline": _("No connection. Messages are kept and go out by themselves."),
        "chat.gone": _("The chat of this shop is not available just now."),
        "email.offer": _("We are away. With an e-mail address the answer comes there too."),
        "email.ask": _("We are away. Leave an e-mail address, so that you can be reached."),
        "email.save": _("Save"),
        "email.saved": _("The answer also goes to {email}"),
        "email.kept": _("You can be reached at {email}"),
        "email.invalid": _("This address looks incomplete."),
        "email.failed": _("Not saved. Nothing is lost, please try again."),
        "file.attach": _("Attach a file"),
        "file.large": _("{name} is too large. Up to {size} fits."),
        "file.kind": _("Files like {name} cannot be sent here."),
        "file.many": _("No more files fit into one message."),
        "file.failed": _("{name} was not uploaded."),
        "file.retry": _("Upload {name} again"),
        "file.remove": _("Remove {name}"),
        "file.uploading": _("Uploading {name}"),
        "file.open": _("Open {name}"),
        "file.kb": _("{size} KB"),
        "file.mb": _("{size} MB"),
        "file.drop": _("Drop files to attach them"),
    }
    for key, form in forms.items():
        words |= {f"{key}.{category}": form(number) for category, number in SAMPLES.items()}
    return words


def help_strings(_: Callable[[str], str]) -> dict[str, str]:
    """What the help centre says in the panel; it comes with its topics, when it is first opened."""
    return {
        "help.title": _("Help topics"),
        "help.search": _("What are you looking for?"),
        "help.more": _("More answers"),
        "help.empty": _("There are no articles in this language yet. Ask us, we are glad to help."),
        "help.none": _("Nothing found yet. Try other words, or ask us."),
        "help.failed": _("This could not be loaded. Try again in a moment."),
        "help.ask": _("Chat with us"),
        "help.helped": _("Did this help?"),
        "help.yes": _("Yes"),
        "help.no": _("No"),
        "help.thanks": _("Thank you for telling us."),
        "help.sorry": _("Thank you. Ask us in the chat, we are glad to help."),
    }


def page_strings(_: Callable[[str], str]) -> dict[str, str]:
    """What `page.js` says before its frame is there: what the frame is called, and that it does not come."""
    return {
        "orders": _("Orders & returns"),
        "withdrawal": _("Withdrawal from the contract"),
        "late": _("This part of the page did not load. Load the page once more; nothing is lost."),
    }
