"""Opening a mailbox: each failure has its name, nothing private is reached, and no server makes us hold too much."""

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integrations.channels.email import imap
from integrations.channels.email.imap import Mailboxes
from plugin.channel import Account, ReadingFailed, Trouble
from plugin.kernel.http import Guard
from tests.mailroom import PASSWORD, SERVERS, USER, MailServer, certificate, imap_server, written


@pytest.fixture(params=SERVERS)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MailServer]:
    async with imap_server(request.param, tmp_path) as made:
        yield made


def _home(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def account(server: MailServer) -> Account:
    return Account("localhost", server.port, USER, PASSWORD, wrapped=True, guarded=True)


async def trouble(boxes: Mailboxes, account: Account, folder: str = "INBOX") -> ReadingFailed:
    with pytest.raises(ReadingFailed) as failed:
        async with boxes.open(account, folder):
            raise AssertionError("it opened")
    boxes.close()
    return failed.value


async def test_it_opens_by_either_kind_of_encryption(server: MailServer) -> None:
    boxes = Mailboxes(_home, server.trust)
    await server.deliver(written("hello", sender="layla@example.com", to=USER))
    for port, wrapped in ((server.port, True), (server.starttls_port, False)):
        async with boxes.open(replace(account(server), port=port, wrapped=wrapped), "INBOX") as opened:
            assert (opened.count, opened.tells) == (1, True)
            [letter] = await opened.after(0, 10)
            assert letter.uid == opened.next_uid - 1
            fetched = await opened.fetch(letter)
            assert fetched is not None
            assert fetched[1].endswith(b"hello\r\n")
            assert await opened.after(letter.uid, 10) == [], "the last letter is not told again"
    assert await server.count("UNSEEN") == 1, "looking is not reading"
    boxes.close()


async def test_a_wrong_password_and_a_folder_that_is_none(server: MailServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    failed = await trouble(Mailboxes(_home, server.trust), replace(account(server), password="not-this-one"))
    assert failed.trouble is Trouble.LOGIN
    failed = await trouble(Mailboxes(_home, server.trust), account(server), "Elsewhere")
    assert failed.trouble is Trouble.FOLDER
    noted = "".join(record.getMessage() for record in caplog.records if record.name.startswith("imapclient"))
    assert noted
    assert PASSWORD not in noted
    assert "not-this-one" not in noted
    assert "Elsewhere" not in noted, "nor anything else that goes over the wire"


async def test_letters_of_any_script_in_a_password(server: MailServer) -> None:
    failed = await trouble(Mailboxes(_home, server.trust), replace(account(server), password="كلمة السر"))
    assert failed.trouble is Trouble.LOGIN


async def test_a_certificate_that_nobody_vouches_for_or_of_another_name(server: MailServer, tmp_path: Path) -> None:
    failed = await trouble(Mailboxes(_home, ssl.create_default_context()), account(server))
    assert failed.trouble is Trouble.CERTIFICATE
    failed = await trouble(Mailboxes(_home, server.trust), replace(account(server), host="mail.example"))
    assert failed.trouble is Trouble.CERTIFICATE
    by_starttls = replace(account(server), host="mail.example", port=server.starttls_port, wrapped=False)
    failed = await trouble(Mailboxes(_home, server.trust), by_starttls)
    assert failed.trouble is Trouble.CERTIFICATE


async def test_the_wrong_kind_of_encryption_for_a_port(server: MailServer) -> None:
    failed = await trouble(Mailboxes(_home, server.trust), replace(account(server), port=server.starttls_port))
    assert failed.trouble is Trouble.NO_TLS


async def test_private_addresses_and_unknown_names() -> None:
    context = ssl.create_default_context()
    private = Account("127.0.0.1", 993, USER, PASSWORD, wrapped=True, guarded=True)
    assert (await trouble(Mailboxes(Guard().check_host, context), private)).trouble is Trouble.PRIVATE
    for host in ("169.254.169.254", "10.0.0.1", "[::1]".strip("[]")):
        failed = await trouble(Mailboxes(Guard().check_host, context), replace(private, host=host))
        assert failed.trouble is Trouble.PRIVATE, host
    unknown = replace(private, host="there-is-no-such-host.invalid")
    assert (await trouble(Mailboxes(Guard().check_host, context), unknown)).trouble is Trouble.UNKNOWN_HOST


async def test_nobody_answers() -> None:
    closed = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = closed.sockets[0].getsockname()[1]
    closed.close()
    await closed.wait_closed()
    nobody = Account("localhost", port, USER, PASSWORD, wrapped=True, guarded=True)
    assert (await trouble(Mailboxes(_home, ssl.create_default_context()), nobody)).trouble is Trouble.UNREACHABLE


# Servers that mean us harm


@asynccontextmanager
async def speaking(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]], folder: Path
) -> AsyncIterator[tuple[Account, Mailboxes]]:
    proof = certificate(folder)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=proof.server())
    boxes = Mailboxes(_home, proof.believer())
    yield Account("localhost", server.sockets[0].getsockname()[1], USER, PASSWORD, True, guarded=True), boxes
    boxes.close()
    server.close()


async def _usual(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, special: dict[bytes, bytes]) -> None:
    """A server of a few words; `special` says what stands before its OK."""
    special = {b"CAPABILITY": b"* CAPABILITY IMAP4rev1\r\n", **special}
    writer.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
    while line := await reader.readline():
        tag, _blank, rest = line.strip().partition(b" ")
        word = rest.removeprefix(b"UID ").split(b" ")[0].upper()
        writer.write(special.get(word, b"") + tag + b" OK done\r\n")
        await writer.drain()


async def test_a_literal_longer_than_any_letter_is_not_begun(tmp_path: Path) -> None:
    bomb = {b"SELECT": b"* OK [UIDVALIDITY 1]\r\n* OK [UIDNEXT 2]\r\n", b"SEARCH": b"* SEARCH {99999999999}\r\n"}
    async with (
        speaking(lambda reader, writer: _usual(reader, writer, bomb), tmp_path) as (account, boxes),
        boxes.open(account, "INBOX") as opened,
    ):
        with pytest.raises(ReadingFailed, match="announced 99999999999 bytes"):
            await opened.after(0, 10)


@pytest.mark.parametrize(
    "unit", [b"* 1 FETCH (BODY[] {100000}\r\n" + b"x" * 100_000 + b")\r\n", b"* OK blah\r\n" * 9000]
)
async def test_many_words_to_one_question_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit: bytes
) -> None:
    monkeypatch.setattr(imap, "_AT_ONCE", 2_000_000)
    flood = {b"SELECT": b"* OK [UIDVALIDITY 1]\r\n* OK [UIDNEXT 2]\r\n", b"SEARCH": unit * 30}
    async with (
        speaking(lambda reader, writer: _usual(reader, writer, flood), tmp_path) as (account, boxes),
        boxes.open(account, "INBOX") as opened,
    ):
        with pytest.raises(ReadingFailed, match="more than 2000000 bytes to one question"):
            await opened.after(0, 10)


async def test_what_was_said_before_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap, "_AT_ONCE", 2_000_000)
    much = {b"SELECT": b"* OK [UIDVALIDITY 1]\r\n* OK [UIDNEXT 2]\r\n", b"SEARCH": b"* OK blah\r\n" * 100_000}
    async with (
        speaking(lambda reader, writer: _usual(reader, writer, much), tmp_path) as (account, boxes),
        boxes.open(account, "INBOX") as opened,
    ):
        for _time in range(3):
            assert await opened.after(0, 10) == []


async def test_a_server_that_falls_silent_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap, "_STEP_SECONDS", 0.3)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK [CAPABILITY IMAP4rev1] ready\r\n")
        while line := await reader.readline():
            if b"SEARCH" in line:
                await reader.read()
                return
            told = b"* CAPABILITY IMAP4rev1\r\n* OK [UIDVALIDITY 1]\r\n* OK [UIDNEXT 2]\r\n"
            writer.write(told + line.split(b" ")[0] + b" OK done\r\n")

    async with speaking(silent, tmp_path) as (account, boxes), boxes.open(account, "INBOX") as opened:
        with pytest.raises(ReadingFailed, match="no answer"):
            await opened.after(0, 10)


async def test_who_speaks_something_else_is_no_mail_server(tmp_path: Path) -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with speaking(web, tmp_path) as (account, boxes):
        assert (await trouble(boxes, account)).trouble is Trouble.NO_IMAP


async def test_a_server_without_idle_is_asked_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap, "_POLL_SECONDS", 0.05)
    told = {b"SELECT": b"* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 2]\r\n"}
    async with (
        speaking(lambda reader, writer: _usual(reader, writer, told), tmp_path) as (account, boxes),
        boxes.open(account, "INBOX") as opened,
    ):
        assert (opened.tells, opened.validity) == (False, 7)
        await opened.wait(60)
        assert await opened.after(0, 10) == []


@pytest.mark.parametrize("word", [b"SEARCH", b"IDLE"])
async def test_a_letter_announced_beside_an_answer_is_not_waited_for(tmp_path: Path, word: bytes) -> None:
    """It came while the server answered: the announcement arrives with the answer, and is made once."""
    selected = b"* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 2]\r\n* 1 EXISTS\r\n"

    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK [CAPABILITY IMAP4rev1 IDLE] ready\r\n")
        searches = 0
        while line := await reader.readline():
            tag = line.split(b" ")[0]
            news = b"* 2 EXISTS\r\n" if word in line else b""
            if b"IDLE" in line:
                writer.write(b"+ idling\r\n" + news)
                assert await reader.readline() == b"DONE\r\n"
                news = b""
            elif b"SEARCH" in line:
                searches += 1
                writer.write(b"* SEARCH" + b" 2" * (searches > 1) + b"\r\n")
            elif b"FETCH" in line:
                writer.write(b"* 2 FETCH (UID 2 RFC822.SIZE 9)\r\n")
            elif b"SELECT" in line:
                writer.write(selected)
            elif b"CAPABILITY" in line:
                writer.write(b"* CAPABILITY IMAP4rev1 IDLE\r\n")
            writer.write(news + tag + b" OK done\r\n")
            await writer.drain()

    async with speaking(busy, tmp_path) as (account, boxes), boxes.open(account, "INBOX") as opened:
        assert await opened.after(1, 10) == []
        async with asyncio.timeout(10):
            await opened.wait(60)
        assert [letter.uid for letter in await opened.after(1, 10)] == [2]


async def test_the_first_letter_since_a_moment_is_told_among_many(server: MailServer) -> None:
    boxes, now = Mailboxes(_home, server.trust), time.time()
    ages = (400_000, 90_000, 3_000, 200, 100)
    for age in ages:
        await server.deliver(written(f"{age} s ago", sender="layla@example.com", to=USER), at=now - age)
    async with boxes.open(account(server), "INBOX") as opened:
        uids = [letter.uid for letter in await opened.after(0, 10)]
        for seconds, first in ((500_000, uids[0]), (3_000, uids[2]), (150, uids[4]), (0, opened.next_uid)):
            assert await opened.first_since(datetime.fromtimestamp(now - seconds, UTC)) == first
    boxes.close()


async def test_whatever_a_server_says_it_has_one_name(tmp_path: Path) -> None:
    nonsense = {b"SELECT": b"* \xff\xfe {\r\n"}
    async with speaking(lambda reader, writer: _usual(reader, writer, nonsense), tmp_path) as (account, boxes):
        assert (await trouble(boxes, account)).trouble is Trouble.BROKEN
