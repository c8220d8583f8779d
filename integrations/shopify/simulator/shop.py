"""The shop as one object: its settings, its clock, its memory, and who hears of its events."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from integrations.shopify.simulator.state import Doc, ShopState

TOML_PATH = Path(__file__).parent.parent / "app" / "shopify.app.toml"
STOREFRONT_HOST = "shopify-demo.localhost"
ADMIN_HOST = "admin-shopify-demo.localhost"
DOWNLOAD_HOST = "storage.googleapis.com"
NAMESPACE = "ahlan"
SHOP_NUMBER = 68001
INVOICE = "invoices"
OWED = "order_payment"


@dataclass(slots=True)
class Fault:
    """What the Admin API does wrong on purpose: an HTTP status, ``garbage``, ``lost`` or ``slow`` for some seconds.

    ``lost`` does what was asked and answers 502 all the same. ``on`` is the operation that it waits for.
    """

    kind: str
    remaining: int = 1
    seconds: float = 0.0
    on: str = ""


@dataclass(slots=True)
class Shop:
    """Everything a handler of the simulator needs.

    ``app_url`` is the origin of the app (no path). ``base_port`` is the port the simulator is reached on by browsers.
    ``time_scale`` shrinks Shopify's waiting times (webhook retries, bulk operations): 1.0 is real time.
    """

    state: ShopState
    app_url: str
    client_id: str
    client_secret: str
    base_port: int
    domain: str = "ahlan-demo.myshopify.com"
    time_scale: float = 1.0
    api_version: str = "2026-10"
    toml_path: Path = TOML_PATH
    on_event: Callable[[str, Doc, str | None], object] = lambda topic, payload, event_id: None
    faults: list[Fault] = field(default_factory=list)
    config: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.config = tomllib.loads(self.toml_path.read_text(encoding="utf-8"))

    # --- time and names ---------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The shop's clock, in UTC; tests and the control page may move it forward."""
        return datetime.now(UTC) + timedelta(seconds=self.state.setting("clock_offset", 0))

    def stamp(self) -> str:
        return iso(self.now())

    @property
    def handle(self) -> str:
        return self.domain.partition(".")[0]

    @property
    def storefront_origin(self) -> str:
        return f"http://{STOREFRONT_HOST}:{self.base_port}"

    def secret(self, kind: str, number: int) -> str:
        """The part of a page's address that nobody guesses."""
        return hashlib.sha256(f"{self.domain}:{kind}:{number}".encode()).hexdigest()[:32]

    def page_of(self, kind: str, number: int) -> str:
        """The address of a page that opens for whoever has it; like Shopify's, on the shop's primary domain."""
        return f"{self.storefront_origin}/{SHOP_NUMBER}/{kind}/{self.secret(kind, number)}"

    @property
    def admin_origin(self) -> str:
        return f"http://{ADMIN_HOST}:{self.base_port}"

    @property
    def host_parameter(self) -> str:
        """The ``host`` of launch and callback URLs: where the app lives in the admin, base64 without padding."""
        return base64.b64encode(f"admin.shopify.com/store/{self.handle}".encode()).decode().rstrip("=")

    def app_path(self, path: str) -> str:
        """A path of shopify.app.toml as a URL at the app; a URL there keeps only its path (one app per environment)."""
        return self.app_url.rstrip("/") + (urlsplit(path).path if "://" in path else path)

    # --- what the app was given -------------------------------------------------------------------------------------

    @property
    def required_scopes(self) -> list[str]:
        return [scope.strip() for scope in self.config["access_scopes"]["scopes"].split(",") if scope.strip()]

    @property
    def optional_scopes(self) -> list[str]:
        return list(self.config["access_scopes"].get("optional_scopes", []))

    @property
    def installed(self) -> bool:
        return bool(self.state.setting("installed", False))

    @property
    def granted(self) -> list[str]:
        return list(self.state.setting("granted", []))

    def allows(self, scope: str) -> bool:
        """Whether the app holds a scope; writing implies reading (platforms.md A1.2)."""
        held = set(self.granted)
        return scope in held or (scope.startswith("read_") and f"write_{scope.removeprefix('read_')}" in held)

    def emit(self, topic: str, payload: Doc, event_id: str | None = None) -> None:
        """Tells every subscriber of ``topic``."""
        self.on_event(topic, payload, event_id)

    # --- signatures -------------------------------------------------------------------------------------------------

    def sign_query(self, parameters: Iterable[tuple[str, str]]) -> str:
        """``parameters`` with ``hmac``, as a query string: the rule of launch and callback URLs (platforms.md A1.2)."""
        pairs = sorted(parameters)
        message = "&".join(f"{key}={value}" for key, value in pairs)
        return urlencode([*pairs, ("hmac", hex_hmac(self.client_secret, message))])

    def sign_body(self, body: bytes) -> str:
        """The classic ``X-Shopify-Hmac-Sha256`` of a webhook body."""
        return base64.b64encode(hmac.digest(self.client_secret.encode(), body, hashlib.sha256)).decode()

    def sign_proxy(self, parameters: Iterable[tuple[str, str]]) -> str:
        """The app proxy's ``signature``: keys sorted, repeated values joined with a comma, nothing between pairs."""
        grouped: dict[str, list[str]] = {}
        for key, value in parameters:
            grouped.setdefault(key, []).append(value)
        return hex_hmac(self.client_secret, "".join(f"{key}={','.join(grouped[key])}" for key in sorted(grouped)))


def hex_hmac(secret: str, message: str) -> str:
    """Lower-case hex HMAC-SHA256 of a text."""
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()


def iso(moment: datetime) -> str:
    """Shopify's spelling of a time: seconds, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_iso(text: str) -> datetime:
    """The inverse of ``iso``; also takes offsets and a bare date."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def gid(kind: str, number: int | str) -> str:
    """A GraphQL id."""
    return f"gid://shopify/{kind}/{number}"


def number_of(global_id: str, kind: str) -> int | None:
    """The number in a gid of that kind, or None when it is of another kind or no gid at all."""
    prefix = f"gid://shopify/{kind}/"
    tail = global_id.removeprefix(prefix)
    return int(tail) if global_id.startswith(prefix) and tail.isdigit() else None


def amount(minor: int) -> str:
    """Agorot as Shopify prints them."""
    sign = "-" if minor < 0 else ""
    return f"{sign}{abs(minor) // 100}.{abs(minor) % 100:02d}"


def minor(text: str) -> int:
    """The inverse of ``amount``."""
    whole, _, rest = text.lstrip("-").partition(".")
    value = int(whole) * 100 + int((rest + "00")[:2])
    return -value if text.startswith("-") else value


def compact(payload: Doc) -> bytes:
    """A webhook body: JSON in UTF-8; keys that start with an underscore are the simulator's own."""
    return json.dumps(_public(payload), ensure_ascii=False, separators=(",", ":")).encode()


def _public(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _public(item) for key, item in value.items() if not key.startswith("_")}
    if isinstance(value, list):
        return [_public(item) for item in value]
    return value
