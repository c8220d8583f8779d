"""Mail that a provider posts to us: whether it is theirs, and the mail in it. Pure.

`mime`: the mail itself, byte for byte, signed by us alike: hex HMAC-SHA256 of the body under `X-Ahlan-Signature`.
`mailgun`: a route's forward (https://documentation.mailgun.com/docs/mailgun/user-manual/receive-forward-store/): a form
whose `timestamp` and `token` are signed; the signature does not cover the mail, so a token is taken once.
`postmark`: JSON (https://postmarkapp.com/developer/webhooks/inbound-webhook) that Postmark signs with nothing: it sends
the user and password that stand in the address it was given.
"""

from __future__ import annotations

import base64
import binascii
import email.message
import email.parser
import email.policy
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs

import orjson

from integrations.channels.email import read as mime
from plugin.channel import Inbound

MIME, MAILGUN, POSTMARK = "mime", "mailgun", "postmark"
KINDS = (MIME, MAILGUN, POSTMARK)
BEGINNING = "beginning"
"""Topic of a mail of which only the beginning was fetched: its text is read, its files are only named."""

SIGNATURE = "x-ahlan-signature"


def sign(body: bytes, key: str) -> str:
    """What `X-Ahlan-Signature` of a posted mail must be."""
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def verified(kind: str, headers: Mapping[str, bytes], body: bytes, key: str) -> str:
    """The name of the delivery when it is the provider's own, else an empty text."""
    if not key:
        return ""
    if kind == MIME:
        given = headers.get(SIGNATURE, b"").removeprefix(b"sha256=")
        good = hmac.compare_digest(given, sign(body, key).encode())
        return hashlib.sha256(body).hexdigest() if good else ""
    if kind == MAILGUN:
        form = _form(headers.get("content-type", b"").decode("latin-1"), body)
        moment, token, given = form.get("timestamp", b""), form.get("token", b""), form.get("signature", b"")
        wanted = hmac.new(key.encode(), moment + token, hashlib.sha256).hexdigest().encode()
        return token.decode("latin-1")[:100] if token and hmac.compare_digest(given, wanted) else ""
    if kind == POSTMARK:
        scheme, _blank, told = headers.get("authorization", b"").partition(b" ")
        try:
            password = base64.b64decode(told, validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return ""
        good = scheme.lower() == b"basic" and hmac.compare_digest(password, key.encode())
        return hashlib.sha256(body).hexdigest() if good else ""
    return ""


def read(kind: str, headers: Mapping[str, str], body: bytes) -> Inbound:
    """The mail in a delivery. Raises ValueError when there is none."""
    if kind == BEGINNING:
        mail = mime.parse(body)
        return replace(mail, parts=[replace(part, content=b"") for part in mail.parts])
    if kind == MAILGUN:
        form = _form(headers.get("content_type", ""), body)
        if "body-mime" in form:
            return mime.parse(form["body-mime"])
        return mime.parse(_from_mailgun(form, body, headers.get("content_type", "")))
    if kind == POSTMARK:
        told = orjson.loads(body)
        if not isinstance(told, dict):
            raise ValueError("this is no mail of Postmark's")
        raw = told.get("RawEmail")
        return mime.parse(raw.encode() if isinstance(raw, str) and raw else _from_postmark(told))
    return mime.parse(body)


def _parts(content_type: str, body: bytes) -> list[email.message.Message]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
    form = email.parser.BytesParser(policy=email.policy.compat32).parsebytes(head + body)
    payload = form.get_payload()
    return [part for part in payload if isinstance(part, email.message.Message)] if isinstance(payload, list) else []


def _form(content_type: str, body: bytes) -> dict[str, bytes]:
    """The fields of a form; files are not among them."""
    if not content_type.lower().startswith("multipart/form-data"):
        found = parse_qs(body.decode("latin-1"), encoding="latin-1", keep_blank_values=True, max_num_fields=200)
        return {name: values[0].encode("latin-1") for name, values in found.items()}
    return {
        str(part.get_param("name", header="content-disposition")): _bytes(part)
        for part in _parts(content_type, body)
        if not part.get_filename()
    }


def _bytes(part: email.message.Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


_TOLD_BY_BODY = frozenset({"content-type", "content-transfer-encoding", "content-disposition", "mime-version"})


def _assembled(told: list[tuple[str, str]], text: str, html: str, files: list[tuple[str, str, str, bytes]]) -> bytes:
    """One mail of what a provider took apart: headers as they were, texts, files (name, type, cid, content)."""
    made = EmailMessage()
    made.set_content(text)
    if html:
        made.add_alternative(html, subtype="html")
    for name, media_type, cid, content in files:
        kind, _slash, subtype = media_type.partition(";")[0].strip().partition("/")
        kind, subtype = (kind, subtype) if subtype and kind not in ("multipart", "message") else ("application", "bin")
        made.add_attachment(content, maintype=kind, subtype=subtype, filename=name or "file", cid=cid or None)
    heads = "".join(
        f"{name}: {' '.join(value.split())}\r\n"
        for name, value in told
        if name.lower() not in _TOLD_BY_BODY and name.isascii() and name.replace("-", "").isalnum()
    )
    return heads.encode("utf-8", "replace") + made.as_bytes()


def _from_mailgun(form: Mapping[str, bytes], body: bytes, content_type: str) -> bytes:
    def words(name: str) -> str:
        return form.get(name, b"").decode("utf-8", "replace")

    try:
        told = [(str(name), str(value)) for name, value in orjson.loads(words("message-headers") or "[]")]
    except (ValueError, TypeError) as error:
        raise ValueError("the headers of this mail of Mailgun's cannot be read") from error
    told = told or [("From", words("from")), ("Subject", words("subject")), ("To", words("recipient"))]
    cids = {name: cid.strip("<>") for cid, name in _dict(words("content-id-map")).items()}
    files = []
    for part in _parts(content_type, body):
        if name := part.get_filename():
            field = str(part.get_param("name", header="content-disposition"))
            files.append((str(name), part.get_content_type(), cids.get(field, ""), _bytes(part)))
    return _assembled(told, words("body-plain"), words("body-html"), files)


def _dict(text: str) -> dict[str, str]:
    try:
        found = orjson.loads(text or "{}")
    except ValueError:
        return {}
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _from_postmark(told: Mapping[str, Any]) -> bytes:
    def words(name: str) -> str:
        value = told.get(name)
        return value if isinstance(value, str) else ""

    heads = [
        (str(one.get("Name", "")), str(one.get("Value", "")))
        for one in told.get("Headers") or []
        if isinstance(one, dict)
    ]
    named = {name.lower() for name, _value in heads}
    for name in ("From", "To", "Cc", "Subject", "Date"):
        if name.lower() not in named and words(name):
            heads.append((name, words(name)))
    files = []
    for one in told.get("Attachments") or []:
        if isinstance(one, dict):
            try:
                content = base64.b64decode(str(one.get("Content", "")))
            except (binascii.Error, ValueError):
                continue
            cid = str(one.get("ContentID") or "").strip("<>")
            files.append((str(one.get("Name", "")), str(one.get("ContentType", "")), cid, content))
    return _assembled(heads, words("TextBody"), words("HtmlBody"), files)
