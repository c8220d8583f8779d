"""What somebody newly wrote in a mail, apart from what they quote and sign with. Pure, one pass over the lines.

Nothing is thrown away: what is folded stays readable. When in doubt a line is not folded: a word too many costs a
glance, a word too few costs the answer. Ours rather than a library: those that are kept know neither Arabic nor Hebrew
and match with expressions that a hostile mail keeps busy for minutes (docs/decisions/mail.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARKS = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u061c]")
_MAIL = r"[^\s<>\[\]()]{1,64}@[^\s<>\[\]()]{1,128}"
# "On Mon, 2 Nov 2026 Layla <l@x> wrote:" and its kin: begins or ends with the verb, carries a date or an address.
_WROTE = re.compile(
    r"(wrote|schrieb|a écrit|escribió|ha scritto|schreef|escreveu|napisał\(a\)|yazdı|пишет|написал|"
    r"كتب|كتبت|كتب/ت|كتبَ|كتب ما يلي|כתב|כתבה|כתב/ה|כתב\(ה\)|מאת)"
)
_DATED = re.compile(rf"\d{{1,4}}[./\-:]\d{{1,2}}|\d{{4}}|[٠-٩]{{1,4}}|{_MAIL}")
_HEADS = re.compile(
    r"^[*_> ]*(from|sent|to|cc|subject|date|reply-to|"
    r"von|gesendet|an|betreff|datum|de|envoyé|à|objet|enviado|para|asunto|"
    r"من|إلى|الى|تاريخ الإرسال|تاريخ|التاريخ|تم الإرسال|أرسلت|الموضوع|نسخة|"
    r"מאת|אל|נשלח|תאריך|נושא|עותק)[\s*_]*:",
    re.IGNORECASE,
)
_FROM = re.compile(r"^[*_> ]*(from|von|de|من|מאת)[\s*_]*:", re.IGNORECASE)
_LINE = re.compile(
    r"^[-_=\s]*(original message|forwarded message|begin forwarded message|reply above this line|"
    r"ursprüngliche nachricht|message d'origine|mensaje original|"
    r"الرسالة الأصلية|رسالة أصلية|رسالة معاد توجيهها|הודעה מקורית|ההודעה המקורית|הודעה שהועברה)[-_=:\s]*$",
    re.IGNORECASE,
)
_RULE = re.compile(r"^\s*_{20,}\s*$")
_SIGNED = re.compile(
    r"^(sent from (my|outlook|mail for|yahoo|proton|samsung)|get outlook for|sent with |"
    r"تم الإرسال من |أُرسلت من |أرسلت من |مرسل من |مُرسَل من |"
    r"נשלח מה|נשלח מ-|נשלח מהאייפון|נשלח ממכשיר|הורד את outlook)",
    re.IGNORECASE,
)
_CONSIDERED = 5_000


@dataclass(frozen=True, slots=True)
class Split:
    """What was written, and what was folded under it."""

    text: str
    folded: str


def split(body: str) -> Split:
    """Take quotes and signature off the end. All quote and nothing else: then that is what they sent."""
    lines = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    end = _quote_begins(lines)
    end = _signature_begins(lines, end)
    # Answers written between the quotes: then everything is the answer.
    if any(_is_written(line) for line in lines[end:]) and _is_interleaved(lines, end):
        end = len(lines)
    text = "\n".join(lines[:end]).strip()
    if not text:
        return Split("\n".join(lines).strip(), "")
    return Split(text, "\n".join(lines[end:]).strip())


def _quote_begins(lines: list[str]) -> int:
    for number, line in enumerate(lines[:_CONSIDERED]):
        bare = _MARKS.sub("", line).strip()
        if not bare:
            continue
        if _LINE.match(bare) or (_FROM.match(bare) and _is_block(lines, number)):
            return number
        if _RULE.match(bare) and any(_FROM.match(_MARKS.sub("", one)) for one in lines[number + 1 : number + 4]):
            return number
        if (first := _wrote(lines, number)) is not None:
            return first
        if bare.startswith(">") and all(_is_quoted(one) for one in lines[number:]):
            return number
    return len(lines)


def _is_block(lines: list[str], number: int) -> bool:
    """A header block as Outlook quotes it: two heads more within the next lines."""
    near = [_MARKS.sub("", one).strip() for one in lines[number + 1 : number + 8]]
    return sum(bool(_HEADS.match(one)) for one in near) >= 2


def _wrote(lines: list[str], number: int) -> int | None:
    """Where the line that introduces a quote begins: clients break it over up to three lines."""
    joined = ""
    for more in range(3):
        if number + more >= len(lines) or (more and not lines[number + more].strip()):
            return None
        joined = f"{joined} {_MARKS.sub('', lines[number + more]).strip(' >')}".strip()
        if len(joined) > 400:
            return None
        if joined.endswith((":", "：")) and _WROTE.search(joined) and _DATED.search(joined):
            below = [one for one in lines[number + more + 1 : number + more + 6] if one.strip()]
            quoted = any(one.lstrip(" \u200e\u200f").startswith(">") for one in below)
            # Without a mark on what follows only the full form is believed: a date or an address, and the verb.
            return number if quoted or re.search(_MAIL, joined) or _begins_so(joined) else None
    return None


def _begins_so(joined: str) -> bool:
    return bool(re.match(r"(on|am|le|el|il|op|em|في|בתאריך|ביום)\s|ב-?\s?\d", joined, re.IGNORECASE))


def _is_quoted(line: str) -> bool:
    bare = _MARKS.sub("", line).strip()
    return not bare or bare.startswith(">")


def _is_written(line: str) -> bool:
    return bool(_MARKS.sub("", line).strip()) and not _is_quoted(line)


def _is_interleaved(lines: list[str], end: int) -> bool:
    """Whether there is newly written text between two runs of `>` lines under the cut."""
    marks = [_is_quoted(line) for line in lines[end:] if line.strip()]
    first = next((number for number, mark in enumerate(marks) if mark), None)
    if first is None:
        return False
    written = next((number for number in range(first, len(marks)) if not marks[number]), None)
    return written is not None and any(marks[written:])


def _signature_begins(lines: list[str], end: int) -> int:
    for number in range(end):
        bare = _MARKS.sub("", lines[number])
        # The mark of RFC 3676, 4.3; programs lose its blank.
        if bare in ("-- ", "--") or _SIGNED.match(bare.strip()):
            return number
    return end
