"""Searching the team's conversations: what was written, subjects, names, addresses, order numbers.

The index is `conversation_words`, made in the background from what triggers note in `search_queue`: whoever writes a
message pays for one small row, and nobody can forget to. Why a function of its own answers the question, and a role of
its own owns it: docs/decisions/search-under-rls.md.
"""

# ruff: noqa: S608 (statements are put together from names of our own; values are bound)

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import BigInteger, ColumnElement, Identity, Index, String, cast, delete, select, text, tuple_
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, mapped_column

from plugin.app import App
from plugin.conversations.conversations import Conversation
from plugin.conversations.messages import NOTE, Message
from plugin.crm import customers
from plugin.kernel import bulk, lexemes
from plugin.kernel.db import APP, FINDER, WORKSPACE_SETTING, Base, Tenant, Tx, tenant_key, too_much, unwritable
from plugin.kernel.lexemes import Asked, Piece
from plugin.kernel.personal import nobody
from plugin.kernel.text import search_key

log = structlog.get_logger(__name__)

MOST = 500
"""Conversations that a question finds, the latest ones: what lies further back is found by one word more."""

# A phrase is compared word by word, in so many of the latest of each span of weeks that hold all of its words.
_PHRASES = 2000

_BATCH = 200
# PostgreSQL 18, 12.11: positions end at 16 383, and a document at a megabyte.
_POSITIONS = 16_383
_WIDTHS = (255, 1023, 4095, _POSITIONS)
_BYTES = 500_000

# Each row also stands under its week: what is asked for is looked for in so many first.
_WEEK_SECONDS = 7 * 86_400
_WEEK = f"(extract(epoch FROM {{}})::bigint / {_WEEK_SECONDS})::integer"
_WEEKS = 4

_FIND = "ahlan_find"
_SIGNATURE = f"{_FIND}(tsquery, tsquery, text, integer)"

_DOCUMENT = [
    f"DROP POLICY IF EXISTS finding ON conversation_words; "
    f"CREATE POLICY finding ON conversation_words FOR SELECT TO {FINDER} USING (true); "
    f"REVOKE ALL ON conversation_words FROM {FINDER}; GRANT SELECT ON conversation_words TO {FINDER}",
    # Only its owner may replace a function, and the finder cannot sign in: made anew by whoever migrates, then given.
    f"DROP FUNCTION IF EXISTS {_SIGNATURE}",
    # From the latest weeks back, until there are enough: a common word costs no more than a rare one. Bitmaps only, and
    # a workspace that is compared by no index: any other way reads all of it. What a word is led by keeps workspaces
    # apart in the index; the setting that every transaction begins with keeps them apart for certain.
    f"""
CREATE FUNCTION {_FIND}(asked tsquery, loose tsquery, lead text, most integer)
RETURNS TABLE (found uuid, since timestamptz)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET enable_seqscan = off SET enable_indexscan = off
AS $$
DECLARE
    here uuid := nullif(current_setting('{WORKSPACE_SETTING}', true), '')::uuid;
    week integer := {_WEEK.format("now()")} + 1;
    span integer := {_WEEKS}; had integer; left_over integer := most;
    words tsquery := coalesce(loose, asked); weeks tsquery;
BEGIN
    LOOP
        weeks := CASE WHEN span = 0 THEN words ELSE words && (
            SELECT string_agg(quote_literal(lead || '@' || one), ' | ') FROM generate_series(week - span + 1, week) one
        )::tsquery END;
        RETURN QUERY SELECT f.conversation_id, f.at FROM (
            SELECT d.conversation_id, d.at, d.words FROM conversation_words d
            WHERE d.words @@ weeks AND d.workspace_id IS NOT DISTINCT FROM here
                AND (span > 0 OR {_WEEK.format("d.at")} <= week)
            ORDER BY d.at DESC LIMIT CASE WHEN loose IS NULL THEN left_over ELSE {_PHRASES} END
        ) f
        WHERE loose IS NULL OR f.words @@ asked
        ORDER BY f.at DESC LIMIT left_over;
        GET DIAGNOSTICS had = ROW_COUNT;
        left_over := left_over - had;
        EXIT WHEN left_over <= 0 OR span = 0;
        week := week - span;
        -- Where there are few, all the rest is looked at in one go.
        span := CASE WHEN span = {_WEEKS} AND had > most / 16 THEN 8 * span ELSE 0 END;
    END LOOP;
END $$""",
    f"REVOKE ALL ON FUNCTION {_SIGNATURE} FROM PUBLIC",
    f"GRANT EXECUTE ON FUNCTION {_SIGNATURE} TO {APP}",
    f"ALTER FUNCTION {_SIGNATURE} OWNER TO {FINDER}",
]


class ConversationWords(Tenant, Base):
    """The words of a conversation, or of a part of a long one: the messages from `start` on, 0 for its head too.

    A word stands at (position - start) * `width` and further; `at` is the last message's time. Its words are led by
    the workspace's own letters: the index is one for all workspaces, and each looks only among its own.
    """

    __tablename__ = "conversation_words"
    __table_args__ = (
        # Without a list of what is still to be sorted in: the background pays, not the one who searches.
        Index("ix_conversation_words", "words", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
        tenant_key("conversation_id", "conversations"),
        # Words lie beside the table: sorting many by time reads the little that is left.
        {
            "postgresql_with": {"toast_tuple_target": 128},
            # Made anew where the conversation went: its words are led by the workspace.
            "info": {"moves": "stays", "statements": _DOCUMENT},
        },
    )

    conversation_id: Mapped[UUID] = mapped_column(primary_key=True)
    start: Mapped[int] = mapped_column(primary_key=True)
    width: Mapped[int]
    at: Mapped[datetime]
    words: Mapped[Any] = mapped_column(TSVECTOR)


class SubjectWord(Tenant, Base):
    """A word of a conversation's subject, for whoever mistyped it. Ids grow with time: the latest stand together."""

    __tablename__ = "subject_words"
    __table_args__ = (
        Index(None, "workspace_id", "conversation_id"),
        tenant_key("conversation_id", "conversations"),
        # Made anew where the conversation went, with its other words.
        {"info": {"moves": "stays"}},
    )

    initial: Mapped[str] = mapped_column(String(collation="C"), primary_key=True)
    conversation_id: Mapped[UUID] = mapped_column(primary_key=True)
    term: Mapped[str] = mapped_column(String(collation="C"), primary_key=True)


# Which conversation, and from which position on. Run with the rights of whoever changes something.
_NOTED = {
    "ahlan_search_said": (
        "messages", "INSERT", "REFERENCING NEW TABLE AS made FOR EACH STATEMENT",
        "SELECT workspace_id, conversation_id, min(position) FROM made GROUP BY 1, 2",
    ),
    "ahlan_search_unsaid": (
        "messages", "DELETE", "REFERENCING OLD TABLE AS gone FOR EACH STATEMENT",
        "SELECT workspace_id, conversation_id, min(position) FROM gone GROUP BY 1, 2",
    ),
    # A message may also go into another conversation.
    "ahlan_search_changed": (
        "messages", "UPDATE OF text, conversation_id, position", "FOR EACH ROW",
        "VALUES (OLD.workspace_id, OLD.conversation_id, OLD.position), "
        "(NEW.workspace_id, NEW.conversation_id, NEW.position)",
    ),
    "ahlan_search_named": (
        "conversations", "UPDATE OF subject, reply_email, visitor_id", "FOR EACH ROW",
        "VALUES (NEW.workspace_id, NEW.id, 0)",
    ),
    "ahlan_search_typed": (
        "visitors", "UPDATE OF typed_name, typed_email", "FOR EACH ROW",
        "SELECT c.workspace_id, c.id, 0 FROM conversations c "
        "WHERE c.workspace_id = NEW.workspace_id AND c.visitor_id = NEW.id",
    ),
}  # fmt: skip


def _watching() -> Iterator[str]:
    for name, (table, when, how, which) in _NOTED.items():
        yield f"DROP TRIGGER IF EXISTS {name} ON {table}"
        yield (
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql "
            "SET search_path = pg_catalog, public, pg_temp AS $$ BEGIN "
            f"INSERT INTO search_queue (workspace_id, conversation_id, start) {which}; RETURN NULL; END $$"
        )
        yield f"CREATE TRIGGER {name} AFTER {when} ON {table} {how} EXECUTE FUNCTION {name}()"


class SearchQueue(Base):
    """A conversation whose words changed from a position on. Rows go once the index says what they noted."""

    __tablename__ = "search_queue"
    __table_args__ = (
        {
            "info": {
                "access": "queue",
                "grants": "SELECT, INSERT",
                "moves": "stays",
                "statements": list(_watching()),
                **nobody("which conversations have changed"),
            }
        },
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    workspace_id: Mapped[UUID]
    conversation_id: Mapped[UUID]
    start: Mapped[int]


# Filling the index


async def drain(app: App, *, limit: int | None = None) -> int:
    """Bring the index up to what was noted, at most `limit` batches of it; returns how many conversations.

    Any number of processes may do so at once. One that dies half-way leaves its rows to the next.
    """
    done = 0
    while limit is None or limit > 0:
        async with app.db.queue.begin() as queue:
            rows = (await queue.execute(text(_CLAIM))).all()
            changed: dict[UUID, dict[UUID, int]] = defaultdict(dict)
            for row in rows:
                known = changed[row.workspace_id].get(row.conversation_id, row.start)
                changed[row.workspace_id][row.conversation_id] = min(known, row.start)
            for workspace_id, since in changed.items():
                await _index(app, workspace_id, since)
                done += len(since)
        if not rows:
            return done
        limit = None if limit is None else limit - 1
    return done


_CLAIM = f"""
DELETE FROM search_queue WHERE id IN
    (SELECT id FROM search_queue ORDER BY id LIMIT {_BATCH} FOR UPDATE SKIP LOCKED)
RETURNING workspace_id, conversation_id, start
"""


async def _index(app: App, workspace_id: UUID, since: Mapping[UUID, int]) -> None:
    """One workspace's part of a batch. Words that PostgreSQL cannot hold are left out alone, and that is said."""
    try:
        async with app.db.transaction(workspace_id) as tx:
            await index(tx, since)
    except DBAPIError as error:
        if not (unwritable(error) or too_much(error)):
            raise
        if len(since) == 1:
            log.error("not_indexed", conversation=str(next(iter(since))))
            return
        for conversation_id, start in since.items():
            await _index(app, workspace_id, {conversation_id: start})


async def index(tx: Tx, since: Mapping[UUID, int]) -> None:
    """Make the words of conversations anew, each from the part on that holds the position `since` names."""
    # One at a time in a workspace: what is read here is what was last committed, and nobody older writes after us.
    await tx.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:turn, 0))"), {"turn": f"search {tx.workspace_id}"}
    )
    asked = bulk.dump([{"id": id, "start": start} for id, start in since.items()])
    starts = {
        row.id: row.start for row in await tx.execute(text(_STARTS), {"workspace": tx.workspace_id, "rows": asked})
    }
    asked = bulk.dump([{"id": id, "start": start} for id, start in starts.items()])
    lines: dict[UUID, list[_Line]] = {}
    subjects: dict[UUID, str] = {}
    for row in await tx.execute(text(_HEADS), {"workspace": tx.workspace_id, "rows": asked}):
        subjects[row.id] = row.subject
        head = [row.subject, row.typed_name, row.typed_email, row.reply_email]
        lines[row.id] = [_Line(0, row.at, " ".join(filter(None, head)))] if row.start == 0 else []
    for row in await tx.execute(text(_LINES), {"workspace": tx.workspace_id, "rows": asked}):
        lines[row.id].append(_Line(row.position, row.at, row.text))
    made = [
        {"conversation_id": id, **part}
        for id, said in lines.items()
        for part in _parts(said, starts[id], leading(tx.workspace_id))
    ]
    kept = bulk.dump([{"id": row["conversation_id"], "start": row["start"]} for row in made])
    await _keep_subjects(tx, subjects)
    await tx.execute(text(_LEAVE), {"workspace": tx.workspace_id, "rows": asked, "kept": kept})
    await bulk.insert(tx, ConversationWords, made, key=("conversation_id", "start"))


async def _keep_subjects(tx: Tx, subjects: Mapping[UUID, str]) -> None:
    """The words of these subjects and no others; nothing is written where they are there already."""
    here = {
        (id, word)
        for id, subject in subjects.items()
        for word in search_key(subject).split()[:_SUBJECT_WORDS]
        if _mendable(word)
    }
    there = {
        (row.conversation_id, row.term)
        for row in await tx.execute(
            select(SubjectWord.conversation_id, SubjectWord.term).where(
                SubjectWord.workspace_id == tx.workspace_id, SubjectWord.conversation_id.in_(subjects)
            )
        )
    }
    if gone := there - here:
        await tx.execute(
            delete(SubjectWord).where(
                SubjectWord.workspace_id == tx.workspace_id,
                tuple_(SubjectWord.conversation_id, SubjectWord.term).in_(gone),
            )
        )
    await bulk.insert(
        tx,
        SubjectWord,
        [{"initial": word[0], "conversation_id": id, "term": word} for id, word in here - there],
        key=("initial", "conversation_id", "term"),
        update=(),
    )


_SUBJECT_WORDS = 20


def _mendable(word: str) -> bool:
    """Whether somebody could mistype it so that it is still known: short words are like too many others. Pure."""
    return 4 <= len(word) <= 40 and any(character.isalpha() for character in word)


_ASKED = "json_to_recordset(CAST(:rows AS json)) AS r(id uuid, start integer)"

# Words that end where the part begins are there already. One that is not there yet is made from its head on.
_STARTS = f"""
SELECT r.id, coalesce((SELECT max(w.start) FROM conversation_words w
    WHERE w.workspace_id = :workspace AND w.conversation_id = r.id AND w.start <= r.start), 0) AS start FROM {_ASKED}
"""

_HEADS = f"""
SELECT c.id, r.start, c.last_message_at AS at, c.subject, c.reply_email, coalesce(v.typed_name, '') AS typed_name,
    coalesce(v.typed_email, '') AS typed_email
FROM {_ASKED} JOIN conversations c ON c.workspace_id = :workspace AND c.id = r.id
LEFT JOIN visitors v ON v.workspace_id = :workspace AND v.id = c.visitor_id
"""

_LINES = f"""
SELECT m.conversation_id AS id, m.position, m.created_at AS at, m.text FROM {_ASKED}
JOIN messages m ON m.workspace_id = :workspace AND m.conversation_id = r.id AND m.position >= r.start
JOIN conversations c ON c.workspace_id = :workspace AND c.id = r.id
ORDER BY m.conversation_id, m.position
"""

_LEAVE = f"""
DELETE FROM conversation_words w USING {_ASKED}
WHERE w.workspace_id = :workspace AND w.conversation_id = r.id AND w.start >= r.start AND NOT EXISTS (
    SELECT FROM json_to_recordset(CAST(:kept AS json)) AS k(id uuid, start integer)
    WHERE k.id = w.conversation_id AND k.start = w.start)
"""


@dataclass(frozen=True, slots=True)
class _Line:
    position: int
    at: datetime
    text: str


def leading(workspace_id: UUID) -> str:
    """What a workspace's words begin with in the index. Two may share it: it saves work, and guards nothing."""
    return workspace_id.hex[-8:]


def _parts(lines: Sequence[_Line], start: int, lead: str) -> Iterator[dict[str, Any]]:
    """The rows of a conversation from `start` on: as few as PostgreSQL's limits allow. Pure."""
    part = _Part(start, lead)
    for line in lines:
        said = lexemes.words(line.text)
        if not part.takes(line, said):
            yield part.row()
            part = _Part(line.position, lead)
            part.takes(line, said)
    if part.at is not None:
        yield part.row()


@dataclass(slots=True)
class _Part:
    """Lines that stand in one row."""

    start: int
    lead: str
    width: int = _WIDTHS[0]
    size: int = 0
    at: datetime | None = None
    lines: list[tuple[int, list[str]]] = field(default_factory=list)

    def takes(self, line: _Line, said: list[str]) -> bool:
        """Add a line if there is room: always for the first."""
        # One place stays free behind each: the end of one message and the beginning of the next are no phrase.
        width = max(self.width, next((width for width in _WIDTHS if len(said) < width), _WIDTHS[-1]))
        size = self.size + sum(len(form.encode()) + 24 for word in said for form in lexemes.kept(word))
        if self.lines and (line.position - self.start >= _POSITIONS // width or size > _BYTES):
            return False
        self.width, self.size, self.at = width, size, line.at if self.at is None else max(self.at, line.at)
        self.lines.append((line.position, said))
        return True

    def row(self) -> dict[str, Any]:
        """Its columns; `words` as PostgreSQL reads a tsvector. Words are letters and digits: nothing to quote."""
        places: dict[str, list[int]] = defaultdict(list)
        for position, said in self.lines:
            first = (position - self.start) * self.width + 1
            for number, word in enumerate(said):
                for form in lexemes.kept(word):
                    places[form].append(min(first + number, _POSITIONS))
        words = " ".join(f"'{self.lead}{form}':{','.join(map(str, at))}" for form, at in places.items())
        assert self.at is not None
        words += f" '{self.lead}@{int(self.at.timestamp()) // _WEEK_SECONDS}'"
        return {"start": self.start, "width": self.width, "at": self.at, "words": words}


# Asking


@dataclass(frozen=True, slots=True)
class Found:
    """Conversations that a question finds, the latest first; `more`: there are others, further back."""

    ids: Sequence[UUID]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a conversation says it: `position` of the message, 0 for its subject or who wrote it; the line itself."""

    position: int
    pieces: Sequence[Piece]
    author: str = ""
    note: bool = False


async def conversations(tx: Tx, said: Sequence[str], *, most: int | None = None) -> Found:
    """The conversations that hold all the words, said in them or known of the person: name, address, order number.

    At most `most` of them for each way they can be found (None: 500), the latest.
    """
    most = most or MOST
    questions = lexemes.asked(said)
    if not questions:
        return Found([])
    found = await _written(tx, questions, most)
    naming = {one for one in said if len(said) == 1 or await customers.found(tx, one, 1)}
    for known, written in _splits(said):
        if not naming.issuperset(known):
            continue
        theirs = await _of_people(tx, known, most)
        found += await _written_in(tx, lexemes.asked(written), theirs) if written and theirs else theirs
        if not written and theirs:
            break
    ids = list(dict.fromkeys(found))
    return Found(ids, more=len(ids) >= most)


def _splits(said: Sequence[str]) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    """What may name the person, and what was said: all of it, then in either order ("Layla refund", "refund Layla")."""
    yield said, ()
    if len(said) > lexemes.MOST // 2:
        return
    for cut in range(len(said) - 1, 0, -1):
        yield said[:cut], said[cut:]
        yield said[cut:], said[:cut]


async def _written(tx: Tx, questions: Sequence[Asked], most: int) -> list[UUID]:
    """The latest conversations that say it."""
    loose = any(len(question.parts) > 1 for question in questions)
    rows = await tx.execute(
        text(f"SELECT found FROM {_FIND}(CAST(:asked AS tsquery), CAST(:loose AS tsquery), :lead, :most)"),
        {
            "asked": _all(questions, tx.workspace_id),
            "loose": _all(questions, tx.workspace_id, " & ") if loose else None,
            "lead": leading(tx.workspace_id),
            "most": most,
        },
    )
    return [row.found for row in rows]


async def _written_in(tx: Tx, questions: Sequence[Asked], ids: Sequence[UUID]) -> list[UUID]:
    """Those of these conversations that say it: so few are read one by one."""
    rows = await tx.scalars(
        text(
            "SELECT conversation_id FROM conversation_words WHERE workspace_id = :workspace "
            "AND conversation_id = ANY (CAST(:ids AS uuid[])) AND words @@ CAST(:asked AS tsquery) ORDER BY at DESC"
        ),
        {"workspace": tx.workspace_id, "ids": list(ids), "asked": _all(questions, tx.workspace_id)},
    )
    return list(rows)


def asks(word: str) -> bool:
    """Whether there is anything in it that could be said. Pure."""
    return bool(lexemes.asked([word]))


def unsaid(tx: Tx, word: str) -> ColumnElement[bool]:
    """As a condition on `Conversation`: nobody says this word, or phrase, in it. Looks only at what a list shows."""
    said = (
        select(ConversationWords.start)
        .where(
            ConversationWords.workspace_id == tx.workspace_id,
            ConversationWords.conversation_id == Conversation.id,
            ConversationWords.words.op("@@")(cast(_all(lexemes.asked([word]), tx.workspace_id), TSQUERY)),
        )
        .correlate(Conversation)
    )
    return ~said.exists()


def _all(questions: Sequence[Asked], workspace_id: UUID, between: str = " <-> ") -> str:
    """All of them as a tsquery; `between` joins the words of a phrase."""
    lead = leading(workspace_id)
    return " & ".join(_query(question, lead, between) for question in questions)


def _query(question: Asked, lead: str, between: str) -> str:
    """A tsquery. Words consist of letters and digits: nothing to quote."""
    if len(question.parts) > 1:
        parts = [f"'{lead}{part}'" for part in question.parts]
        return f"({between.join(parts)})"
    ways = sorted(f"'{lead}{form}'" for form in question.exact)
    if question.prefix:
        ways.append(f"'{lead}{question.parts[0]}':*")
    return f"({' | '.join(ways)})"


async def _of_people(tx: Tx, said: Sequence[str], most: int) -> list[UUID]:
    """Conversations with the people whom all these words name."""
    people = await customers.found(tx, " ".join(said), limit=_PEOPLE)
    if not people:
        return []
    rows = await tx.scalars(
        text(
            "SELECT c.id FROM (SELECT unnest(CAST(:people AS uuid[])) AS id UNION ALL SELECT id FROM customers "
            "WHERE workspace_id = :workspace AND merged_into = ANY (CAST(:people AS uuid[]))) p "
            "JOIN conversations c ON c.workspace_id = :workspace AND c.customer_id = p.id "
            "ORDER BY c.last_message_at DESC LIMIT :most"
        ),
        {"workspace": tx.workspace_id, "people": people, "most": most},
    )
    return list(rows)


_PEOPLE = 200


async def meant(tx: Tx, said: Sequence[str]) -> str:
    """What somebody who found nothing may have meant: each word that nobody is called and nobody wrote gives way to the
    one that is most like it, of names, addresses and the latest subjects. Empty when nothing is.

    A slip in a word's first letter is not seen through; neither is one in what was written in messages.
    """
    words = [word for one in said for word in one.split()][:_MENDED]
    better = [await _better(tx, word) for word in words]
    return " ".join(near or word for near, word in zip(better, words, strict=True)) if any(better) else ""


_MENDED = 6


async def _better(tx: Tx, word: str) -> str:
    questions = lexemes.asked([word])
    if (questions and await _written(tx, questions, 1)) or await customers.found(tx, word, 1):
        return ""
    key = search_key(word)
    alike = list(await customers.alike(tx, word))
    if "@" not in word and _mendable(key) and " " not in key:
        alike += [
            (row.likeness, row.term)
            for row in await tx.execute(
                _ALIKE,
                {"workspace": tx.workspace_id, "word": key, "initial": key[0], "least": len(key) - 2,
                 "most": len(key) + 2, "scan": _SCAN},
            )
        ]  # fmt: skip
    return max(alike, default=(0.0, ""))[1]


# Only so many words of the latest subjects that begin with the same letter are looked at, however many there are.
_SCAN = 6_000
_ALIKE = text("""
SELECT near.term, similarity(near.term, :word) AS likeness FROM (
    SELECT DISTINCT late.term FROM (
        SELECT term FROM subject_words WHERE workspace_id = :workspace AND initial = :initial
        ORDER BY conversation_id DESC LIMIT :scan
    ) late WHERE length(late.term) BETWEEN :least AND :most
) near
WHERE similarity(near.term, :word) >= 0.3 ORDER BY likeness DESC, near.term LIMIT 1
""")


async def hits(tx: Tx, said: Sequence[str], ids: Sequence[UUID]) -> Mapping[UUID, Hit]:
    """For each of these conversations that says it: the message with the most of the words, the latest of several."""
    questions = lexemes.asked(said)
    if not questions or not ids:
        return {}
    best = await _best(tx, questions, ids)
    rows = await tx.execute(
        select(Message.conversation_id, Message.position, Message.text, Message.author, Message.kind).where(
            Message.workspace_id == tx.workspace_id,
            text("(messages.conversation_id, messages.position) IN (SELECT id, start FROM " + _ASKED + ")").bindparams(
                rows=bulk.dump([{"id": id, "start": position} for id, position in best.items()])
            ),
        )
    )
    found = {
        row.conversation_id: Hit(row.position, _line(row.text, questions), row.author, row.kind == NOTE) for row in rows
    }
    headed = [id for id, position in best.items() if position == 0]
    if headed:
        subjects = await tx.execute(
            select(Conversation.id, Conversation.subject).where(
                Conversation.workspace_id == tx.workspace_id, Conversation.id.in_(headed)
            )
        )
        found |= {row.id: Hit(0, pieces) for row in subjects if _says(pieces := _line(row.subject, questions))}
    return found


def _line(said: str, questions: Sequence[Asked]) -> list[Piece]:
    return lexemes.excerpt(lexemes.marked(said, questions))


def _says(pieces: Sequence[Piece]) -> bool:
    return any(piece.found for piece in pieces)


async def _best(tx: Tx, questions: Sequence[Asked], ids: Sequence[UUID]) -> dict[UUID, int]:
    """The position of the line to show of each conversation, read from where the words stand in the index."""
    lead = leading(tx.workspace_id)
    forms: dict[str, list[int]] = defaultdict(list)
    beginnings: list[tuple[str, int]] = []
    for number, question in enumerate(questions):
        for form in question.parts if len(question.parts) > 1 else question.exact:
            forms[f"{lead}{form}"].append(number)
        if question.prefix:
            beginnings.append((f"{lead}{question.parts[0]}", number))
    rows = await tx.execute(
        text(
            "SELECT w.conversation_id AS id, w.start, w.width, u.lexeme, u.positions FROM conversation_words w "
            "CROSS JOIN LATERAL unnest(w.words) u WHERE w.workspace_id = :workspace "
            "AND w.conversation_id = ANY (CAST(:ids AS uuid[])) AND (u.lexeme = ANY (CAST(:forms AS text[])) "
            "OR u.lexeme LIKE ANY (CAST(:beginnings AS text[])))"
        ),
        {
            "workspace": tx.workspace_id,
            "ids": list(ids),
            "forms": list(forms),
            "beginnings": [f"{form}%" for form, _number in beginnings],
        },
    )
    said: dict[UUID, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        numbers = {*forms.get(row.lexeme, ()), *(n for form, n in beginnings if row.lexeme.startswith(form))}
        for place in row.positions:
            said[row.id][row.start + (place - 1) // row.width] |= numbers
    return {
        id: max(lines, key=lambda position: (len(lines[position]), position > 0, position))
        for id, lines in said.items()
    }
