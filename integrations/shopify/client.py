"""Talking to one shop: its tokens, its Admin GraphQL API, and when to wait. Network only; never inside a transaction.

Tokens expire after an hour and are renewed by one writer per shop: an advisory lock is held across the request, and
the new pair is written in one short transaction. A refresh token stays usable until its successor is first used, so a
lost answer or a failed write is repaired by asking again with the old one (platforms.md A1.6).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog

from integrations.shopify import identity, mapping, queries
from plugin import stores
from plugin.kernel.config import ShopifyApp
from plugin.kernel.crypto import Vault
from plugin.kernel.db import Busy, Database, Tx
from plugin.kernel.db import turn as take_turn
from plugin.kernel.http import Http, HttpError, Response
from plugin.platform import ACCESS_DENIED, Connection, PlatformError, StaleToken

log = structlog.get_logger(__name__)

ACCESS, REFRESH = "access", "refresh"

_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - the name of a token type
_OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"
_ONLINE = "urn:shopify:params:oauth:token-type:online-access-token"

ACCESS_SECONDS: Final = 3600
"""Life of an access token when the answer does not say: silence is not "never expires"."""
EARLY: Final = timedelta(minutes=5)
"""A token with less than this left is renewed before use."""
BACKGROUND_SHARE: Final = 0.8
"""What of a shop's points background work may take; the rest is the agent panel's."""
REFRESHES_AT_ONCE: Final = 4
"""Each holds a database connection across a request: the pool must not run out of them."""
_THROTTLED_ATTEMPTS = 5
_PATIENCE = 60.0
_LOST: Final = frozenset({"INTERNAL_SERVER_ERROR", "TIMEOUT"})
# The first call with this key is still running (https://shopify.dev/docs/api/usage/idempotent-requests).
_AT_IT: Final = frozenset({"IDEMPOTENCY_CONCURRENT_REQUEST"})

# What else a refusal can mean, and when asking again may help: seconds, or None where only a person can mend it.
_STATUS_WORDS: Final[Mapping[int, tuple[str, str, float | None]]] = {
    402: ("shop_frozen", "the shop is frozen until its bill is paid", 3600.0),
    403: ("forbidden", "Shopify does not allow this app to do that", None),
    404: ("not_found", "Shopify knows no such shop", None),
    423: ("shop_locked", "the shop is locked", 3600.0),
    429: ("too_many", "too many requests", 5.0),
    430: ("rejected", "Shopify rejected the request as suspicious", 300.0),
}


@dataclass(frozen=True, slots=True)
class Grant:
    """Tokens as Shopify issued them. `person` is the staff member of an online token."""

    access_token: str = field(repr=False)
    scopes: tuple[str, ...]
    expires_at: datetime
    refresh_token: str = field(repr=False)
    refresh_expires_at: datetime | None
    person: Mapping[str, Any] = field(default_factory=dict)


class Unauthorized(PlatformError):
    """The Admin API does not take this token."""

    def __init__(self) -> None:
        super().__init__("Shopify does not accept our access token", retry=False, code="unauthorized")


class UserErrors(PlatformError):
    """A mutation that Shopify understood and refused; `errors` as sent (`code` is not always there)."""

    def __init__(self, errors: list[Mapping[str, Any]]) -> None:
        said = "; ".join(str(error.get("message", "")) for error in errors)
        super().__init__(said, retry=False, code=str(errors[0].get("code") or "user_error").lower())
        self.errors = errors


class TokenEndpoint:
    """`POST https://{shop}/admin/oauth/access_token`, in its four uses."""

    def __init__(self, http: Http, app: ShopifyApp) -> None:
        self._http = http
        self._app = app

    async def exchange(self, shop: str, id_token: str, *, online: bool = False) -> Grant:
        """An offline token for the ID token of an admin's page, or the online one that says who the person is.

        Raises StaleToken when Shopify finds the ID token too old: the page must fetch another.
        """
        sent = {
            "grant_type": _EXCHANGE,
            "subject_token": id_token,
            "subject_token_type": _ID_TOKEN,
            "requested_token_type": _ONLINE if online else _OFFLINE,
        }
        return await self._ask(shop, sent if online else {**sent, "expiring": "1"}, safe=True)

    async def redeem(self, shop: str, code: str) -> Grant:
        """An offline token for a code of the authorization code grant; a code works once."""
        return await self._ask(shop, {"code": code, "expiring": "1"}, safe=False)

    async def refresh(self, shop: str, refresh_token: str) -> Grant:
        """The next pair. `reauthorize` on the error says that only the merchant can help now."""
        grant = await self._ask(shop, {"grant_type": "refresh_token", "refresh_token": refresh_token}, safe=True)
        # An answer without a successor must not cost us the token we have.
        return (
            grant
            if grant.refresh_token
            else Grant(grant.access_token, grant.scopes, grant.expires_at, refresh_token, None)
        )

    async def _ask(self, shop: str, what: Mapping[str, str], *, safe: bool) -> Grant:
        if identity.shop_domain(shop) != shop:
            raise PlatformError("not a shop's name", retry=False, code="shop")
        sent = {"client_id": self._app.client_id, "client_secret": self._app.secret, **what}
        try:
            answer = await self._http.request(
                "POST",
                f"https://{shop}/admin/oauth/access_token",
                json=sent,
                headers={"Accept": "application/json"},
                idempotent=safe,
                timeout=10.0,
                max_bytes=64 * 1024,
                accept=(400, 401, 403),
            )
        except HttpError as error:
            raise _from_http(error) from error
        return _grant(answer)


def _grant(answer: Response) -> Grant:
    try:
        told = answer.json()
    except HttpError as error:
        raise PlatformError("Shopify's token answer was not JSON", retry=True, code="garbage") from error
    error_code = told.get("error") if isinstance(told, dict) else None
    if error_code == "invalid_subject_token":
        raise StaleToken
    if error_code == "invalid_grant":
        said = "the merchant has to open the app again"
        raise PlatformError(said, retry=False, reauthorize=True, code="invalid_grant")
    if error_code is not None or answer.status >= 400:
        raise PlatformError(f"Shopify refused a token ({error_code or answer.status})", retry=False,
                            code=str(error_code or answer.status))  # fmt: skip
    if not isinstance(told, dict) or not isinstance(told.get("access_token"), str) or not told["access_token"]:
        raise PlatformError("Shopify's token answer held no token", retry=True, code="garbage")
    now = datetime.now(UTC)
    refresh_life = _seconds(told.get("refresh_token_expires_in"))
    person = told.get("associated_user")
    return Grant(
        access_token=told["access_token"],
        scopes=tuple(identity.split_scopes(str(told.get("scope") or ""))),
        expires_at=now + timedelta(seconds=_seconds(told.get("expires_in")) or ACCESS_SECONDS),
        refresh_token=str(told.get("refresh_token") or ""),
        refresh_expires_at=now + timedelta(seconds=refresh_life) if refresh_life else None,
        person=person if isinstance(person, dict) else {},
    )


def _seconds(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _from_http(error: HttpError) -> PlatformError:
    """What a failed request means for the caller."""
    if error.status == 401:
        return Unauthorized()
    if error.status is not None and error.status in _STATUS_WORDS:
        code, words, after = _STATUS_WORDS[error.status]
        return PlatformError(words, retry=after is not None, after=error.retry_after or after, code=code)
    code = str(error.status or "network")
    return PlatformError(str(error), retry=error.retry, after=error.retry_after, code=code, lost=error.lost)


# --- the shop's points ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Bucket:
    available: float
    maximum: float
    rate: float
    at: float


class Throttle:
    """Each shop's leaky bucket as its answers describe it, between two answers counted along.

    Kept per process: every answer carries Shopify's own figures, and a THROTTLED one costs nothing, so processes
    correct each other through Shopify. `clock` is in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    def pause(self, shop: str, cost: float, *, foreground: bool) -> float:
        """Seconds to wait before a call of `cost`; background work leaves a fifth of the bucket to the panel."""
        bucket = self._now(shop)
        if bucket is None:
            return 0.0
        usable = bucket.available - (0.0 if foreground else (1 - BACKGROUND_SHARE) * bucket.maximum)
        wanted = min(cost, bucket.maximum * (1.0 if foreground else BACKGROUND_SHARE))
        return max(0.0, (wanted - usable) / bucket.rate)

    def spend(self, shop: str, cost: float) -> None:
        """A call is on its way."""
        bucket = self._now(shop)
        if bucket is not None:
            bucket.available -= cost

    def observe(self, shop: str, status: Mapping[str, Any]) -> None:
        """`throttleStatus` of an answer."""
        try:
            found = _Bucket(
                float(status["currentlyAvailable"]),
                max(1.0, float(status["maximumAvailable"])),
                max(0.1, float(status["restoreRate"])),
                self._clock(),
            )
        except (KeyError, TypeError, ValueError):
            return
        if len(self._buckets) > 10_000:
            self._buckets.clear()
        self._buckets[shop] = found

    def _now(self, shop: str) -> _Bucket | None:
        bucket = self._buckets.get(shop)
        if bucket is not None:
            now = self._clock()
            bucket.available = min(bucket.maximum, bucket.available + (now - bucket.at) * bucket.rate)
            bucket.at = now
        return bucket


# --- one at a time --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def turn(db: Database, name: str, *, patience: float = _PATIENCE) -> AsyncIterator[None]:
    """See `plugin.kernel.db.turn`. Raises PlatformError (retry) after `patience` seconds."""
    try:
        async with take_turn(db, name, patience=patience):
            yield
    except Busy as error:
        raise PlatformError("somebody else is still at it", retry=True, after=5.0, code="busy") from error


# --- the Admin API --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """Data of one operation, the version that really answered, and what was left out of the data and why."""

    data: dict[str, Any]
    version: str
    withheld: tuple[str, ...] = ()


class AdminClient:
    """The Admin GraphQL API of every shop that is installed, by the operations of `queries`."""

    def __init__(self, db: Database, vault: Vault, http: Http, app: ShopifyApp) -> None:
        self._db = db
        self._vault = vault
        self._http = http
        self.tokens = TokenEndpoint(http, app)
        self.throttle = Throttle()
        self._costs: dict[str, float] = {}
        self._refreshing = asyncio.Semaphore(REFRESHES_AT_ONCE)

    async def run(
        self,
        connection: Connection,
        operation: str,
        variables: Mapping[str, Any] | None = None,
        *,
        foreground: bool = False,
    ) -> dict[str, Any]:
        """The `data` of a named operation. Raises PlatformError, UserErrors for a refused mutation.

        `foreground`: an agent waits for it. A refused token is renewed once by force; refused again, the store
        needs its merchant.
        """
        return (await self.answer(connection, operation, variables, foreground=foreground)).data

    async def answer(
        self,
        connection: Connection,
        operation: str,
        variables: Mapping[str, Any] | None = None,
        *,
        foreground: bool = False,
    ) -> Answer:
        """The same with what surrounds the data."""
        token = await self.token(connection)
        try:
            return await self.ask(connection.external_id, token, operation, variables, foreground=foreground)
        except Unauthorized:
            token = await self.token(connection, refused=token)
        try:
            return await self.ask(connection.external_id, token, operation, variables, foreground=foreground)
        except Unauthorized as error:
            raise await self._give_up(connection, "Shopify refuses a token it has just issued") from error

    async def ask(
        self,
        shop: str,
        token: str,
        operation: str,
        variables: Mapping[str, Any] | None = None,
        *,
        foreground: bool = False,
    ) -> Answer:
        """One operation with a given token; waits for points, repeats what was throttled."""
        for attempt in range(1, _THROTTLED_ATTEMPTS + 1):
            await self._wait(shop, operation, foreground=foreground)
            response = await self._post(shop, token, operation, variables)
            told = _object(response)
            cost = (told.get("extensions") or {}).get("cost") or {}
            self._learn(shop, operation, cost)
            if not _is_throttled(told):
                return _read(told, response, operation)
            if attempt < _THROTTLED_ATTEMPTS:
                pause = self.throttle.pause(shop, self._costs.get(operation, 50.0), foreground=foreground)
                await asyncio.sleep(max(pause, 0.25 * attempt))
        raise PlatformError("the shop has no points left", retry=True, after=10.0, code="throttled")

    async def _wait(self, shop: str, operation: str, *, foreground: bool) -> None:
        cost = self._costs.get(operation, 50.0)
        deadline = time.monotonic() + _PATIENCE
        while (pause := self.throttle.pause(shop, cost, foreground=foreground)) > 0:
            if time.monotonic() + pause > deadline:
                raise PlatformError("the shop has no points left", retry=True, after=pause, code="throttled")
            await asyncio.sleep(pause)
        self.throttle.spend(shop, cost)

    async def _post(self, shop: str, token: str, operation: str, variables: Mapping[str, Any] | None) -> Response:
        if identity.shop_domain(shop) != shop:
            raise PlatformError("not a shop's name", retry=False, code="shop")
        document = queries.OPERATIONS[operation]
        try:
            return await self._http.request(
                "POST",
                f"https://{shop}/admin/api/{queries.API_VERSION}/graphql.json",
                json={"query": document, "variables": dict(variables or {}), "operationName": operation},
                headers={"X-Shopify-Access-Token": token, "Accept": "application/json"},
                idempotent=not document.lstrip().startswith("mutation"),
                timeout=30.0,
            )
        except HttpError as error:
            raise _from_http(error) from error

    def _learn(self, shop: str, operation: str, cost: Mapping[str, Any]) -> None:
        self.throttle.observe(shop, cost.get("throttleStatus") or {})
        requested = cost.get("requestedQueryCost")
        if isinstance(requested, int | float) and requested > 0:
            self._costs[operation] = float(requested)

    # --- tokens

    async def token(self, connection: Connection, *, refused: str | None = None) -> str:
        """An access token with five minutes left, other than `refused`. Raises PlatformError (`reauthorize`)."""
        async with self._db.transaction(connection.workspace_id) as tx:
            held = await stores.credential(tx, self._vault, connection.store_id, ACCESS)
        if held is not None and _usable(held, refused):
            return held[0]
        async with self._refreshing, turn(self._db, f"shopify:{connection.external_id}"):
            return await self._renew(connection, refused)

    async def _renew(self, connection: Connection, refused: str | None) -> str:
        async with self._db.transaction(connection.workspace_id) as tx:
            held = await stores.credential(tx, self._vault, connection.store_id, ACCESS)
            kept = await stores.credential(tx, self._vault, connection.store_id, REFRESH)
        if held is not None and _usable(held, refused):
            return held[0]
        if kept is None:
            raise await self._give_up(connection, "there is no refresh token")
        if kept[1].expires_at is not None and kept[1].expires_at <= datetime.now(UTC):
            raise await self._give_up(connection, "the refresh token has expired")
        try:
            grant = await self.tokens.refresh(connection.external_id, kept[0])
        except PlatformError as error:
            if error.reauthorize:
                raise await self._give_up(connection, error.said) from error
            raise
        async with self._db.transaction(connection.workspace_id) as tx:
            await store_grant(tx, self._vault, connection.store_id, grant)
        return grant.access_token

    async def _give_up(self, connection: Connection, reason: str) -> PlatformError:
        async with self._db.transaction(connection.workspace_id) as tx:
            await stores.needs_reauth(tx, connection.store_id, reason)
        return PlatformError(reason, retry=False, reauthorize=True, code="needs_reauth")


async def store_grant(tx: Tx, vault: Vault, store_id: UUID, grant: Grant) -> None:
    """Write both tokens with their ends, and what was granted: all of it or nothing."""
    await stores.put_credential(tx, vault, store_id, ACCESS, grant.access_token, expires_at=grant.expires_at)
    if grant.refresh_token:
        await stores.put_credential(
            tx, vault, store_id, REFRESH, grant.refresh_token, expires_at=grant.refresh_expires_at
        )
    store = await stores.get(tx, store_id)
    if store is not None and grant.scopes:
        store.scopes = list(grant.scopes)


def _usable(held: tuple[str, stores.Credential], refused: str | None) -> bool:
    token, row = held
    if token == refused:
        return False
    # A row without an end would be believed for ever; it is believed for no time at all.
    return row.expires_at is not None and row.expires_at - EARLY > datetime.now(UTC)


# --- reading an answer ----------------------------------------------------------------------------------------------


def _object(response: Response) -> dict[str, Any]:
    try:
        return mapping.parse(response.body)
    except ValueError as error:
        raise PlatformError("Shopify's answer was not JSON", retry=True, code="garbage", lost=True) from error


def _errors(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    errors = told.get("errors")
    if not errors:
        return []
    if isinstance(errors, list):
        return [error if isinstance(error, dict) else {"message": str(error)} for error in errors]
    return [{"message": str(errors)}]


def _code(error: Mapping[str, Any]) -> str:
    extensions = error.get("extensions")
    return str(extensions.get("code", "")) if isinstance(extensions, dict) else ""


def _is_throttled(told: Mapping[str, Any]) -> bool:
    return any(_code(error) == "THROTTLED" for error in _errors(told))


def _read(told: Mapping[str, Any], response: Response, operation: str) -> Answer:
    """HTTP 200 carries three kinds of failure: top-level errors, userErrors of a mutation, and withheld fields."""
    data, errors = told.get("data"), _errors(told)
    version = response.headers.get("x-shopify-api-version", "")
    if version and version != queries.API_VERSION:
        log.warning("shopify_version", asked=queries.API_VERSION, answered=version)
    denied = [error for error in errors if _code(error).lower() == ACCESS_DENIED]
    whole = isinstance(data, dict) and data and all(value is not None for value in data.values())
    if errors and not (whole and len(denied) == len(errors)):
        first = (denied or errors)[0]
        code = _code(first)
        raise PlatformError(
            str(first.get("message", "")), retry=code in {*_LOST, *_AT_IT},
            code=code.lower() or "graphql", lost=code in _LOST,
        )  # fmt: skip
    if not isinstance(data, dict):
        raise PlatformError("Shopify's answer held no data", retry=True, code="garbage", lost=True)
    for value in data.values():
        # `orderCancel` has a list of its own beside the old one.
        for name in ("userErrors", "orderCancelUserErrors"):
            if isinstance(value, dict) and value.get(name):
                raise UserErrors(value[name])
    if queries.OPERATIONS[operation].lstrip().startswith("mutation") and not whole:
        raise PlatformError("Shopify did not say what became of it", retry=False, code="no_payload", lost=True)
    return Answer(data, version, tuple(str(error.get("message", "")) for error in denied))


Obtain = Callable[[], Awaitable[Grant]]
