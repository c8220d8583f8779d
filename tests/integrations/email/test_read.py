"""Mail as programs write it: charsets that lie, quotes in every language, harmful markup, bytes that are no mail."""

import base64
import email.message
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.channels.email import charsets, inbound, markup, quotes, read
from plugin.channel import Automatic

ARABIC = "مرحبا، أين طلبي؟ وصلني إشعار أن الطرد في الطريق"
HEBREW = "שלום, איפה ההזמנה שלי? תודה רבה"
DECLARATIONS = ("", "us-ascii", "iso-8859-1", "windows-1252", "utf-8", "x-unknown", "base64", "utf-16\x00")


@pytest.mark.parametrize(
    ("text", "page"),
    [(ARABIC, "windows-1256"), (ARABIC, "iso-8859-6"), (HEBREW, "windows-1255"), (HEBREW, "iso-8859-8")],
)
@pytest.mark.parametrize("declared", DECLARATIONS)
def test_words_are_read_whatever_page_was_declared(text: str, page: str, declared: str) -> None:
    assert charsets.decode(text.encode(page), page) == text
    assert charsets.decode(text.encode(page), declared) == text


def test_letters_that_only_the_windows_page_has() -> None:
    assert charsets.decode("שָׁלוֹם לכם".encode("windows-1255"), "iso-8859-8") == "שָׁלוֹם לכם"
    assert charsets.decode("پیام برای شما".encode("windows-1256", "ignore"), "iso-8859-6").startswith("پ")
    assert charsets.decode("Grüße aus München, déjà vu".encode("latin-1"), "us-ascii") == "Grüße aus München, déjà vu"
    assert charsets.decode(f"\ufeff{ARABIC}".encode(), "iso-8859-1") == ARABIC


@given(st.binary(max_size=300), st.one_of(st.sampled_from(DECLARATIONS), st.text(max_size=20)))
def test_any_bytes_become_text(content: bytes, declared: str) -> None:
    charsets.decode(content, declared).encode("utf-8", "strict")


QUOTED = [
    "On Mon, Nov 2, 2026 at 3:00 PM Shop <help@shop.example> wrote:\n> old words",
    "On Mon, Nov 2, 2026 at 3:00 PM Shop\n<help@shop.example> wrote:\n\n> old words",
    "في الاثنين، ٢ نوفمبر ٢٠٢٦ في ٣:٠٠ م كتب Shop <\u200fhelp@shop.example\u200f>:\n\n> old words",
    "\u202bفي 2 نوفمبر 2026، كتب/ت Shop <help@shop.example>:\u202c\n> old words",
    "\u202bבתאריך יום ב׳, 2 בנוב׳ 2026 ב-15:00 מאת \u202aShop\u202c <\u202ah@shop.example\u202c>:\u202c\n\n> old words",
    "ב-2 בנוב׳ 2026, בשעה 15:00, Shop <help@shop.example> כתב/ה:\n\n> old words",
    "Am 02.11.2026 um 15:00 schrieb Shop <help@shop.example>:\n> old words",
    "Le lun. 2 nov. 2026 à 15:00, Shop <help@shop.example> a écrit :\n> old words",
    "________________________________\nFrom: Shop <help@shop.example>\nSent: Monday\nTo: L\nSubject: x\n\nold words",
    "From: Shop\nSent: Monday, November 2, 2026 3:00 PM\nTo: Layla\nSubject: Order\n\nold words",
    "من: Shop <help@shop.example>\nتم الإرسال: الاثنين\nإلى: ليلى\nالموضوع: الطلب\n\nold words",
    "מאת: Shop <help@shop.example>\nנשלח: יום שני\nאל: ליאת\nנושא: ההזמנה\n\nold words",
    "-----Original Message-----\nFrom: Shop\nold words",
    "-----הודעה מקורית-----\nold words",
    "--------- الرسالة الأصلية ---------\nold words",
    "-- \nLayla, old words",
    "Sent from my iPhone\n\nold words",
    "تم الإرسال من الـ iPhone الخاص بي\nold words",
    "נשלח מה-iPhone שלי\nold words",
    "> old words\n> and more",
]


@pytest.mark.parametrize("tail", QUOTED)
@pytest.mark.parametrize("said", ["Thank you!\n\nIt came.", "شكرًا لكم، وصل الطلب", "תודה, הגיע"])
def test_quotes_and_signatures_are_folded(said: str, tail: str) -> None:
    found = quotes.split(f"{said}\r\n\r\n{tail}")
    assert found.text == said
    assert "old words" in found.folded


@pytest.mark.parametrize(
    "said",
    [
        "I wrote: where is it?\nNobody answered.",
        "From: the shop\nI got nothing.",
        "> is it blue?\nYes.\n> how much?\nTen.",
        "في المتجر كتب: مغلق\nمتى يفتح؟",
        "Two things:\n- one\n- two",
        "> only a quote",
    ],
)
def test_what_was_written_is_not_folded(said: str) -> None:
    assert quotes.split(said) == quotes.Split(said, "")


@given(
    st.lists(st.sampled_from([*QUOTED, "word", "> q", "", "-- ", ">", ":", "On 2026:", "\u200f", "كتب:"]), max_size=30)
)
def test_nothing_written_is_lost(pieces: list[str]) -> None:
    body = "\n".join(pieces)
    found = quotes.split(body)
    assert f"{found.text}\n{found.folded}".split() == body.split()


def test_a_hostile_mail_is_read_in_no_time() -> None:
    began = time.monotonic()
    for unit in (
        "> ",
        "wrote:\n",
        "On 2026 ",
        "_" * 30 + "\n",
        "From:\n",
        "\n-- ",
        "<" * 9,
        '<img src="',
        "=?utf-8?q?",
    ):
        quotes.split(unit * 20_000)
        markup.as_text(unit * 20_000)
        markup.clean(unit * 20_000)
        read.parse(b"Subject: " + unit.encode() * 5_000 + b"\r\n\r\n" + unit.encode() * 20_000)
    assert time.monotonic() - began < 20


HARM = """<p onclick="x()" style="position:fixed" class="a" id="b">hi</p><script>steal()</script><style>*{}</style>
<iframe src="https://evil.example"></iframe><form action="https://evil.example"><input name=p></form>
<a href="javascript:steal()">a</a><a href="https://shop.example/?a=1&amp;b=2">b</a><svg onload=steal()></svg>
<img src="https://track.example/p.gif" srcset="https://track.example/2.gif" onerror="x()" alt="a > b">
<img src='cid:photo@mail'><img src="data:image/svg+xml,x"><img src="//track.example/x">
<table background="https://track.example/b"><td dir="rtl">שלום</td></table><base href="https://evil.example">"""


def test_markup_is_made_harmless_and_asks_nobody_for_pictures() -> None:
    made, remote = markup.clean(HARM)
    assert remote == 1
    for harm in ("script", "style", "iframe", "form", "input", "onclick", "onerror", "class", " id=", "svg", "base",
                 "javascript", "srcset", "background", "steal", ' src="'):  # fmt: skip
        assert harm not in made, harm
    assert 'dir="rtl"' in made
    shown = markup.show(made, {"photo@mail": "/files/one?a=1&b=2"}, [])
    assert 'src="/files/one?a=1&amp;b=2"' in shown
    assert "track.example" not in shown
    assert markup.elsewhere(made) == ["https://track.example/p.gif"]
    asked = markup.show(made, {}, ["/mail-pictures/one"])
    assert 'src="/mail-pictures/one"' in asked
    assert "track.example" not in asked, "nobody's browser asks there"
    assert 'referrerpolicy="no-referrer"' in asked


@given(st.text(alphabet="<>\"'=/ imgsrcdataonhtp:&;#\x00", max_size=200))
def test_no_made_up_markup_loads_anything(html: str) -> None:
    made, _remote = markup.clean(html)
    assert "<img src" not in markup.show(made, {}, [])
    assert "<script" not in made


def test_html_alone_is_read_as_words_with_its_quotes() -> None:
    raw = (
        b"From: a@b.example\r\nContent-Type: text/html; charset=windows-1255\r\n\r\n"
        + "<div>תודה<br>הגיע</div><div>On Mon, Nov 2, 2026 Shop &lt;s@b.example&gt; wrote:</div>"
        "<blockquote>old<div>words</div></blockquote>".encode("windows-1255")
    )
    mail = read.parse(raw)
    assert mail.text.split() == ["תודה", "הגיע"]
    assert "old" in mail.folded


def test_headers_as_they_are() -> None:
    raw = (
        b"From: =?windows-1256?B?" + base64.b64encode("ليلى".encode("windows-1256")) + b"?= <Layla@Example.COM>\r\n"
        b'To: "Shop, Inc" <help+abc@shop.example>, undisclosed-recipients:;\r\n'
        b"Subject: " + "הזמנה 17".encode("windows-1255") + b"\r\n"
        b"Message-ID: <one@example.com>\r\nReferences: <a@b>\r\n <c@d> garbage\r\n\r\nhi"
    )
    mail = read.parse(raw)
    assert (mail.sender_name, mail.sender) == ("ليلى", "layla@example.com")
    assert mail.subject == "הזמנה 17"
    assert mail.recipients == ["help+abc@shop.example"]
    assert (mail.external_id, list(mail.references)) == ("one@example.com", ["a@b", "c@d"])


def test_a_name_cannot_pass_for_an_address() -> None:
    mail = read.parse(
        b"From: =?utf-8?q?=22boss=40shop=2Eexample=22_=3Cboss=40shop=2Eexample=3E=2C?= <eve@evil.example>\n\nx"
    )
    assert mail.sender == "eve@evil.example"


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ("", Automatic.NO),
        ("Auto-Submitted: no", Automatic.NO),
        ("Auto-Submitted: auto-replied (vacation)", Automatic.REPLY),
        ("X-Autoreply: yes", Automatic.REPLY),
        ("Precedence: auto_reply", Automatic.REPLY),
        ("Auto-Submitted: auto-generated", Automatic.BULK),
        ("Precedence: bulk", Automatic.BULK),
        ("List-Id: <news.example>", Automatic.BULK),
        ("Content-Type: multipart/report; report-type=delivery-status; boundary=b", Automatic.BOUNCE),
    ],
)
def test_machines_are_recognised(headers: str, kind: Automatic) -> None:
    assert read.parse(f"From: a@b.example\n{headers}\n\nx".replace("\n\n\n", "\n\n").encode()).automatic is kind


@pytest.mark.parametrize(
    ("stated", "believed"),
    [
        ("mx.relay; dmarc=pass (p=none) header.from=example.com", ["mx.relay"]),
        ("mx.relay; dkim=pass header.d=example.com; spf=fail", ["mx.relay"]),
        ("mx.relay; dkim=pass header.d=evil.example", []),
        ("mx.relay; dkim=pass header.d=sub.example.com", []),
        ("mx.relay; dkim=fail header.d=example.com", []),
        ('mx.relay; dkim=none reason="dkim=pass header.d=evil"; dmarc=fail header.from=example.com', []),
        ("mx.relay; spf=pass smtp.mailfrom=example.com", []),
        ("mx.relay; none", []),
        ("", []),
        ('mx.relay 1; dkim/1 = pass (ok (good)) header.i=@example.com header.b="aB"', ["mx.relay"]),
        ('mx.relay; dmarc=pass header.from="example.com"', ["mx.relay"]),
        # What a relay repeats of the sender's own words is no result.
        ('mx.relay; dkim=pass header.i="a header.d=example.com "@evil.example', []),
        ('mx.relay; spf=pass smtp.mailfrom="a; dkim=pass header.d=example.com"@evil.example', []),
        ('mx.relay; spf=pass (of "a) dmarc=pass header.from=example.com ("@evil.example) smtp.helo=x', []),
        ("mx.relay; spf=pass (of a (b) dmarc=pass header.from=example.com) smtp.helo=x", []),
        ("mx.relay; spf=pass (of a\\) ; dmarc=pass header.from=example.com) smtp.helo=x", []),
        ("mx.relay; spf=pass smtp.mailfrom=dmarc=pass header.from=example.com", []),
        ("mx.relay; dmarc=fail x=dkim=pass header.from=example.com", []),
        ("mx.relay; dkim=pass header.from=example.com header.d=evil.example", []),
        ("mx.relay; dmarc=pass-through header.from=example.com", []),
        ("mx.relay; spf=pass (of a; dmarc=pass header.from=example.com", []),
    ],
)
def test_only_an_aligned_domain_counts(stated: str, believed: list[str]) -> None:
    raw = f"Authentication-Results: {stated}\nFrom: a@example.com\n\nx"
    assert read.parse(raw.encode()).trusted_by == believed


def test_what_came_with_the_mail_does_not_speak_for_the_relay() -> None:
    raw = (
        "Authentication-Results: mx.relay; dmarc=fail header.from=example.com\n"
        "Authentication-Results: mx.relay; dmarc=pass header.from=example.com\nFrom: a@example.com\n\nx"
    )
    assert read.parse(raw.encode()).trusted_by == []


# Fuzz


def whole() -> bytes:
    mail = email.message.EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "ليلى <l@example.com>", "help@shop.example", "שאלה"
    mail.set_content(ARABIC)
    mail.add_alternative(f"<p>{HEBREW}</p><img src='cid:p'>", subtype="html")
    mail.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="צילום.png", cid="<p>")
    return mail.as_bytes()


WHOLE = whole()


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 40), st.binary(max_size=20)), min_size=1, max_size=8)
)
def test_a_mangled_mail_is_read_all_the_same(cuts: list[tuple[int, int, bytes]]) -> None:
    raw = WHOLE
    for at, length, instead in cuts:
        raw = raw[:at] + instead + raw[at + length :]
    _is_sound(raw)


@settings(max_examples=100)
@given(st.binary(max_size=400))
def test_bytes_that_are_no_mail_are_read_all_the_same(raw: bytes) -> None:
    _is_sound(raw)
    _is_sound(b'Content-Type: multipart/mixed; boundary=""\n\n' + raw)
    _is_sound(b"Content-Type: message/delivery-status\n\n" + raw)
    _is_sound(
        b"From: " + raw + b"\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename*=" + raw
    )


def _is_sound(raw: bytes) -> None:
    mail = read.parse(raw)
    for text in (mail.external_id, mail.sender, mail.sender_name, mail.subject, mail.text, mail.folded, mail.html,
                 *mail.recipients, *mail.references, *(part.name for part in mail.parts)):  # fmt: skip
        text.encode()


def test_a_mail_of_mails_ends() -> None:
    raw = b"x"
    for number in range(200):
        raw = b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n%s\n--b%d--" % (number, number, raw, number)
    read.parse(raw)
    read.parse(b"Content-Type: message/rfc822\n\n" * 500 + b"x")


@given(st.binary(max_size=200), st.sampled_from(inbound.KINDS))
def test_no_body_is_taken_without_the_key(body: bytes, kind: str) -> None:
    headers = {"content-type": b"multipart/form-data; boundary=x", "authorization": b"Basic " + body}
    assert inbound.verified(kind, headers, body, "key") == ""
    assert inbound.verified(kind, headers, body, "") == ""


def report(kind: str, status: str) -> bytes:
    return (
        "From: MAILER-DAEMON@mx.example\nMessage-ID: <r@mx.example>\nAuto-Submitted: auto-replied\n"
        f'Content-Type: multipart/report; report-type={kind}; boundary="b"\n\n--b\nContent-Type: text/plain\n\nx\n'
        f"--b\nContent-Type: message/{kind}\n\n{status}\n--b\nContent-Type: text/rfc822-headers\n\n"
        "Message-ID: <ours@dukkan.example>\n--b--\n"
    ).encode()


_OF = "Reporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; layla@example.com\n"


@pytest.mark.parametrize(
    ("kind", "status", "found"),
    [
        ("delivery-status", f"{_OF}Action: failed\nStatus: 5.1.1", Automatic.BOUNCE),
        ("delivery-status", f"{_OF}Action: delayed\nStatus: 4.4.7", Automatic.REPLY),
        ("delivery-status", f"{_OF}Action: delivered\nStatus: 2.0.0", Automatic.REPLY),
        ("delivery-status", f"{_OF}Action: delivered\n\n{_OF}Action: failed\nStatus: 5.2.2", Automatic.BOUNCE),
        ("delivery-status", "Status: 5.0.0", Automatic.BOUNCE),
        ("disposition-notification", "Disposition: manual-action/MDN-sent-manually; displayed", Automatic.REPLY),
    ],
)
def test_only_a_mail_that_came_back_has_come_back(kind: str, status: str, found: Automatic) -> None:
    mail = read.parse(report(kind, status))
    assert mail.automatic is found
    assert bool(mail.failed) is (found is Automatic.BOUNCE)


@pytest.mark.parametrize(
    ("subject", "submitted", "found"),
    [
        ("Automatic reply: My order", "auto-generated", Automatic.REPLY),
        ("=?utf-8?b?15TXoteg15Qg15DXldeY15XXnteY15nXqg==?=", "auto-generated", Automatic.BULK),
        ("מענה אוטומטי: ההזמנה", "auto-generated", Automatic.REPLY),
        ("رد تلقائي: الطلب", "auto-generated", Automatic.REPLY),
        ("Your parcel has been handed over", "auto-generated", Automatic.BULK),
        ("Automatic reply: My order", "no", Automatic.NO),
        ("anything", "auto-replied (vacation)", Automatic.REPLY),
        ("anything", "auto-notified; owner-email=x@y", Automatic.BULK),
    ],
)
def test_a_holiday_notice_is_one_by_whatever_it_says(subject: str, submitted: str, found: Automatic) -> None:
    raw = f"From: layla@example.com\nSubject: {subject}\nAuto-Submitted: {submitted}\n\nx".encode()
    assert read.parse(raw).automatic is found


# Found by attacking it


@pytest.mark.parametrize(
    "line", ["From" + " " * 150_000 + "x", "الموضوع" + "\t" * 150_000 + "x", "-" * 150_000 + "x", " " * 150_000 + "x"]
)
def test_a_long_line_of_nothing_is_read_in_no_time(line: str) -> None:
    began = time.process_time()
    quotes.split(line)
    quotes.split(f"hello\n{line}\nFrom: a@b.example\n{line}")
    markup.as_text(f"<p>{line}{line}</p>")
    assert time.process_time() - began < 2


def test_quotes_within_quotes_do_not_grow_beyond_the_mail() -> None:
    html = "<blockquote>a" * 3_000
    assert len(markup.as_text(html)) < 5 * len(html)


@pytest.mark.parametrize("kind", ["plain", "html"])
@pytest.mark.parametrize("page", ["utf-7", "unicode_escape", "raw_unicode_escape", "utf-16-le"])
def test_half_a_letter_is_never_handed_on(kind: str, page: str) -> None:
    head = f"From: a@b.example\nSubject: =?{page}?q?+2AA-?=\nContent-Type: text/{kind}; charset={page}\n\n"
    mail = read.parse(head.encode() + b"<p>hello +2AA- \\ud800 \x00\xd8\x00\xd8</p>")
    for said in (mail.subject, mail.text, mail.html):
        said.encode()


@pytest.mark.parametrize("page", ["punycode", "idna"])
def test_what_is_no_page_is_not_believed(page: str) -> None:
    began = time.process_time()
    content = "".join(f"{number:x}z" for number in range(120_000)).encode()
    assert charsets.decode(b"caf\xe9-" + content, page).endswith(content.decode())
    assert time.process_time() - began < 1


def test_a_names_control_characters_are_no_part_of_it() -> None:
    mail = read.parse(b"From: a@b.example\nMessage-ID: <a\x00b@c>\nReferences: <\x07d@e> <f@g>\n\nx")
    assert mail.external_id.endswith("@without-id.invalid"), "the database holds no such sign"
    assert list(mail.references) == ["f@g"]
