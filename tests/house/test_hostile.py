"""Thousands of requests that nobody honest sends, to every address: never an error of ours, never another's byte.

`AHLAN_HOSTILE_REQUESTS=10000` makes it the long run, `AHLAN_HOSTILE_SEED` repeats another one.
"""

import json
import os
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_from_bytes, urlencode
from uuid import UUID, uuid4

import jwt
import pytest
from starlette.routing import BaseRoute, WebSocketRoute

import admin_ui
import integrations
import plugin.widget
from admin_ui.pages import privacy as privacy_page
from integrations.woocommerce import pairing
from plugin import bootstrap, team
from plugin.app import App
from plugin.crm import visitors
from plugin.kernel.crypto import Vault
from plugin.stores import Store
from plugin.widget import session
from plugin.widget.session import Pass
from tests.house.sides import Asked, Side, ask, build, holds, rows, shopify_token, unreachable, wordpress_token

REQUESTS = int(os.environ.get("AHLAN_HOSTILE_REQUESTS", "1200"))
SEED = int(os.environ.get("AHLAN_HOSTILE_SEED", "20261122"))
# What a stranger before a shop may add to its workspace; nothing that is there already may change.
SHOPPERS = {"visitors", "conversations", "messages", "attachments", "events"}


# What to send

TEXTS = (
    "",
    " ",
    "0",
    "-1",
    "1e999",
    "9" * 40,
    "9" * 5_000,
    "²",
    "null",
    "[]",
    "../../etc/passwd",
    "..%2f..%2f",
    "\x00",
    "a\x00b",
    "\u202e",
    "%",
    "%00",
    "%ff",
    "{{ shop.email }}",
    "{% render 'x' %}",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "' OR 1=1 --",
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "javascript:alert(1)",
    "x" * 5_000,
    "é" * 600,
    "\ufeff",
    "true",
    "inf",
    "NaN",
    "2026-99-99",
    "٣",
    "\u2028",
    "a@b",
    "a" * 300 + "@mail.example",
    "+1" * 30,
    "ar",
    "owner",
    "conversations",
    "status:snoozed",
    "me-again@shop.example",
    "http://169.254.169.254/latest/",
    "http://localhost:5432/",
    "\r\nset-cookie: a=b",
)
# Beside what `_asked_for` finds in the code: fields of JSON, and what platforms put into an address.
NAMES = (
    "accent", "admin", "assignee", "attachments", "client_id", "consumer_key", "consumer_secret", "email", "files",
    "hidden", "hmac", "host", "identity", "key_id", "key_permissions", "limit", "logged_in_customer_id", "merge",
    "page", "path_prefix", "query", "reply", "secret", "seq", "shop", "shopify-reload", "signature", "status",
    "store", "text", "timestamp", "title", "url",
)  # fmt: skip
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "BREW")
OVERSIZED = [b"a" * (1 << 20)] * 13
DEEP = b"[" * 20_000


def _asked_for() -> dict[str, tuple[str, ...]]:
    """What the module of each handler reads from forms and addresses, by the handler's name."""
    words = r'(?:form|query|query_params|said)(?:\(\))?\)?\.get(?:list)?\(\s*"([\w-]+)"'
    found: dict[str, set[str]] = {}
    for package in (admin_ui, plugin.widget, integrations):
        for path in Path(next(iter(package.__path__))).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            names = {} if "simulator" in path.parts else set(re.findall(words, text))
            for handler in re.findall(r"^ *(?:async )?def (\w+)", text, re.MULTILINE) if names else ():
                found.setdefault(handler, set()).update(names)
    # The form's fields are the kinds themselves.
    found["save_keeping"] |= privacy_page.KEPT.keys()
    found["preview"] |= privacy_page.KEPT.keys()
    return {handler: tuple(sorted(names)) for handler, names in found.items()}


class Hostile:
    """Makes requests out of a seed: somebody with rights in `mine`, who wants what is in `theirs`."""

    def __init__(self, app: App, routes: list[BaseRoute], mine: Side, theirs: Side, seed: int) -> None:
        self.app, self.mine, self.theirs = app, mine, theirs
        self.random = random.Random(seed)
        self.routes = routes
        self.asked_for = _asked_for()
        self.everything = tuple(sorted({*NAMES, *(name for names in self.asked_for.values() for name in names)}))
        other = Vault({"other": bytes(32)})
        self.session_id: UUID | None = None
        own, there = self._passes(mine, mine), self._passes(theirs, theirs)
        self.good = session.issue(app.vault, own)
        named = {
            "w": theirs.workspace_id.hex,
            "s": theirs.ids["stores"].hex,
            "v": theirs.ids["visitors"].hex,
            "c": theirs.ids["customers"].hex,
            "t": theirs.ids["conversations"].hex,
            "l": "ar",
            "a": str(theirs.ids["attachments"]),
        }
        body, _dot, mac = self.good.partition(".")
        stolen = session.issue(other, there)
        now = int(time.time())
        aimed = jwt.decode(shopify_token(app, theirs.shop), options={"verify_signature": False})
        agent = pairing.derive_keys(mine.pairing)
        self.forged = (
            app.vault.sign("something else", named, 60),
            other.sign("widget", named, 60),
            other.sign("file", named, 60),
            other.sign("privacy export", named, 60),
            app.vault.sign("widget", named, -60),
            f"{stolen.partition('.')[0]}.{mac}",
            f"{body}.{mac[:-2]}AA",
            f"{body}.",
            f".{mac}",
            "..",
            "x.y",
            "a" * 9_000,
            "\x00",
            "%00.%00",
            "é.é",
            jwt.encode({**aimed, "exp": now + 60}, "another secret that is long enough", "HS256"),
            jwt.encode(aimed, "", "none"),
            shopify_token(app, mine.shop, aud="another app"),
            shopify_token(app, mine.shop, exp=now - 60),
            shopify_token(app, mine.shop, dest="https://evil.example"),
            shopify_token(app, mine.shop, dest=f"https://{theirs.shop}"),
            shopify_token(app, mine.shop, sub="\x00"),
            shopify_token(app, mine.shop, sub="\ud800"),
            shopify_token(app, mine.shop, sid=[1]),
            jwt.encode({"store": "\ud800", "sub": "1"}, "x" * 32, "HS256"),
            jwt.encode({"store": "st_\x00", "sub": "1"}, "x" * 32, "HS256"),
            jwt.encode({"store": [1], "sub": {}}, "x" * 32, "HS256"),
            # Mine to sign, but for the other's store; and a shopper who wants to be staff.
            wordpress_token(mine.pairing, theirs.stores["woocommerce"]),
            pairing.shopper_token(
                agent,
                site="x",
                store=mine.stores["woocommerce"].public_key,
                customer_id="1",
                email=None,
                name=None,
                locale=None,
                now=now,
            ),
            *(
                jwt.encode(
                    {"aud": "ahlan", "iat": now, "exp": now + 60, "sub": "1", "store": store}, agent.agent, "HS256"
                )
                for store in ("\ud800", mine.stores["woocommerce"].public_key + "\ud800")
            ),
            jwt.encode(
                {
                    "aud": "ahlan",
                    "iat": now,
                    "exp": 10**30,
                    "sub": "1",
                    "name": "\x00",
                    "store": mine.stores["woocommerce"].public_key,
                },
                agent.agent,
                "HS256",
            ),
            jwt.encode(
                {
                    "aud": "ahlan",
                    "iat": now,
                    "exp": now + 60,
                    "sub": "1",
                    "name": "\x00",
                    "email": "\ud800",
                    "store": mine.stores["woocommerce"].public_key,
                },
                agent.agent,
                "HS256",
            ),
        )
        # What would open the other's doors, were a signature or what it is for not looked at.
        self.aimed = {
            "aimed shopify": jwt.encode({**aimed, "exp": now + 3600}, "another secret that is long enough", "HS256"),
            "aimed woocommerce": wordpress_token(mine.pairing, theirs.stores["woocommerce"]),
            "aimed visitor": stolen,
            "aimed visitor there": app.vault.sign("something else", named, 3600),
        }
        self.visitor_there = session.issue(
            app.vault, Pass(theirs.workspace_id, theirs.ids["stores"], theirs.ids["stranger"])
        )
        self.own_ids = [str(id) for name, id in mine.ids.items() if name != "agents"]
        self.their_ids = [str(id) for id in theirs.ids.values()]
        self.shopify = shopify_token(app, mine.shop)
        self.woocommerce = wordpress_token(mine.pairing, mine.stores["woocommerce"])

    @staticmethod
    def _passes(side: Side, of: Side) -> Pass:
        return Pass(side.workspace_id, of.ids["stores"], of.ids["visitors"], None, of.ids["conversations"])

    def __iter__(self) -> Iterator[Asked]:
        """Every address in turn, each time with something else."""
        while True:
            for route in self.random.sample(self.routes, len(self.routes)):
                yield self._socket(route) if isinstance(route, WebSocketRoute) else self._request(route)
            for _ in range(4):
                yield self._delivery()

    def _value(self) -> str:
        kind = self.random.random()
        if kind < 0.35:
            return self.random.choice(self.their_ids)
        if kind < 0.5:
            return self.random.choice(self.own_ids)
        if kind < 0.65:
            return self.random.choice(self.forged)
        if kind < 0.7:
            return self.random.choice((self.theirs.stores["shopify"], self.mine.stores["shopify"])).public_key
        if kind < 0.75:
            return str(uuid4())
        return self.random.choice(TEXTS)

    def _path(self, route: Any) -> bytes:
        def fill(found: re.Match[str]) -> str:
            if self.random.random() < 0.03:
                return quote_from_bytes(self.random.randbytes(6))
            value = self._value()
            return quote(value[:4_000], safe="", errors="replace") if "token" not in found[0] else quote(value, safe="")

        # A server decodes the path before the application sees it.
        return re.sub(r"\{[\w:]+\}", fill, route.path).encode()

    def _name(self, route: Any) -> str:
        """A field's name: mostly one that this address reads."""
        fitting = self.asked_for.get(route.name.rpartition(":")[2])
        return self.random.choice(fitting if fitting and self.random.random() < 0.7 else self.everything)

    def _query(self, route: Any) -> bytes:
        if self.random.random() < 0.4:
            return b""
        if self.random.random() < 0.05:
            return self.random.choice((b"%", b"&&&==", b"a" * 20_000, b"\xff\xfe=%ff", b"id=1" * 300))
        pairs = [(self._name(route), self._value()) for _ in range(self.random.randint(1, 6))]
        return urlencode(pairs, errors="replace").encode()

    def _request(self, route: Any) -> Asked:
        allowed = sorted((route.methods or {"GET"}) - {"HEAD"})
        method = self.random.choice(allowed) if self.random.random() < 0.9 else self.random.choice(METHODS)
        asked = Asked(method, self._path(route), self._query(route), [(b"host", b"localhost:8000")])
        self._sign(asked, route.path)
        if method not in ("GET", "HEAD") or self.random.random() < 0.03:
            self._fill(asked, route, as_json=route.path.startswith("/widget/"))
        self._games(asked)
        return asked

    def _sign(self, asked: Asked, path: str) -> None:
        """Good credentials half of the time, so that what stands behind the door is met too."""
        fitting = "panel"
        if path.startswith("/widget"):
            fitting = self.random.choice(("visitor", "visitor there"))
        elif path.startswith(("/shopify", "/woocommerce")):
            fitting = path.split("/")[1]
        others = ("nobody", "forged", "forged cookie", "panel", "shopify", "woocommerce", "visitor")
        (kind,) = self.random.choices(("fitting", "aimed", "other"), (60, 15, 25))
        asked.who = who = {"fitting": fitting, "aimed": f"aimed {fitting}"}.get(kind) or self.random.choice(others)
        bearers = {
            "shopify": self.shopify,
            "woocommerce": self.woocommerce,
            "visitor": self.good,
            "visitor there": self.visitor_there,
            "forged": self.random.choice(self.forged),
            **self.aimed,
        }
        if who in bearers:
            asked.headers.append((b"authorization", b"Bearer " + bearers[who].encode("utf-8", "replace")))
        if who == "panel" and path != "/sign-out":
            asked.headers.append((b"cookie", f"ahlan={self.mine.workspace_id.hex}.{self.mine.secret}".encode()))
            assert self.session_id is not None
            if self.random.random() < 0.8:
                csrf = self.app.vault.sign("csrf", {"s": self.session_id.hex}, 600)
                asked.headers.append((b"x-csrf-token", csrf.encode()))
        if who in ("forged cookie", "aimed panel"):
            secret = self.random.choice((self.mine.secret, *self.forged))
            workspace = self.random.choice((self.theirs.workspace_id.hex, str(self.theirs.workspace_id), "\x00", ""))
            asked.headers.append((b"cookie", f"ahlan={workspace}.{secret}".encode("utf-8", "replace")))
        if self.random.random() < 0.9:
            asked.headers.append((b"sec-fetch-site", b"same-origin"))

    def _fill(self, asked: Asked, route: Any, *, as_json: bool) -> None:
        kind = self.random.random()
        fields = {self._name(route): self._value() for _ in range(self.random.randint(0, 8))}
        fields.setdefault("client_id", str(uuid4()))
        if self.random.random() < 0.5:
            fields["csrf"] = self.app.vault.sign("public form", {}, 600)
        if kind < 0.02:
            asked.headers.append(
                (b"content-type", b"application/json" if as_json else b"multipart/form-data; boundary=x")
            )
            asked.body = OVERSIZED
        elif kind < 0.2:
            self._malformed(asked)
        elif kind < 0.3:
            self._multipart(asked, fields)
        elif as_json:
            asked.headers.append((b"content-type", b"application/json"))
            asked.body = [self._json(fields)]
        else:
            asked.headers.append((b"content-type", b"application/x-www-form-urlencoded"))
            asked.body = [urlencode(fields, errors="replace").encode()]

    def _json(self, fields: dict[str, str]) -> bytes:
        odd: list[Any] = [None, True, 2**70, -1, 1.5, [], {}, [self._value()] * 40, {"url": "\x00", "title": "a"}]
        typed: dict[str, Any] = dict(fields)
        for name in ("seq", "text", "attachments", "page", "secret", "identity", "store", "email"):
            if self.random.random() < 0.4:
                typed[name] = self.random.choice(
                    (
                        self._value(),
                        self.random.choice(odd),
                        [self.random.choice(self.their_ids)],
                        self.theirs.stores["shopify"].public_key,
                    )
                )
        body = json.dumps(typed).encode()
        return body.replace(b"alert", b"\\ud800") if self.random.random() < 0.1 else body

    def _malformed(self, asked: Asked) -> None:
        kinds = (
            b"application/json",
            b"application/x-www-form-urlencoded",
            b"multipart/form-data; boundary=x",
            b"text/plain",
            b"multipart/form-data",
            b"multipart/form-data; boundary=" + b"y" * 900,
            b"\xff\xfe",
            b"",
        )
        asked.headers.append((b"content-type", self.random.choice(kinds)))
        asked.body = [
            self.random.choice(
                (
                    b"",
                    b"{",
                    b"null",
                    b"[]",
                    b'"',
                    b'{"text": "\xff"}',
                    DEEP,
                    self.random.randbytes(200),
                    b"=" * 3_000,
                    b"&" * 9_000,
                    b"a=%ff%fe",
                    b"--x\r\n",
                    b"--x\r\ncontent-disposition: form-data\r\n\r\n\r\n--x--",
                    b'{"store":"\\ud800"}',
                    b'--x\r\ncontent-disposition: form-data; name="file"; filename="\xff\x00"\r\n\r\nGIF\r\n--x--\r\n',
                    b"a=" + b"1" * 40_000,
                    b'{"seq":1e400}',
                    b"csrf[]=1&csrf=2",
                )
            )
        ]
        if self.random.random() < 0.3:
            lie = self.random.choice((b"0", b"-1", b"99999999999", b"abc", b"5, 6"))
            asked.headers.append((b"content-length", lie))

    def _multipart(self, asked: Asked, fields: dict[str, str]) -> None:
        content = self.random.choice(
            (
                b"\x89PNG\r\n\x1a\n" + b"\0" * 60,
                b"GIF89a",
                b"<svg onload=alert(1)>",
                b"PK\3\4" * 9,
                b"%PDF-1.7",
                b"",
                b"plain words",
            )
        )
        name = self.random.choice(("a.txt", "../../a.png", "a" * 400, "\u202egnp.exe", "a.svg", ""))
        parts = [
            f'--x\r\ncontent-disposition: form-data; name="{key}"\r\n\r\n{value[:500]}\r\n'
            for key, value in fields.items()
        ]
        head = f'--x\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        whole = "".join(parts).encode("utf-8", "replace") + head.encode() + content + b"\r\n--x--\r\n"
        asked.headers.append((b"content-type", b"multipart/form-data; boundary=x"))
        asked.body = [whole[:50], whole[50:]]

    def _games(self, asked: Asked) -> None:
        games: tuple[Callable[[], tuple[bytes, bytes]], ...] = (
            lambda: (b"host", self.random.choice((b"evil.example", b"", b"localhost:8000@evil.example", b"\xff"))),
            lambda: (b"x-forwarded-for", self.random.choice((b"127.0.0.1", b"::1, x", b"\xff", b"1" * 999))),
            lambda: (b"x-forwarded-host", b"evil.example"),
            lambda: (b"x-http-method-override", b"DELETE"),
            lambda: (b"x-request-id", self.random.choice((b"a" * 200, b"<script>", b"\xff\xff\xff\xff"))),
            lambda: (b"accept-language", self.random.choice((b"ar;q=9e9", b"*" * 900, b"\xff", b";;;,,,", b"he-IL,x"))),
            lambda: (b"accept", self.random.choice((b"text/html", b"text/event-stream", b"\xff", b"*/*;q=x"))),
            lambda: (
                b"cookie",
                self.random.choice((b"ahlan_locale=\x00", b"ahlan=;ahlan=x.y", b"=;=;", b"\xff", b"a" * 9_000)),
            ),
            lambda: (b"hx-request", b"true"),
            lambda: (b"hx-target", self.random.choice((b"div#page", b"x#../../a", b"#\xff", b"#head", b"#__class__"))),
            lambda: (b"hx-request-type", b"full"),
            lambda: (b"sec-fetch-site", b"cross-site"),
            lambda: (
                b"origin",
                self.random.choice((b"https://evil.example", b"null", b"http://localhost:8000", b"\xff")),
            ),
            lambda: (b"authorization", self.random.choice((b"Bearer", b"Basic \xff", b"bearer  ", b"Bearer a b c"))),
            lambda: (b"x-csrf-token", self.random.choice(self.forged).encode("utf-8", "replace")),
            lambda: (b"if-none-match", b'W/"x", *'),
            lambda: (b"range", b"bytes=0-0,-1"),
            lambda: (b"last-event-id", self._value().encode("utf-8", "replace")),
            lambda: (b"transfer-encoding", b"chunked, identity"),
            lambda: (b"x-shop-domain", self.theirs.shop.encode()),
            lambda: (b"x-workspace-id", self.theirs.workspace_id.hex.encode()),
            lambda: (b"user-agent", b"\x80" * 600),
        )
        asked.headers += [self.random.choice(games)() for _ in range(self.random.choice((0, 0, 1, 2, 4)))]

    def _socket(self, route: WebSocketRoute) -> Asked:
        query = urlencode({"ticket": self._value(), "after": self._value()}, errors="replace").encode()
        origin = self.random.choice((b"http://localhost:8000", b"https://evil.example", b"\xff"))
        return Asked("GET", route.path.encode(), query, [(b"origin", origin)], kind="websocket", who="socket")

    def _delivery(self) -> Asked:
        """A webhook of the other's store, signed by nobody or with mine."""
        pay = json.dumps({"id": 1, "email": self._value()[:50]}).encode()
        body = self.random.choice((pay, b"", DEEP, b"\xff", b"webhook_id=1"))
        key = self.random.choice((self.theirs, self.mine)).stores["woocommerce"].public_key
        tail = self.random.choice(
            (
                "shopify",
                "shopify/compliance",
                f"woocommerce/{key}",
                f"woocommerce/{key}/cart",
                "woocommerce",
                "woocommerce/st_%00",
                "none",
                "shopify/../../panel",
                "woocommerce/" + "a" * 3_000,
            )
        )
        stamp, path = int(time.time()), f"/webhooks/{tail}"
        signed = pairing.signed_headers(
            pairing.derive_keys(self.mine.pairing).requests,
            method="POST",
            path=f"/webhooks/woocommerce/{self.theirs.stores['woocommerce'].public_key}/cart",
            timestamp=stamp,
            body=body,
        )
        headers = [
            (b"x-shopify-shop-domain", self.theirs.shop.encode()),
            (b"x-shopify-topic", b"orders/create"),
            (b"x-shopify-webhook-id", b"1"),
            (b"x-shopify-hmac-sha256", self.random.choice((b"", b"AA==", b"\xff"))),
            (b"x-wc-webhook-signature", self.random.choice((b"", b"AA==", b"\xff"))),
            (b"x-wc-webhook-topic", b"order.created"),
        ]
        headers += [(name.lower().encode(), value.encode()) for name, value in signed.items()]
        method = "POST" if self.random.random() < 0.9 else self.random.choice(METHODS)
        return Asked(method, path.encode(), b"", headers, [body], who="delivery")


# The run


@pytest.fixture
async def world(app: App) -> tuple[App, Any, Side, Side]:
    """Two workspaces under the whole web process."""
    app = unreachable(app)
    mine, theirs = await build(app, f"mine{uuid4().hex[:10]}"), await build(app, f"theirs{uuid4().hex[:10]}")
    async with app.db.transaction(theirs.workspace_id) as tx:
        store = await tx.get(Store, theirs.ids["stores"])
        assert store is not None
        stranger, _secret = await visitors.open_visitor(tx, store, None)
        theirs.ids["stranger"] = stranger.id
    return app, bootstrap.serve(app), mine, theirs


async def test_no_hostile_request_breaks_us_or_gets_anothers_byte(world: tuple[App, Any, Side, Side]) -> None:
    app, site, mine, theirs = world
    hostile = Hostile(app, list(site._inner.routes), mine, theirs, SEED)
    async with app.db.transaction(mine.workspace_id) as tx:
        found = await team.session_agent(tx, mine.secret)
        assert found is not None
        hostile.session_id = found[0].id
    before = await rows(app, theirs.workspace_id)
    secret = [word.encode() for word in sorted(theirs.planted)]
    # What nobody may read, in no workspace.
    never = [b"hush-", mine.pairing.encode(), b"test-secret", b"Traceback (most", b"sqlalchemy", b"asyncpg"]
    outcomes: Counter[str] = Counter()
    written: set[bytes] = set()
    for number, asked in enumerate(hostile):
        if number == REQUESTS:
            break
        address = (
            f"10.{hostile.random.randint(0, 255)}.{hostile.random.randint(0, 255)}.{hostile.random.randint(1, 254)}"
        )
        try:
            answer = await ask(site, asked, address)
        except Exception as error:
            pytest.fail(f"request {number} of seed {SEED} raised {error!r}: {asked}")
        outcomes[f"{asked.who} {answer.status // 100}"] += 1
        assert answer.status < 500 or answer.status in (502, 503), f"request {number} of seed {SEED}: {answer} {asked}"
        shown, told = answer.said(), asked.said()
        if asked.who == "visitor there":
            # Their own words, in their own conversation.
            written |= {word for word in secret if word in told}
            told += b" ".join(written)
        leaked = [word for word in (*secret, *never) if word in shown and word not in told]
        leaked = [word for word in leaked if word in never or not await holds(app, mine.workspace_id, word.decode())]
        assert not leaked, f"request {number} of seed {SEED} got {leaked}: {asked}"
    after = await rows(app, theirs.workspace_id)
    for table, held in before.items():
        assert held <= after[table], f"a row of {table} was changed"
        assert held == after[table] or table in SHOPPERS, f"a row was added to {table}"
    # It was a run behind the doors, not only before them.
    assert all(outcomes[f"{who} 2"] for who in ("panel", "shopify", "woocommerce", "visitor", "visitor there")), (
        outcomes
    )
    assert not outcomes["forged cookie 5"] + outcomes["forged 5"], outcomes
