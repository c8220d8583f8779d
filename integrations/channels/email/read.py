"""A mail as it came, read: RFC 5322 and MIME as programs really write them. Pure; nothing that comes in raises.

The headers are decoded here and not by the standard library's own policy, which refuses some of what exists and
believes every charset it is told.
"""

from __future__ import annotations

import email.message
import email.parser
import email.policy
import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from email.header import decode_header
from email.utils import getaddresses

from integrations.channels.email import charsets, markup, quotes
from plugin.channel import Automatic, Inbound, Part
from plugin.kernel.text import normalise_email

MAX_PARTS = 100
MAX_TEXT = 200_000
_ID = re.compile(r"<\s*([^<>\s\x00-\x1f\x7f]{1,250})\s*>")
_SPACE = re.compile(r"\s+")
_ADDRESSES = 20_000
_COMMENTS = 20
_NO_COMMENTS = {ord("("): " ", ord(")"): " "}
_DAEMONS = ("mailer-daemon@", "postmaster@")
_STATUS = re.compile(r"^(?:Status|Diagnostic-Code):\s*(.+)$", re.MULTILINE | re.IGNORECASE)
_RETURNED = re.compile(r"^message-id:\s*<\s*([^<>\s\x00-\x1f\x7f]{1,250})\s*>", re.MULTILINE | re.IGNORECASE)
_RECIPIENT = re.compile(r"^Final-Recipient:\s*[^;]*;\s*(\S+)", re.MULTILINE | re.IGNORECASE)

Message = email.message.Message


def parse(raw: bytes) -> Inbound:
    """Read one mail. What cannot be read of it is left out, never guessed."""
    try:
        return _parsed(raw, email.parser.BytesParser(policy=email.policy.compat32).parsebytes(raw))
    except RecursionError:
        # Parts within parts, far beyond what any program makes: its head is read, the rest comes as a file.
        head = email.parser.BytesHeaderParser(policy=email.policy.compat32).parsebytes(raw.partition(b"\n\n")[0])
        del head["content-type"]
        return replace(_parsed(raw, head), parts=(Part("mail.txt", raw),))


def _parsed(raw: bytes, mail: Message) -> Inbound:
    sender_name, sender = _sender(mail)
    plain, html, parts, failure = _bodies(mail)
    shown, remote = markup.clean(html) if html else ("", 0)
    said = quotes.split(plain or markup.as_text(html))
    ids = _ID.findall(_header(mail, "message-id"))
    automatic = _automatic(mail, sender)
    return Inbound(
        external_id=ids[0] if ids else f"{hashlib.sha256(raw).hexdigest()[:40]}@without-id.invalid",
        sender=sender,
        sender_name=sender_name,
        subject=_line(_header(mail, "subject")),
        text=said.text[:MAX_TEXT],
        folded=said.folded[:MAX_TEXT],
        html=shown,
        remote_images=remote,
        recipients=_recipients(mail),
        in_reply_to=next(iter(_ID.findall(_header(mail, "in-reply-to"))), ""),
        references=[*_ID.findall(_header(mail, "references"))[-50:], *_returned(mail, automatic)],
        parts=parts,
        automatic=automatic,
        failed=failure if automatic is Automatic.BOUNCE else "",
        trusted_by=_authenticated(mail, sender.rpartition("@")[2]),
    )


def _returned(mail: Message, automatic: Automatic) -> list[str]:
    """The mail that came back: reports carry it, or its headers, as their last part (RFC 3462)."""
    if automatic is not Automatic.BOUNCE:
        return []
    text = ""
    for number, part in enumerate(mail.walk()):
        if number < MAX_PARTS and part.get_content_type() in ("message/rfc822", "text/rfc822-headers"):
            text = part.as_string() if part.is_multipart() else str(part.get_payload())
    return [found[1] for found in _RETURNED.finditer(text[:MAX_TEXT])][:1]


# Headers


def _raw(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")


def _values(mail: Message, name: str) -> list[str]:
    """A header as it came: the usual ways to ask replace what is not ASCII."""
    return [str(value) for key, value in mail.raw_items() if key.lower() == name][:20]


def _header(mail: Message, name: str) -> str:
    """A header's words; all of them if it stands there more than once."""
    return " ".join(_decoded(value) for value in _values(mail, name))


def _decoded(text: str) -> str:
    if any("\udc80" <= character <= "\udcff" for character in text):
        # Eight-bit bytes where only encoded words are allowed.
        text = charsets.decode(_raw(text))
    if "=?" not in text:
        return text
    try:
        pieces = decode_header(text)
    except Exception:
        # Broken base64, unknown encodings: the words as they stand say more than nothing.
        return text
    return "".join(
        piece if isinstance(piece, str) else charsets.decode(piece, charset or "") for piece, charset in pieces
    )


def _line(text: str) -> str:
    return _SPACE.sub(" ", "".join(c for c in text if c.isprintable() or c.isspace())).strip()[:200]


def _addresses(mail: Message, *names: str) -> Iterator[tuple[str, str]]:
    for name in names:
        # Names are decoded after the addresses were taken apart: a decoded name may hold an address of its own.
        for shown, address in getaddresses([_readable(value) for value in _values(mail, name)]):
            if (normal := normalise_email(address)) is not None:
                yield _line(_decoded(shown)), normal


def _readable(value: str) -> str:
    value = value[:_ADDRESSES]
    text = charsets.decode(_raw(value)) if any("\udc80" <= c <= "\udcff" for c in value) else value
    # The library calls itself for each comment within a comment.
    text = text if text.count("(") <= _COMMENTS else text.translate(_NO_COMMENTS)
    return text.replace("\r", " ").replace("\n", " ")


def _sender(mail: Message) -> tuple[str, str]:
    return next(_addresses(mail, "from"), ("", ""))


def _recipients(mail: Message) -> list[str]:
    names = ("to", "cc", "delivered-to", "x-original-to", "envelope-to", "x-forwarded-to", "resent-to")
    return list(dict.fromkeys(address for _name, address in _addresses(mail, *names)))[:50]


def _automatic(mail: Message, sender: str) -> Automatic:
    """RFC 3834, 5 and 3464, and the headers that were used before them."""
    report = str(mail.get_param("report-type") or "").lower()
    if report == "disposition-notification" or (report == "delivery-status" and not _has_failed(mail)):
        # Somebody's program says that it was read, or a server that it still tries: no answer, and nothing came back.
        return Automatic.REPLY
    returns_to_nobody = str(mail.get("return-path", "?")).strip() == "<>"
    if report == "delivery-status" or (returns_to_nobody and sender.startswith(_DAEMONS)):
        return Automatic.BOUNCE
    submitted = _COMMENT.sub(" ", _header(mail, "auto-submitted")).partition(";")[0].strip().lower()
    precedence = _header(mail, "precedence").strip().lower()
    answering = any(mail.get(name) for name in ("x-autoreply", "x-autorespond", "x-auto-reply"))
    # Exchange says of a holiday notice that it was generated, as others do of every mail that a system sends.
    away = submitted == "auto-generated" and bool(_AWAY.match(_header(mail, "subject")))
    if submitted == "auto-replied" or precedence == "auto_reply" or answering or away:
        return Automatic.REPLY
    if sender.startswith(_DAEMONS):
        return Automatic.BOUNCE
    if mail.get("list-id") or precedence in ("bulk", "list", "junk") or submitted not in ("", "no"):
        return Automatic.BULK
    return Automatic.NO


_AWAY = re.compile(
    r"\s*(automatic reply|auto:|out of office|automatische antwort|réponse automatique|respuesta automática|"
    r"رد تلقائي|الرد التلقائي|תשובה אוטומטית|מענה אוטומטי|תגובה אוטומטית)",
    re.IGNORECASE,
)
_ACTION = re.compile(r"^Action:\s*(\w+)", re.MULTILINE | re.IGNORECASE)


def _has_failed(mail: Message) -> bool:
    """Whether a report says that a mail came back (RFC 3464, 2.3.3), not only that it is late or arrived."""
    text = ""
    for number, part in enumerate(mail.walk()):
        if number < MAX_PARTS and part.get_content_type() == "message/delivery-status":
            text += _status_text(part)[:MAX_TEXT]
    actions = {action.lower() for action in _ACTION.findall(text)}
    return "failed" in actions or not actions


_RESULT = re.compile(r"\s*(dmarc|dkim)(?:/\d+)?\s*=\s*pass(?![\w-])(.*)", re.IGNORECASE | re.DOTALL)
_DOMAIN = re.compile(r"(?<!\S)header\.(from|d|i)\s*=\s*(\S*)", re.IGNORECASE)
# Which property names the domain that a method is about (RFC 8601, 2.7).
_NAMES = {"dmarc": ("from",), "dkim": ("d", "i")}
_COMMENT = re.compile(r"\([^()]*\)")


def _authenticated(mail: Message, domain: str) -> list[str]:
    """The relays that state (RFC 8601) that `domain` itself sent this: DMARC passed for it, or an aligned DKIM.

    Only the topmost header of each relay counts: those below may have come with the mail.
    """
    seen: set[str] = set()
    found = []
    for value in _values(mail, "authentication-results"):
        relay, *results = _stated(_decoded(value))
        name = (relay.split() or [""])[0].lower()
        if not name or name in seen:
            continue
        seen.add(name)
        if domain and any(_aligned(one, domain) for one in results):
            found.append(name)
    return found


def _stated(value: str) -> list[str]:
    """A header's parts between semicolons, without comments and what stands in quotes as one word.

    Relays repeat what the sender says of themselves: `"x; dkim=pass header.d=bank.example"@evil.example` is an address
    in quotes or in a comment (RFC 5322, 3.2.2 and 3.2.4), and no result. What is not closed ends all that is believed.
    """
    parts, part, depth, quoted = list[str](), list[str](), 0, False
    letters = iter(value[:_ADDRESSES])
    for letter in letters:
        if letter == "\\" and (depth or quoted):
            next(letters, "")
        elif letter == '"' and not depth:
            quoted = not quoted
        elif quoted:
            part += letter if letter in "@.-_" or letter.isalnum() else ""
        elif letter == "(":
            depth += 1
        elif letter == ")" and depth:
            depth -= 1
            part.append(" ")
        elif depth:
            continue
        elif letter == ";":
            parts.append("".join(part))
            part = []
        else:
            part.append(letter)
    return [*parts, "".join(part)] if not depth and not quoted else parts[:1] or [""]


def _aligned(result: str, domain: str) -> bool:
    """Exactly the domain of the From header: what a subdomain may sign for its parent is the parent's to say."""
    said = _RESULT.fullmatch(result)
    if said is None:
        return False
    named = [value for key, value in _DOMAIN.findall(said[2]) if key.lower() in _NAMES[said[1].lower()]]
    return domain in [one.rpartition("@")[2].lower().rstrip(".") for one in named]


# Bodies


def _bodies(mail: Message) -> tuple[str, str, list[Part], str]:
    plain: list[str] = []
    html: list[str] = []
    parts: list[Part] = []
    failure = ""
    for number, part in enumerate(_leaves(mail)):
        if number >= MAX_PARTS:
            break
        kind = part.get_content_type()
        if kind == "message/delivery-status":
            failure = _failure(part)
            continue
        attached = part.get_content_disposition() == "attachment" or bool(_name(part))
        if kind in ("text/plain", "text/html") and not attached:
            into = plain if kind == "text/plain" else html
            into.append(charsets.decode(_content(part), _charset(part)))
            continue
        content = part.as_bytes() if kind.startswith("message/") else _content(part)
        if content:
            cid = next(iter(_ID.findall(str(part.get("content-id", "")))), "")
            parts.append(Part(_name(part) or kind.replace("/", "."), content, cid))
    # A mail in plain text says it in the first; further ones are footers of mailing lists.
    return "\n".join(plain)[:MAX_TEXT], "\n".join(html), parts, failure


def _leaves(mail: Message, depth: int = 0) -> Iterator[Message]:
    """Every part that is none of parts; a mail within a mail is one part, except where it says why one bounced."""
    payload = mail.get_payload()
    kind = mail.get_content_type()
    if depth > 20 or not isinstance(payload, list) or (kind.startswith("message/") and depth):
        yield mail
        return
    for part in payload:
        if isinstance(part, email.message.Message):
            yield from _leaves(part, depth + 1)


def _content(part: Message) -> bytes:
    try:
        payload = part.get_payload(decode=True)
    except Exception:
        # The standard library's reader raises anything on what strangers break: the bytes as they came, below.
        payload = None
    if isinstance(payload, bytes):
        return payload
    whole = part.get_payload()
    return _raw(whole) if isinstance(whole, str) else b""


def _charset(part: Message) -> str:
    try:
        return str(part.get_content_charset() or "")
    except Exception:
        # As in `_content`: without a name the charset is guessed.
        return ""


def _name(part: Message) -> str:
    try:
        return _line(_decoded(part.get_filename() or ""))
    except Exception:
        # As in `_content`: a file without a name is still a file.
        return ""


def _status_text(part: Message) -> str:
    payload = part.get_payload()
    return "\n".join(str(one) for one in payload) if isinstance(payload, list) else str(payload)


def _failure(part: Message) -> str:
    """Why it could not be delivered, in the words of the server that said so."""
    text = _status_text(part)
    reasons = [*_RECIPIENT.findall(text)[:1], *_STATUS.findall(text)[:2]]
    return _line(": ".join(_SPACE.sub(" ", reason) for reason in reasons))
