"""Settings: read once from the environment, frozen, described in docs/settings.md (a test holds the two together)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from plugin.kernel.digits import whole
from plugin.kernel.errors import SetupError

MOST_DAYS = 36_500
"""A hundred years: no period that anything is kept for is longer, but for ever."""


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "ahlan"


@dataclass(frozen=True, slots=True)
class ShopifyApp:
    """Our app in Shopify's Dev Dashboard; `previous_secret` is tried while a rotation is under way.

    `listing_url` is where merchants install it: the listing, or its install page while there is none.
    """

    client_id: str = ""
    secret: str = field(default="", repr=False)
    previous_secret: str = field(default="", repr=False)
    listing_url: str = ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every secret that may have signed what we receive, newest first."""
        return tuple(secret for secret in (self.secret, self.previous_secret) if secret)


@dataclass(frozen=True, slots=True)
class Oidc:
    """An OpenID provider that signs agents in; `name` is what its button says."""

    issuer: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    name: str = ""

    def __bool__(self) -> bool:
        return bool(self.issuer and self.client_id)


@dataclass(frozen=True, slots=True)
class Demo:
    """What only `ahlan demo` may set: `serve` refuses to start with any of it."""

    frame_ancestors: tuple[str, ...] = ()
    app_bridge_url: str = ""
    simulator_url: str = ""
    email: str = ""
    password: str = ""

    def __bool__(self) -> bool:
        return self != Demo()


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything an operator can decide. Empty database or Valkey URL means: embedded, in `data_dir`."""

    data_dir: Path
    port: int = 8000
    host: str = "127.0.0.1"
    public_url: str = "http://localhost:8000"
    database_url: str = field(default="", repr=False)
    redis_url: str = field(default="", repr=False)
    encryption_keys: tuple[str, ...] = field(default=(), repr=False)
    shopify: ShopifyApp = ShopifyApp()
    oidc: Oidc = Oidc()
    allow_private_hosts: tuple[str, ...] = ()
    extra_ca_file: str = ""
    trusted_proxies: str = "127.0.0.1"
    country_header: str = ""
    log_format: str = "console"
    log_level: str = "info"
    webhook_retention_days: int = 30
    event_retention_days: int = 0
    access_log_retention_days: int = 365
    audit_retention_days: int = 365
    conversation_retention_days: int = 0
    metrics_token: str = field(default="", repr=False)
    upload_megabytes: int = 1024
    smtp_url: str = field(default="", repr=False)
    mail_from: str = ""
    language_socket: str = ""
    demo: Demo = Demo()

    @property
    def secure(self) -> bool:
        """Whether browsers reach us over TLS: cookies are then Secure."""
        return self.public_url.startswith("https://")


def load(env: Mapping[str, str] | None = None) -> Settings:
    """Read the environment. Raises SetupError with one sentence when a value cannot be used."""
    env = os.environ if env is None else env
    port = _integer(env, "AHLAN_PORT", 8000, most=65_535)
    return Settings(
        data_dir=Path(env.get("AHLAN_DATA_DIR") or _default_data_dir()).expanduser().resolve(),
        port=port,
        host=env.get("AHLAN_HOST", "127.0.0.1"),
        public_url=_public(env.get("AHLAN_PUBLIC_URL") or f"http://localhost:{port}"),
        database_url=_server(env, "DATABASE_URL", ("postgresql", "postgres")),
        redis_url=_server(env, "REDIS_URL", ("redis", "rediss", "unix")),
        encryption_keys=_words(env.get("AHLAN_ENCRYPTION_KEYS", "")),
        shopify=ShopifyApp(
            client_id=env.get("SHOPIFY_API_KEY", ""),
            secret=env.get("SHOPIFY_API_SECRET", ""),
            previous_secret=env.get("SHOPIFY_API_SECRET_PREVIOUS", ""),
            listing_url=env.get("SHOPIFY_LISTING_URL", ""),
        ),
        oidc=_oidc(env),
        allow_private_hosts=_words(env.get("AHLAN_ALLOW_PRIVATE_HOSTS", "")),
        extra_ca_file=env.get("AHLAN_EXTRA_CA_FILE", ""),
        trusted_proxies=env.get("AHLAN_TRUSTED_PROXIES", "127.0.0.1"),
        country_header=env.get("AHLAN_COUNTRY_HEADER", ""),
        log_format=_choice(env, "AHLAN_LOG_FORMAT", ("console", "json")),
        log_level=_choice(env, "AHLAN_LOG_LEVEL", ("info", "debug", "warning", "error")),
        webhook_retention_days=_integer(env, "AHLAN_WEBHOOK_RETENTION_DAYS", 30, most=MOST_DAYS),
        event_retention_days=_integer(env, "AHLAN_EVENT_RETENTION_DAYS", 0, most=MOST_DAYS),
        access_log_retention_days=_integer(env, "AHLAN_ACCESS_LOG_RETENTION_DAYS", 365, most=MOST_DAYS),
        audit_retention_days=_integer(env, "AHLAN_AUDIT_RETENTION_DAYS", 365, most=MOST_DAYS),
        conversation_retention_days=_integer(env, "AHLAN_CONVERSATION_RETENTION_DAYS", 0, most=MOST_DAYS),
        metrics_token=env.get("AHLAN_METRICS_TOKEN", ""),
        upload_megabytes=_integer(env, "AHLAN_UPLOAD_MEGABYTES", 1024, most=1 << 20),
        smtp_url=env.get("AHLAN_SMTP_URL", ""),
        mail_from=env.get("AHLAN_MAIL_FROM", ""),
        language_socket=env.get("AHLAN_LANGUAGE_SOCKET", ""),
        demo=Demo(
            frame_ancestors=_words(env.get("AHLAN_DEMO_FRAME_ANCESTORS", "")),
            app_bridge_url=env.get("AHLAN_DEMO_APP_BRIDGE_URL", ""),
            simulator_url=env.get("AHLAN_DEMO_SIMULATOR_URL", ""),
            email=env.get("AHLAN_DEMO_EMAIL", ""),
            password=env.get("AHLAN_DEMO_PASSWORD", ""),
        ),
    )


def _oidc(env: Mapping[str, str]) -> Oidc:
    issuer, client_id = env.get("AHLAN_OIDC_ISSUER", ""), env.get("AHLAN_OIDC_CLIENT_ID", "")
    secret, name = env.get("AHLAN_OIDC_CLIENT_SECRET", ""), env.get("AHLAN_OIDC_NAME", "")
    if bool(issuer) != bool(client_id):
        raise SetupError("AHLAN_OIDC_ISSUER and AHLAN_OIDC_CLIENT_ID are set together or not at all.")
    if issuer.startswith("http://") and env.get("AHLAN_PUBLIC_URL", "").startswith("https://"):
        raise SetupError("AHLAN_OIDC_ISSUER must be an https address where AHLAN_PUBLIC_URL is one.")
    host = issuer.partition("://")[2].partition("/")[0]
    return Oidc(issuer, client_id, secret, name or host)


def _public(address: str) -> str:
    """The address of a whole host, without a path: cookies, sockets and the platforms' callbacks hang on it."""
    parts = _parts(address)
    if (
        parts is None
        or parts.scheme not in ("http", "https")
        or not parts.hostname
        or "@" in parts.netloc
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
    ):
        raise SetupError(f"AHLAN_PUBLIC_URL must look like https://support.example.com, not {address[:100]!r}.")
    return f"{parts.scheme}://{parts.netloc}"


def _server(env: Mapping[str, str], name: str, schemes: tuple[str, ...]) -> str:
    """What cannot be an address is not shown: it may hold a password."""
    address = env.get(name, "")
    parts = _parts(address)
    if address and (parts is None or parts.scheme.partition("+")[0] not in schemes):
        raise SetupError(f"{name} must look like {schemes[0]}://user:password@host:port/….")
    return address


def _parts(address: str) -> SplitResult | None:
    """The parts of an address whose port, if it has one, is one."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.replace(",", " ").split() if word)


def _integer(env: Mapping[str, str], name: str, default: int, *, most: int) -> int:
    text = env.get(name, "")
    if not text:
        return default
    if (value := whole(text, most)) is None:
        raise SetupError(f"{name} must be a whole number of at most {most}, not {text[:40]!r}.")
    return value


def _choice(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    text = env.get(name, choices[0])
    if text not in choices:
        raise SetupError(f"{name} must be one of {', '.join(choices)}, not {text!r}.")
    return text
