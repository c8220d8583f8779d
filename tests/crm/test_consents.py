"""Consent is kept with who told it and when, the same in whatever order it is told, and every change stays."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest

import integrations.shopify.mapping as shopify
import integrations.woocommerce.mapping as woocommerce
from plugin.app import App
from plugin.crm import consents, identities, sync, visitors
from plugin.kernel.db import Tx
from plugin.platform import ConsentRecord, CustomerPart, CustomerRecord, Deletion, Record
from plugin.stores import Store

T = datetime(2026, 7, 1, tzinfo=UTC)
Told = Callable[[Tx, Store], Awaitable[list[tuple[Any, ...]]]]


def told(state: str, days: float, purpose: str = "email_marketing", dated: bool = True) -> tuple[ConsentRecord, ...]:
    return (ConsentRecord(purpose, state, T + timedelta(days=days), dated=dated),)


async def history(tx: Tx, store: Store, account: str = "7") -> list[tuple[str, str, float]]:
    """What happened to somebody's consent: purpose, state, on which day; the oldest first."""
    id = await identities.customer_of_platform(tx, store.id, account)
    assert id is not None
    rows = consents.changes(await consents.of_people(tx, [id]))
    return [(row.purpose, row.state, (row.at - T) / timedelta(days=1)) for row in reversed(rows)]


async def test_every_change_is_kept_and_a_repetition_is_none(app: App, workspace: UUID, store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        for day, state in enumerate(("pending", "granted", "granted", "denied", "denied", "granted")):
            record = CustomerRecord("7", T + timedelta(days=day), consents=told(state, day))
            await sync.apply(tx, store, [record])
            await sync.apply(tx, store, [record])
        assert [(state, day) for _, state, day in await history(tx, store)] == [
            ("pending", 0), ("granted", 1), ("denied", 3), ("granted", 5)
        ]  # fmt: skip
        id = await identities.customer_of_platform(tx, store.id, "7")
        assert id is not None
        (held,) = consents.current(await consents.of_people(tx, [id]))
        assert (held.state, held.source, held.store_id) == ("granted", "store", store.id)


async def test_the_order_of_the_telling_changes_nothing(app: App, workspace: UUID, store: Store) -> None:
    said = [told("granted", 1), told("granted", 2), told("denied", 3), told("granted", 4)]
    seen = set()
    async with app.db.transaction(workspace) as tx:
        for number, order in enumerate(permutations(said)):
            account = f"a{number}"
            await sync.apply(tx, store, [CustomerRecord(account, T)])
            for one in order:
                await sync.apply(tx, store, [CustomerPart(account, T, consents=one)])
            seen.add(tuple(await history(tx, store, account)))
    assert seen == {(("email_marketing", "granted", 1), ("email_marketing", "denied", 3),
                     ("email_marketing", "granted", 4))}  # fmt: skip


async def test_what_has_no_time_is_news_only_when_it_differs(app: App, workspace: UUID, store: Store) -> None:
    """Each update of a customer says it again; a late one must not bring an old answer back."""
    said = [(state, day) for day, state in enumerate(("granted", "granted", "denied", "denied", "granted", "granted"))]
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [CustomerRecord("7", T), CustomerRecord("8", T)])
        for state, day in said:
            await sync.apply(tx, store, [CustomerPart("7", T, consents=told(state, day, dated=False))])
        assert [(state, day) for _, state, day in await history(tx, store)] == [
            ("granted", 0), ("denied", 2), ("granted", 4)
        ]  # fmt: skip
        id = await identities.customer_of_platform(tx, store.id, "7")
        assert id is not None
        assert len(await consents.of_people(tx, [id])) == 3
        for state, day in (said[5], said[3], said[0]):
            await sync.apply(tx, store, [CustomerPart("8", T, consents=told(state, day, dated=False))])
        assert (await history(tx, store, "8"))[-1][1:] == ("granted", 5)


async def test_many_at_once_and_somebody_unknown_or_deleted(app: App, workspace: UUID, store: Store) -> None:
    later = T + timedelta(days=9)
    async with app.db.transaction(workspace) as tx:
        batch: list[Record] = [CustomerRecord("7", T, consents=told("granted", 1) + told("denied", 2, "sms_marketing")),
                               CustomerPart("7", T, consents=told("denied", 3)),
                               CustomerPart("nobody", T, consents=told("granted", 1))]  # fmt: skip
        await sync.apply(tx, store, batch)
        assert await history(tx, store) == [
            ("email_marketing", "granted", 1), ("sms_marketing", "denied", 2), ("email_marketing", "denied", 3)
        ]  # fmt: skip
        id = await identities.customer_of_platform(tx, store.id, "7")
        await sync.apply(
            tx, store, [Deletion("customers", "7", later), CustomerPart("7", later, consents=told("granted", 8))]
        )
        assert id is not None
        assert len(await consents.of_people(tx, [id])) == 3


async def test_each_store_keeps_its_own_answer(app: App, workspace: UUID, store: Store, second_store: Store) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [CustomerRecord("7", T, "n@example.com", consents=told("granted", 1))])
        await sync.apply(tx, second_store, [CustomerRecord("7", T, "n@example.com", consents=told("denied", 2))])
        first = await identities.customer_of_platform(tx, store.id, "7")
        assert first is not None
        held = consents.current(await consents.of_people(tx, await identities.family(tx, first)))
        assert {(row.store_id, row.state) for row in held} == {(store.id, "granted"), (second_store.id, "denied")}


async def test_a_browsers_banner_is_kept_where_it_changed_and_told_with_its_owner(
    app: App, workspace: UUID, store: Store
) -> None:
    async with app.db.transaction(workspace) as tx:
        await sync.apply(tx, store, [CustomerRecord("7", T)])
        id = await identities.customer_of_platform(tx, store.id, "7")
        assert id is not None
        visitor, _ = await visitors.open_visitor(tx, store, None)
        for answer in ({}, {"analytics": True}, {"analytics": True}, {"analytics": False, "preferences": False}):
            await consents.of_browser(tx, visitor, answer)
            await tx.flush()
        assert await consents.of_people(tx, [id]) == [], "nobody knows yet whose browser it is"
        await visitors.identify(tx, visitor, id)
        rows = await consents.of_people(tx, [id])
        assert sorted((row.purpose, row.state, row.source) for row in rows) == [
            ("analytics", "denied", "storefront"), ("analytics", "granted", "storefront"),
            ("preferences", "denied", "storefront"),
        ]  # fmt: skip


# What the platforms say


@pytest.mark.parametrize(
    ("consent", "expected"),
    [
        ({"state": "subscribed", "opt_in_level": "single_opt_in", "consent_updated_at": "2026-07-02T00:00:00Z"},
         ("granted", 1, "single_opt_in")),
        ({"state": "unsubscribed", "opt_in_level": None, "consent_updated_at": "2026-07-02T00:00:00Z"},
         ("denied", 1, "")),
        ({"state": "pending", "opt_in_level": "confirmed_opt_in", "consent_updated_at": None},
         ("pending", 4, "confirmed_opt_in")),
        ({"state": "not_subscribed", "opt_in_level": "single_opt_in", "consent_updated_at": None}, None),
        ({"state": "redacted"}, None), ({"state": "invalid"}, None), ({}, None), (None, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("channel", ["email", "sms"])
def test_what_shopifys_webhooks_say(channel: str, consent: Any, expected: Any) -> None:
    document = {"id": 7, "updated_at": "2026-07-05T00:00:00Z", f"{channel}_marketing_consent": consent}
    found = shopify.customer(document, T).consents
    assert [(one.purpose, one.state, (one.at - T).days, one.level) for one in found] == (
        [(f"{channel}_marketing", *expected)] if expected else []
    )


def test_what_shopifys_history_says() -> None:
    node = {
        "id": "gid://shopify/Customer/7", "updatedAt": "2026-07-05T00:00:00Z",
        "defaultEmailAddress": {
            "emailAddress": "n@example.com", "marketingState": "SUBSCRIBED",
            "marketingOptInLevel": "CONFIRMED_OPT_IN", "marketingUpdatedAt": "2026-07-02T00:00:00Z"},
        "defaultPhoneNumber": {"phoneNumber": "+1555", "smsMarketingConsent": {
            "state": "NEVER_SUBSCRIBED", "optInLevel": "SINGLE_OPT_IN", "updatedAt": None}},
    }  # fmt: skip
    (one,) = shopify.customer_node(node).consents
    assert (one.purpose, one.state, one.level) == ("email_marketing", "granted", "confirmed_opt_in")


@pytest.mark.parametrize(("value", "expected"), [("1", "granted"), ("0", "denied"), ("", None), (None, None)])
def test_what_a_newsletter_plugin_of_woocommerce_says(value: Any, expected: str | None) -> None:
    meta = [{"id": 1, "key": "mailchimp_woocommerce_is_subscribed", "value": value}] if value is not None else []
    found = woocommerce.customer({"id": 7, "date_modified_gmt": "2026-07-02T00:00:00", "meta_data": meta}).consents
    assert [(one.purpose, one.state, one.source) for one in found] == (
        [("email_marketing", expected, "mailchimp")] if expected else []
    )
