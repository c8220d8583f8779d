"""`docs/security.md` and the product say the same; and the rules of it that no room holds by itself."""

import ast
import re
import subprocess
import time
import tomllib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

import httpx
import pytest
from starlette.routing import Route

from integrations.shopify import identity, queries
from integrations.shopify.install import PLATFORM
from integrations.shopify.platform import ShopifyPlatform
from plugin import bootstrap, team
from plugin.app import App
from plugin.conversations import attachments
from plugin.kernel.config import Oidc
from plugin.kernel.http import Http
from plugin.team import Agent
from tests.house.sides import Answer, Asked, Side, ask, build, shopify_token, unreachable, wordpress_token
from tests.kernel.provider import CLIENT, ISSUER, OpenIdProvider

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "security.md").read_text()
ROOMS = ("plugin", "integrations", "webhooks", "admin_ui")
# The catalogue of `shopify app security check` 4.8.2.
CHECKS = re.findall(
    r"\w+",
    """
COMMITTED_SECRET UNSAFE_INNERHTML RUNTIME_CONFIG_SCRIPT_EXECUTION CREDENTIAL_LOG_LEAKAGE CREDENTIAL_BROWSER_LEAKAGE
KNOWN_CVE_IN_DEPENDENCY APP_PROXY_LIQUID_INJECTION MISSING_TENANT_ISOLATION REQUEST_CONTROLLED_ADMIN_CONTEXT
UNAUTHENTICATED_ENDPOINT MISSING_AUTHORIZATION_CHECK REQUEST_DERIVED_SHOP_SCOPE UNSCOPED_SHOP_CONFIG_WRITE
APP_PROXY_UNVERIFIED_SIGNATURE WEAK_SHOP_VALIDATION METAFIELD_OFFLINE_TOKEN SSRF_REQUEST_FORGERY THEME_EXTENSION_XSS
TEXT_SETTING_HTML_SMUGGLING SCRIPT_TAG_URL_INJECTION SCOPE_OVER_REQUEST INSECURE_WEBHOOK_URL STATIC_FRAME_ANCESTORS
MISSING_EMBEDDED_CSP MISSING_SRI OPEN_REDIRECT DEPRECATED_SCRIPT_TAG_SCOPE LIQUID_UNSAFE_RENDER EXPIRING_OFFLINE_TOKEN
MISSING_COMPLIANCE_WEBHOOKS OVERBROAD_DATA_ACCESS CSRF_MISSING_PROTECTION EXTERNAL_CDN_DEPENDENCY EOL_API_VERSION
""",
)


def table(heading: str) -> list[list[str]]:
    """The rows of the table under a heading of the document, cell by cell."""
    part = DOCUMENT.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows[1:]]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# The checks


def test_every_check_is_answered_once() -> None:
    assert [row[0] for row in table("Shopify's app security checks")] == CHECKS


PROMISES = [
    row for heading in ("Shopify's app security checks", "Personal data", "Who is who") for row in table(heading)
]


@pytest.mark.parametrize("row", PROMISES, ids=lambda row: row[0][:40])
def test_every_file_and_test_that_is_named_exists(row: list[str]) -> None:
    _check, kept, held = row
    assert any("/" in name or (ROOT / name).is_file() for name in code(kept)) or "does not apply" in kept
    for name in code(kept):
        if re.fullmatch(r"[\w./-]+\.(py|js|html|liquid|toml|txt|json)|\.gitignore", name):
            assert (ROOT / name).is_file(), name
    tests = [name for name in code(held) if "::" in name]
    assert tests
    for name in tests:
        path, _, function = name.partition("::")
        assert re.search(rf"^(async )?def {re.escape(function)}\(", (ROOT / path).read_text(), re.MULTILINE), name


# What comes with the product


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not in a repository")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


_SECRETS = re.compile(
    rb"\bshp(?:at|ca|pa|ss|rt|ua)_[0-9a-f]{32}\b|\b[cs]k_[0-9a-f]{40}\b|\bcs_[0-9a-f]{40}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b"
    rb"|-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bsk_live_[0-9A-Za-z]{16,}"
)


def test_no_secret_is_in_the_repository() -> None:
    tracked = _tracked()
    # Keys that a simulator made up are in the recorded samples, and tests make up theirs.
    held = [path for path in tracked if "tests" not in path.parts and _SECRETS.search(path.read_bytes())]
    assert held == []
    assert [path for path in tracked if path.name.startswith(".env")] == []
    ignored = subprocess.run(
        ["git", "check-ignore", ".env", ".env.production"], cwd=ROOT, capture_output=True, text=True
    )
    assert ignored.stdout.split() == [".env", ".env.production"]


def test_a_secret_in_the_repository_would_be_noticed() -> None:
    assert _SECRETS.search(b"token = 'shpat_" + b"0a" * 16 + b"'")
    assert _SECRETS.search(b"consumer ck_" + b"0a" * 20)


# Scripts and templates


def _front_end(*endings: str) -> list[Path]:
    found = [path for room in ROOMS for path in (ROOT / room).rglob("*") if path.suffix in endings]
    found = [path for path in found if "simulator" not in path.parts]
    assert found
    return found


_SINKS = re.compile(
    r"\.(?:inner|outer)HTML\b|insertAdjacentHTML|document\.write|\beval\s*\(|new Function\b|createContextualFragment"
    r"|\.srcdoc\b|setHTMLUnsafe|set(?:Timeout|Interval)\(\s*[\"'`]|javascript:"
)


def test_our_scripts_use_nothing_that_turns_text_into_code() -> None:
    found = {str(path.relative_to(ROOT)): _SINKS.findall(path.read_text()) for path in _front_end(".js", ".mjs")}
    assert {path: sinks for path, sinks in found.items() if sinks} == {}
    assert _SINKS.search("box.innerHTML = text")


def test_messages_between_windows_name_their_origin() -> None:
    sent = [line for path in _front_end(".js") for line in path.read_text().splitlines() if ".postMessage(" in line]
    assert sent
    assert not [line for line in sent if re.search(r"[\"'`]\*[\"'`]", line)]
    for path in _front_end(".js"):
        script = path.read_text()
        for listener in re.finditer(r"addEventListener\(\"message\"", script):
            # What is heard is told apart by its origin and by the window that said it, before anything else.
            assert re.search(r"\{ source, origin(: \w+)?, data \}", script), (path, listener.start())


def test_no_template_trusts_a_value() -> None:
    for path in _front_end(".html"):
        template = path.read_text()
        assert not re.search(r"\|\s*safe\b|autoescape\s+false|\son\w+\s*=\s*[\"']|srcdoc", template), path
    marked = {
        str(path.relative_to(ROOT))
        for path in _front_end(".py")
        if any(
            isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Markup"
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }
    # One file makes text safe, one holds patterns whose values are escaped into them, one shows what the sanitiser
    # left of a mail (tests/integrations/email), one what it left of an article (tests/knowledge/test_markdown.py).
    assert marked == {
        "plugin/kernel/web.py", "admin_ui/look.py", "admin_ui/pages/mail.py", "plugin/knowledge/site.py",
    }  # fmt: skip


# Pages of the help centre stand on the shop's domain too, so they name our server.
_OWN_FILES = ("{{ asset(", "{{ static }}/", "{{ server }}{{ asset(", "{{ server }}/widget/loader.js")


def test_every_script_of_a_page_is_our_own_file() -> None:
    sources = [
        (path.name, source)
        for path in _front_end(".html")
        for source in re.findall(r"<script[^>]*?\ssrc=\"([^\"]+)\"", path.read_text())
    ]
    assert len(sources) > 3
    for name, source in sources:
        # App Bridge is the one exception (it has to come from Shopify, and has no fixed content).
        bridge = name in ("panel.html", "patch.html") and "head.get(" in source
        assert bridge or source.startswith(_OWN_FILES), (name, source)


# The way out


def test_there_is_one_way_out() -> None:
    """Everything that connects to an address from outside goes through the guarded client."""
    clients = {
        "httpx",
        "requests",
        "aiohttp",
        "urllib",
        "http",
        "socket",
        "smtplib",
        "aiosmtplib",
        "httpcore",
        "subprocess",
    }
    found = set()
    for path in _front_end(".py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if any(name.partition(".")[0] in clients and name != "urllib.parse" and name != "http" for name in names):
                found.add(str(path.relative_to(ROOT)))
    assert found == {
        "plugin/kernel/http.py",  # the client itself
        "plugin/bootstrap.py",  # names the type of its transport
        "plugin/processes.py",  # the same; a free port for the demo
        "plugin/demo.py",  # the demo's own shopper and merchant
        "plugin/kernel/embedded.py",  # starts PostgreSQL and Valkey
        "plugin/kernel/supervise.py",
        "integrations/channels/email/send.py",  # the operator's mail server, or a store's at a checked address
        "plugin/language/server.py",  # listens on a socket file of its own, and dials nobody
        "plugin/language/e5.py",  # has the graph written by a process of its own
        "integrations/channels/email/imap.py",  # a store's mailbox, at a checked address
    }


def test_one_operation_writes_metafields_and_only_the_apps_own() -> None:
    writing = [name for name, text in queries.OPERATIONS.items() if "metafield" in text.lower() and "mutation" in text]
    assert writing == ["SetAppMetafields"]
    source = (ROOT / "integrations/shopify/platform.py").read_text()
    assert source.count('"SetAppMetafields"') == 1
    assert '"ownerId": installation,' in source


def test_no_script_tag_is_ever_made() -> None:
    texts = [*queries.OPERATIONS.values(), (ROOT / "integrations/shopify/app/shopify.app.toml").read_text()]
    assert not [text for text in texts if re.search(r"script_?tag", text, re.IGNORECASE)]


def test_the_api_version_is_supported() -> None:
    """Shopify supports a version for twelve months and answers the oldest live one for thirty days more."""
    held = tomllib.loads((ROOT / "integrations/shopify/app/shopify.app.toml").read_text())
    for version in (queries.API_VERSION, held["webhooks"]["api_version"]):
        year, month = map(int, version.split("-"))
        assert datetime.now(UTC).date() < date(year + 1, month, 1) + timedelta(days=30)


# Two workspaces and the whole web process, as it is served over https


@pytest.fixture
async def https(app: App) -> App:
    app = unreachable(app)
    provider = OpenIdProvider()
    settings = replace(app.settings, public_url="https://support.example", oidc=Oidc(ISSUER, CLIENT, "", "Example ID"))
    return replace(app, settings=settings, http=Http(transport=provider.transport()))


@pytest.fixture
async def side(https: App) -> Side:
    return await build(https, f"mine{uuid4().hex[:10]}")


async def get(app: App, site: Any, side: Side, path: str, query: str = "", method: str = "GET", **more: str) -> Answer:
    """Ask as the owner of `side`, by the way in that belongs to the address."""
    bearers = {
        "shopify": lambda: shopify_token(app, side.shop),
        "woocommerce": lambda: wordpress_token(side.pairing, side.stores["woocommerce"]),
    }
    headers = {"host": "support.example", "accept": "text/html", "origin": "https://evil.example", **more}
    way = path.split("/")[1]
    if way in bearers:
        headers["authorization"] = f"Bearer {bearers[way]()}"
    if way == "panel":
        headers["cookie"] = f"__Host-ahlan={side.workspace_id.hex}.{side.secret}"
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return await ask(site, Asked(method, path.encode(), query.encode(), pairs), "203.0.113.7")


def header(answer: Answer, name: str) -> list[str]:
    return [value.decode() for key, value in answer.headers if key.decode().lower() == name]


def _row_of(path: str) -> list[str]:
    """The row with the longest pattern that fits."""
    rows = [row for row in table("By route") if fnmatchcase(path, code(row[0])[0])]
    assert rows, f"{path} is not in docs/security.md"
    return max(rows, key=lambda row: (code(row[0])[0] == path, len(code(row[0])[0])))


def _policies(app: App, side: Side) -> dict[str, str]:
    shop = {"{shop}": side.shop, "{origins}": "https://shop.example", "{socket}": "wss://support.example",
            "{server}": "https://support.example"}  # fmt: skip
    known = {name: code(policy)[0] for name, policy in table("Content-Security-Policies")}
    for hole, value in shop.items():
        known = {name: policy.replace(hole, value) for name, policy in known.items()}
    return known


def _filled(app: App, side: Side, route: Route) -> tuple[str, str]:
    """A good address of a route, and its query."""
    words = route.path.split("/")
    kind = {"inbox": "conversations", "files": "attachments", "widget": "stores"}
    kinds = [kind.get(word, word) for word in words]
    named = next((side.ids[word] for word in reversed(kinds) if word in side.ids), uuid4())
    link = attachments.link(app.vault, side.workspace_id, str(side.ids["attachments"]))
    known = {
        "/files/{token}": link,
        "/widget/frame": "/widget/frame",
        "/widget/page": "/widget/page",
        "/widget/static/{version}/{name:path}": "/widget/static/x/panel.css",
        "/assets/{digest}/{name:path}": "/assets/x/panel/panel.css",
    }
    framed = {"/widget/frame": "shopify", "/widget/page": "shopify", "/plugin/woocommerce/frame": "woocommerce"}.get(
        route.path
    )
    query = urlencode({"store": side.stores[framed].public_key}) if framed else ""
    if route.path == "/shopify/install":
        query = _launch(side)
    if route.path.startswith("/help/"):
        query = "language=en&q=x"
        known[route.path] = re.sub(
            r"\{[\w:]+\}", "en", route.path.replace("{store}", side.stores["shopify"].public_key)
        )
    return known.get(route.path) or re.sub(r"\{[\w:]+\}", str(named), route.path), query


def _sign_in(app: App, side: Side) -> str:
    """A shopper on their way to an account, at a shop that has said where its accounts are."""
    platform = app.platforms["shopify"]
    assert isinstance(platform, ShopifyPlatform)
    there = {"authorization_endpoint": "https://shopify.com/authentication/1/oauth/authorize"}
    platform.accounts._provider(side.shop)._metadata = (time.monotonic(), there)
    return urlencode({"store": side.stores["shopify"].public_key, "mark": "of-this-window"})


def _launch(side: Side) -> str:
    told = {"shop": side.shop, "timestamp": str(int(time.time())), "host": "YWRtaW4uc2hvcGlmeS5jb20vc3RvcmUveA"}
    return urlencode({**told, "hmac": identity.sign_hex(identity.oauth_message(list(told.items())), "test-secret")})


def _is(policy: str, given: str) -> bool:
    return bool(re.fullmatch(re.escape(policy).replace(r"\{nonce\}", r"[\w-]+"), given))


async def test_routes_answer_as_the_table_says(https: App, side: Side) -> None:
    site: Any = bootstrap.serve(https)
    policies, seen, pages = _policies(https, side), set(), 0
    routes = [route for route in site._inner.routes if isinstance(route, Route)]
    for route in routes:
        pattern, policy, cors, cookies = _row_of(route.path)
        seen.add(pattern)
        path, query = _filled(https, side, route)
        for method in ("GET", "POST", "OPTIONS"):
            answer = await get(https, site, side, path, query, method)
            where = f"{method} {path} ({answer.status})"
            (given,) = header(answer, "content-security-policy")
            good = answer.status < 400 or not given.startswith(policies["error"].partition("frame-ancestors")[0])
            html = any(kind.startswith("text/html") for kind in header(answer, "content-type"))
            if html and good:
                assert _is(policies[policy], given), where
                pages += 1
            elif good:
                assert _is(policies[policy], given) or given == policies["data"], where
            assert header(answer, "x-content-type-options") == ["nosniff"], where
            opened = header(answer, "access-control-allow-origin")
            # An extension stands on no origin of ours and reads what went wrong; the router's own 405 is not among it.
            readable = answer.status < 400 or (route.path.startswith("/widget/account/") and answer.status != 405)
            assert opened == (code(cors) if cors != "none" and readable else []), where
            assert not header(answer, "access-control-allow-credentials"), where
            assert not header(answer, "access-control-allow-methods"), where
            names = {cookie.partition("=")[0].removeprefix("__Host-") for cookie in header(answer, "set-cookie")}
            assert names <= set(code(cookies)), where
    assert seen == {row[0] for row in table("By route")}
    assert pages > 30


async def test_webhooks_are_answered_with_a_status_alone(https: App, side: Side) -> None:
    for path in ("/webhooks/shopify", "/webhooks/none"):
        answer = await get(https, bootstrap.serve(https), side, path, method="POST")
        assert answer.headers == [(b"content-length", b"0")]
        assert answer.body == b""


@pytest.mark.parametrize(
    ("path", "framed_by"),
    [
        ("/nothing/here", "'none'"),
        ("/widget/frame", "'none'"),
        ("/panel/customers/{id}", "'none'"),
        ("/shopify/customers/{id}", "https://{shop} https://admin.shopify.com"),
        ("/woocommerce/customers/{id}", "https://shop.example"),
    ],
)
async def test_an_errors_page_is_framed_by_whom_the_page_would_be(
    https: App, side: Side, path: str, framed_by: str
) -> None:
    """Without a policy of its own it could be framed, and styled, by anybody."""
    answer = await get(https, bootstrap.serve(https), side, path.replace("{id}", str(uuid4())))
    assert answer.status == 404
    begin, _, _who = _policies(https, side)["error"].partition("frame-ancestors")
    wanted = f"{begin}frame-ancestors {framed_by.replace('{shop}', side.shop)}"
    assert header(answer, "content-security-policy") == [wanted]


async def test_a_defect_is_answered_with_its_number_and_every_header(
    https: App, side: Side, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Starlette answers a defect outside all middleware: without a policy, and with the number of another request."""
    served = bootstrap.serve(https)
    first = await get(https, served, side, "/sign-in")

    def broken(path: str) -> str:
        raise RuntimeError("planted")

    monkeypatch.setattr("admin_ui.auth.own_path", broken)
    answer = await get(https, served, side, "/sign-in")
    assert answer.status == 500
    (number,) = header(answer, "x-request-id")
    assert [number] != header(first, "x-request-id")
    assert number in answer.body.decode()
    for name in ("content-security-policy", "x-content-type-options", "referrer-policy", "strict-transport-security"):
        assert len(header(answer, name)) == 1, name
    assert "planted" not in answer.body.decode()


async def test_bytes_that_no_browser_sends_are_no_defect_of_ours(https: App, side: Side) -> None:
    """The query of a request is read in more than one place, and one of them expected UTF-8."""
    headers = [(b"host", b"support.example")]
    for path in (b"/panel/inbox", b"/sign-in", b"/"):
        asked = Asked("GET", path, b"\xff\xfe=%ff", headers)
        assert (await ask(bootstrap.serve(https), asked, "203.0.113.7")).status < 400


# Cookies


async def _cookies(app: App, side: Side) -> dict[str, str]:
    """Every cookie as the addresses that set it do."""
    found = []
    transport = httpx.ASGITransport(bootstrap.serve(app), client=("203.0.113.8", 5000))
    headers = {"origin": app.settings.public_url}
    async with httpx.AsyncClient(transport=transport, base_url=app.settings.public_url, headers=headers) as client:
        account = {
            "csrf": app.vault.sign("public form", {}, 60), "name": "Noa", "workspace": "Shop",
            "email": f"{uuid4().hex}@shop.example", "password": "a long and quiet evening",
        }  # fmt: skip
        async with app.db.transaction(side.workspace_id) as tx:
            owner = await tx.get(Agent, side.owner.id)
            assert owner is not None
            word = team.hand_over(app.vault, owner)
        found.append(await client.post("/sign-up", data=account))
        found.append(await client.post("/language", data={"locale": "ar"}))
        found.append(await client.post("/panel/connect/woocommerce", data={"hand_over": word}))
        found.append(await client.post("/panel/join", data={"hand_over": word}))
        found.append(await client.post("/panel/link", data={"word": "sealed"}))
        found.append(await client.post("/sign-in/provider", data={"csrf": app.vault.sign("public form", {}, 60)}))
        found.append(await client.get(f"/{PLATFORM}/install?{_launch(side)}"))
        found.append(await client.get(f"/{PLATFORM}/account/sign-in?{_sign_in(app, side)}"))
    set_ = [cookie for answer in found for cookie in answer.headers.get_list("set-cookie")]
    pairs = [cookie.partition("; ") for cookie in set_]
    return {first.partition("=")[0]: "; ".join(sorted(rest.split("; "))) for first, _, rest in pairs}


async def test_cookies_are_set_as_the_table_says(https: App, side: Side) -> None:
    rows = {code(row[1])[0]: code(row[2])[0] for row in table("Cookies")}
    assert await _cookies(https, side) == rows


async def test_without_tls_the_prefix_is_left_out(https: App, side: Side) -> None:
    plain = replace(https, settings=replace(https.settings, public_url="http://localhost:8000"))
    held = await _cookies(plain, side)
    assert set(held) == {code(row[0])[0] for row in table("Cookies")}
    assert not [attributes for attributes in held.values() if "Secure" in attributes]


def test_no_cookie_is_set_that_the_table_does_not_know() -> None:
    calls = [
        node
        for path in _front_end(".py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "set_cookie"
    ]
    assert len(calls) == len(table("Cookies"))


# The app proxy


async def test_the_app_proxy_answers_json_without_a_word_of_the_request(https: App, side: Side) -> None:
    """Shopify would run Liquid in an answer of another type inside the shop's own page."""
    told = {
        "shop": side.shop, "logged_in_customer_id": "7", "path_prefix": "/apps/support",
        "timestamp": str(int(time.time())), "q": "{{ shop.email }}{% render 'x' %}", "page": "<script>x()</script>",
    }  # fmt: skip
    signature = identity.sign_hex(identity.proxy_message(list(told.items())), "test-secret")
    query = urlencode({**told, "signature": signature})
    assert dict(parse_qsl(query)) == {**told, "signature": signature}
    answer = await get(https, bootstrap.serve(https), side, "/proxy/identity", query)
    assert (answer.status, header(answer, "content-type")) == (200, ["application/json"])
    assert set(re.findall(rb"[{<%]", answer.body)) == {b"{"}
    assert re.fullmatch(rb'\{"token":"[\w.-]+"\}', answer.body)
