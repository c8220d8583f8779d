"""Whatever comes in as a mail is read: soon, within bounds, and as something that can be kept and shown."""

import base64
import io
import quopri
import re
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.channels.email import read
from plugin.channel import Inbound
from plugin.conversations import letters
from plugin.kernel.text import normalise_email

ARABIC = "السلام عليكم، أين طلبي رقم ١٠٤٢؟ شكرًا لكم ولفريق المتجر على المساعدة"
HEBREW = "שלום, איפה ההזמנה שלי? תודה רבה לכם ולצוות החנות על העזרה"
PAGES = {ARABIC: ("cp1256", "iso8859-6", "utf-8"), HEBREW: ("cp1255", "iso8859-8", "utf-8")}
DECLARED = ("windows-1256", "windows-1255", "iso-8859-6", "iso-8859-8", "iso-8859-8-i", "us-ascii", "", "x-unknown")
_WINDOWS = ("windows-1256", "windows-1255", "iso-8859-8", "iso-8859-8-i", "us-ascii", "", "x-unknown")
FITTING = {
    "utf-8": DECLARED,
    "cp1256": (*_WINDOWS, "iso-8859-6"),
    "cp1255": (*_WINDOWS, "iso-8859-6"),
    "iso8859-6": ("iso-8859-6", "us-ascii", "", "x-unknown"),
    "iso8859-8": _WINDOWS,
}


def holds(mail: Inbound) -> None:
    """What everything behind the parser relies on."""
    kept = (mail.external_id, mail.sender, mail.sender_name, mail.subject, mail.text, mail.folded, mail.html)
    for text in kept:
        text.encode("utf-8")
    assert 0 < len(mail.external_id) <= 250
    assert len(mail.subject) <= 200
    assert "\n" not in mail.subject + mail.sender_name
    assert len(mail.text) <= read.MAX_TEXT
    assert len(mail.folded) <= read.MAX_TEXT
    assert len(mail.parts) <= read.MAX_PARTS
    assert len(mail.recipients) <= 50
    assert mail.sender == "" or normalise_email(mail.sender) == mail.sender
    assert not re.search(r"<\s*(script|style|iframe|object|form|svg|base|meta|link)\b", mail.html, re.IGNORECASE)
    assert not re.search(r"<[^>]*\son\w+\s*=", mail.html, re.IGNORECASE)
    assert not re.search(r'<img[^>]*\ssrc="(?!cid:)', mail.html), "nothing is loaded before it is asked for"


_token = st.text(alphabet=st.characters(codec="latin-1"), max_size=40)
_charset = st.sampled_from([*DECLARED, "utf-8", "utf-16", "utf-7", "base64", "rot13", "hz", "\udcff", "a" * 2000])
_encoding = st.sampled_from(["7bit", "8bit", "base64", "quoted-printable", "x-uuencode", "binary", "nonsense", ""])
_name = st.sampled_from(
    ["From", "To", "Subject", "Message-ID", "In-Reply-To", "References", "Date", "Auto-Submitted", "Precedence",
     "Content-ID", "Content-Disposition", "Authentication-Results", "Return-Path", "List-Id", "X-Ödd", ""]
)  # fmt: skip
_value = st.one_of(
    _token,
    st.sampled_from(
        [
            "=?utf-8?b?4pyT4pyT?=", "=?windows-1256?q?=C7=E1=D3=E1=C7=E3?=", "=?x?b?====?=", "=?utf-8?b?\x00?=",
            '"Layla" <layla@example.com>', "<a@b>" * 400, "<>", "(" * 900, '"' * 901, "auto-replied; x=(((", "a@[::1]",
            "attachment; filename*0*=utf-8''%D8; filename*1*=%A7", "attachment; filename==?utf-8?b?8J+YgA==?=",
            "mx; dmarc=pass header.from=example.com", "\ufffe", "x" * 65_536, "=?utf-8?q?" + "=41" * 20_000 + "?=",
        ]
    ),
)  # fmt: skip
_head = st.lists(st.tuples(_name, _value), max_size=6)
_html = st.sampled_from(
    [
        "<p>hi</p><script>x()</script><img src=https://t.example/p.gif onerror=x()>", "<div>" * 3000, "<!--" * 500,
        "<svg><style><img src=x onerror=x()>", "<a href=javascript:x()>x</a>", "<img src=\"cid:a\"><IMG SRC='//t/x'>",
        "<table>" + "<td>" * 500, "&#0;&#xD800;", "<blockquote>" * 200 + "x",
    ]
)  # fmt: skip
_body = st.one_of(
    st.binary(max_size=120),
    _html.map(str.encode),
    st.sampled_from([text.encode(page, "replace") for text, pages in PAGES.items() for page in pages]),
    st.sampled_from(
        [b"> q\r\n" * 400, b"-- \r\n" * 50, b"\x00" * 200, base64.b64encode(b"\xff" * 90), b"=\r\n=3" * 99]
    ),
)


def _leaf(head: list[tuple[str, str]], kind: str, charset: str, encoding: str, body: bytes) -> bytes:
    lines = [f"Content-Type: {kind}; charset={charset}", f"Content-Transfer-Encoding: {encoding}"]
    lines += [f"{name}: {value}" for name, value in head]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def _tree(parts: list[bytes], kind: str, head: list[tuple[str, str]], boundary: str, ends: str) -> bytes:
    lines = [f'Content-Type: multipart/{kind}; boundary="{boundary}"', *(f"{name}: {value}" for name, value in head)]
    inner = b"".join(b"--" + ends.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    return (
        "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + inner + b"--" + ends.encode() + b"--\r\n"
    )


_leaves = st.builds(
    _leaf, _head, st.sampled_from(["text/plain", "text/html", "message/rfc822", "message/delivery-status", "image/png",
                                   "multipart/mixed", "text/", "application/ms-tnef"]), _charset, _encoding, _body,
)  # fmt: skip
_boundary = st.sampled_from(["b", "bb", "b--", "", "=_Part"])
_mails = st.recursive(
    _leaves,
    lambda inner: st.builds(
        _tree, st.lists(inner, max_size=4), st.sampled_from(["mixed", "alternative", "related", "report", "digest"]),
        _head, _boundary, _boundary,
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(_mails)
def test_malformed_mime_is_read(raw: bytes) -> None:
    mail = read.parse(raw)
    holds(mail)
    assert read.parse(raw) == mail, "the same mail is the same letter"


@settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(_mails, st.data())
def test_a_mail_that_breaks_off_is_read(raw: bytes, data: st.DataObject) -> None:
    holds(read.parse(raw[: data.draw(st.integers(0, len(raw)))]))


@pytest.mark.parametrize("name", ["Subject", "From", "To", "References", "Message-ID", "Authentication-Results", "X-Y"])
@pytest.mark.parametrize(
    "line",
    [
        "x" * 65_536,
        "a@b.c, " * 9_000,
        "=?utf-8?b?QQ==?= " * 3_800,
        "(" * 65_536,
        '"\\' * 32_000,
        "<" * 65_536,
        "<a@b> " * 10_000,
        "; dkim=pass" * 5_900,
    ],
)
def test_header_lines_of_64_kb_are_read_in_no_time(name: str, line: str) -> None:
    began = time.perf_counter()
    mail = read.parse(f"{name}: {line}\r\nContent-Type: text/plain\r\n\r\nhello".encode())
    assert time.perf_counter() - began < 2
    assert mail.text == "hello"
    holds(mail)


@pytest.mark.parametrize("declared", DECLARED)
@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
@pytest.mark.parametrize(("text", "page"), [(text, page) for text, pages in PAGES.items() for page in pages])
def test_arabic_and_hebrew_are_read_under_a_wrong_declaration(
    text: str, page: str, declared: str, encoding: str
) -> None:
    """Whatever page was declared; only of one page of a script for another of the same nobody can always tell."""
    bytes_ = text.encode(page, "ignore")
    words = bytes_.decode(page)
    body = {"8bit": bytes_, "base64": base64.encodebytes(bytes_), "quoted-printable": quopri.encodestring(bytes_)}[
        encoding
    ]
    head = f"Subject: x\nContent-Type: text/plain; charset={declared}\nContent-Transfer-Encoding: {encoding}\n\n"
    mail = read.parse(head.encode() + body)
    holds(mail)
    if declared in FITTING[page]:
        assert mail.text == words


# What unfolds when it is opened


@cache
def _bomb(mib: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"{number}.txt", b"\0" * (mib * 1024 * 1024 // 4))
    return file.getvalue()


def _with(name: str, kind: str, content: bytes) -> bytes:
    mail = MIMEMultipart()
    mail["From"], mail["Message-ID"] = "layla@example.com", "<bomb@example.com>"
    mail.attach(MIMEText("see the file"))
    part = MIMEApplication(content, kind)
    part["Content-Disposition"] = f'attachment; filename="{name}"'
    mail.attach(part)
    return mail.as_bytes()


def _png(side: int) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    size = side.to_bytes(4, "big")
    rows = zlib.compress(b"\0" * 5_000_000, 9)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size + size + b"\x08\x06\0\0\0")
        + chunk(b"IDAT", rows)
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("name", "kind", "content"),
    [
        ("all.zip", "zip", lambda: _bomb(256)),
        ("inner.zip", "zip", lambda: _bomb(8) * 2),
        ("report.docx", "vnd.openxmlformats-officedocument.wordprocessingml.document", lambda: _bomb(256)),
        ("photo.png", "png", lambda: _png(60_000)),
        ("note.txt.gz", "gzip", lambda: zlib.compress(b"\0" * 50_000_000, 9)),
    ],
    ids=["zip", "zip in a zip", "docx", "png", "gzip"],
)
async def test_nothing_that_comes_along_is_unpacked(name: str, kind: str, content: Callable[[], bytes]) -> None:
    raw = _with(name, kind, content())
    tracemalloc.start()
    try:
        prepared = await letters.prepare(read.parse(raw))
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # What a decoder sets up for itself is a few megabytes; unpacked, each of these is a hundred or more.
    assert most < len(raw) * 12 + 20_000_000
    assert prepared.mail.text == "see the file"
    assert len(prepared.files) + len(prepared.left_out) == 1, "kept as it is or named, never lost without a word"
