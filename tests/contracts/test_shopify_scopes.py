"""Scopes, in both directions: none without a use in code, no operation and no topic without its scope."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    get_named_type,
    parse,
    visit,
)
from graphql.language import FieldNode

from integrations.shopify import (
    account,
    action_queries,
    actions,
    platform,
    queries,
    redirect_queries,
    return_queries,
    routes,
    shipping_queries,
    translation_queries,
    webhooks,
    writing_queries,
)
from integrations.shopify.identity import missing_scopes
from integrations.shopify.simulator import Simulator, create_app, nodes, oauth, returns, trade
from integrations.shopify.simulator.shop import Shop, gid
from plugin.platform import Resource

ROOT = Path(__file__).parent.parent.parent
SCOPES = tomllib.loads((ROOT / "integrations/shopify/app/shopify.app.toml").read_text("utf-8"))["access_scopes"]
REQUIRED = set(SCOPES["scopes"].split(","))
OPTIONAL = set(SCOPES["optional_scopes"])
OPTIONAL_USES = {**action_queries.OPTIONAL, **return_queries.OPTIONAL, **writing_queries.OPTIONAL,
                 **redirect_queries.OPTIONAL, **shipping_queries.OPTIONAL, **translation_queries.OPTIONAL}  # fmt: skip
SCHEMA = build_schema((ROOT / "integrations/shopify/simulator/schema.graphql").read_text("utf-8"))

# What has to be granted before an object can be read at all (https://shopify.dev/docs/api/usage/access-scopes). A type
# that is in neither list fails the test: somebody has to look it up.
NEEDS = {
    **dict.fromkeys(
        ("Order", "LineItem", "Fulfillment", "FulfillmentLineItem", "FulfillmentTrackingInfo", "Refund",
         "RefundLineItem", "SuggestedRefund", "SuggestedOrderTransaction", "ShippingRefund", "OrderTransaction",
         "OrderPaymentCollectionDetails", "ShippingLine", "TaxLine", "DiscountAllocation", "RefundShippingLine",
         "LineItemGroup", "OrderRiskSummary", "OrderRiskAssessment", "RiskFact", "OrderDisputeSummary"),
        "read_orders",
    ),
    **dict.fromkeys(
        ("Customer", "CustomerEmailAddress", "CustomerPhoneNumber", "CustomerSmsMarketingConsent"),
        "read_customers",
    ),
    **dict.fromkeys(("Product", "ProductVariant", "SelectedOption"), "read_products"),
    **dict.fromkeys(("Collection",), "read_products"),
    "FulfillmentEvent": "read_fulfillments",
    "Location": "read_locations",
    **dict.fromkeys(
        ("Return", "ReturnLineItem", "ReturnLineItemType", "ExchangeLineItem", "ReturnableFulfillment",
         "ReturnableFulfillmentLineItem", "ReturnReasonDefinition", "ReverseFulfillmentOrder",
         "ReverseFulfillmentOrderLineItem", "ReverseFulfillmentOrderDisposition", "ReverseDelivery",
         "ReverseDeliveryShippingDeliverable", "ReverseDeliveryTrackingV2", "ReverseDeliveryLabelV2",
         "SuggestedReturnFinancialOutcome", "RefundReturnOutcome", "InvoiceReturnOutcome"),
        "read_returns",
    ),
    "StoreCreditAccount": "read_store_credit_accounts",
    **dict.fromkeys(
        ("StoreCreditAccountTransaction", "StoreCreditAccountCreditTransaction"),
        "read_store_credit_account_transactions",
    ),
    "DraftOrder": "read_draft_orders",
    **dict.fromkeys(("CalculatedOrder", "CalculatedLineItem"), "read_order_edits"),
    "DiscountCodeNode": "read_discounts",
    "UrlRedirect": "read_online_store_navigation",
    # https://shopify.dev/docs/api/admin-graphql/latest/objects/Page, …/Article, …/ShopPolicy
    **dict.fromkeys(("Page", "Article", "Blog"), "read_content"),
    "ShopPolicy": "read_legal_policies",
    # https://shopify.dev/docs/api/admin-graphql/latest/objects/DeliveryProfile and the pages of its parts
    **dict.fromkeys(
        ("DeliveryProfile", "DeliveryProfileLocationGroup", "DeliveryLocationGroup", "DeliveryLocationGroupZone",
         "DeliveryZone", "DeliveryCountry", "DeliveryCountryCodeOrRestOfWorld", "DeliveryProvince",
         "DeliveryMethodDefinition", "DeliveryRateDefinition", "DeliveryParticipant", "DeliveryCondition"),
        "read_shipping",
    ),
    **dict.fromkeys(("ProductOption", "ProductOptionValue"), "read_products"),
    # https://shopify.dev/docs/api/admin-graphql/latest/queries/translatableResource reads the same with this scope
    "Translation": "read_translations",
}  # fmt: skip
FREE = {
    # The shop, our installation, our subscriptions, our bulk operations, our own metafields.
    "Shop", "ShopAddress", "Domain", "DomainLocalization", "ShopPlan", "AppInstallation", "AccessScope", "Metafield",
    "WebhookSubscription", "BulkOperation",
    # Parts without a life of their own: they are inside something that needs a scope.
    "PageInfo", "MoneyBag", "MoneyV2", "Weight", "MailingAddress", "Image", "MediaPreviewImage", "Media", "MediaImage",
    # A job of ours, and whatever was tagged.
    "Job", "Node",
}  # fmt: skip


class _Types(Visitor):
    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.found: set[str] = set()

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        named = get_named_type(self.info.get_type())
        if isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
            self.found.add(named.name)


def read_types(text: str) -> set[str]:
    """The things an operation reads; what only wraps them is left out."""
    info = TypeInfo(SCHEMA)
    types = _Types(info)
    visit(parse(text), TypeInfoVisitor(info, types))
    wrappers = ("Connection", "Edge", "Payload", "UserError", "Error")
    return {name for name in types.found if not name.endswith(wrappers)}


def needed(text: str) -> set[str]:
    types = read_types(text)
    assert types <= NEEDS.keys() | FREE, f"which scope? {sorted(types - NEEDS.keys() - FREE)}"
    return {NEEDS[name] for name in types if name in NEEDS}


@pytest.mark.parametrize("name", sorted(queries.OPERATIONS))
def test_an_operation_declares_what_it_reads(name: str) -> None:
    declared = queries.SCOPES.get(name) or OPTIONAL_USES.get(name, ())
    # Whoever may write may read what they have written (platforms.md A1.2).
    assert missing_scopes(sorted(needed(queries.OPERATIONS[name])), [*declared, *(() if name in queries.SCOPES
                          else REQUIRED)]) == []  # fmt: skip
    if name in queries.SCOPES:
        assert set(declared) == needed(queries.OPERATIONS[name])


def test_what_writes_to_orders_declares_the_scope_that_shopify_asks_for() -> None:
    writing = {name for name, text in action_queries.OPERATIONS.items() if "mutation" in text}
    assert writing <= set(action_queries.OPTIONAL)
    assert set(action_queries.OPERATIONS) - {"JobStatus"} == set(action_queries.OPTIONAL) | set(action_queries.SCOPES)
    assert {scope for scopes in action_queries.OPTIONAL.values() for scope in scopes} == set(actions.NEEDS.values())


def test_what_writes_to_returns_declares_the_scope_that_shopify_asks_for() -> None:
    writing = {name for name, text in return_queries.OPERATIONS.items() if "mutation" in text}
    assert writing <= set(return_queries.OPTIONAL)
    assert set(return_queries.OPERATIONS) == set(return_queries.OPTIONAL) | set(return_queries.SCOPES)


@pytest.mark.parametrize("resource", sorted(queries.BULK_QUERIES))
def test_an_export_declares_what_it_reads(resource: str) -> None:
    assert set(queries.BULK_SCOPES[resource]) == needed(queries.BULK_QUERIES[resource])


def uses() -> Iterator[tuple[str, str]]:
    """(scope, what needs it) of everything that runs."""
    for table in (queries.SCOPES, queries.BULK_SCOPES, OPTIONAL_USES):
        for name, scopes in table.items():
            yield from ((scope, name) for scope in scopes)
    for topic, scopes in webhooks.TOPICS.items():
        yield from ((scope, topic) for scope in scopes)
    yield from ((scope, f"finding {code}") for scope, code in platform.PERMISSIONS.items())
    yield "write_app_proxy", routes.Edges.shopper.__qualname__
    for name, scopes in account.SCOPES.items():
        yield from ((scope, name) for scope in scopes)


def test_no_scope_is_asked_for_without_a_use() -> None:
    """write_x has to be used for writing: whoever only reads asks for read_x."""
    assert {scope for scope, _ in uses()} == REQUIRED | OPTIONAL


def test_every_use_is_covered_by_what_the_app_asks_for() -> None:
    uncovered = [(scope, what) for scope, what in uses() if missing_scopes([scope], REQUIRED | OPTIONAL)]
    assert uncovered == []


def test_what_cannot_do_without_a_scope_gets_it_at_install() -> None:
    always = {scope for name in queries.SCOPES for scope in queries.SCOPES[name]} | {"write_app_proxy"}
    assert missing_scopes(sorted(always), REQUIRED) == []
    for topic, scopes in webhooks.TOPICS.items():
        held = not scopes or any(not missing_scopes([scope], REQUIRED) for scope in scopes)
        assert held is (topic not in webhooks.OPTIONAL_TOPICS), topic


def test_each_optional_scope_has_its_own_finding_and_topic_history_or_action() -> None:
    assert set(platform.PERMISSIONS) == OPTIONAL
    topics = {scope for topic in webhooks.OPTIONAL_TOPICS for scope in webhooks.TOPICS[topic]}
    returning = {scope for scopes in return_queries.OPTIONAL.values() for scope in scopes}
    reading = {scope for scopes in writing_queries.OPTIONAL.values() for scope in scopes}
    assert (
        topics
        | {"read_all_orders"}
        | set(actions.NEEDS.values())
        | returning
        | reading
        | {redirect_queries.NAVIGATION, shipping_queries.SHIPPING, translation_queries.TRANSLATIONS}
        == OPTIONAL
    )


# --- the same as the shop itself sees it ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sim() -> Simulator:
    made = create_app(
        None, app_url="https://app.example.com", client_id="id", client_secret="s", base_port=8001, seeded=True,
    )  # fmt: skip
    oauth.install(made.shop)
    _send_something_back(made.shop)
    return made


def _send_something_back(shop: Shop) -> None:
    """A guest-free order of two, sent, one of it in an open return, and a customer with store credit."""
    customer = shop.state.all("customers")[0]
    order = trade.place_order(shop, [(shop.state.all("products")[0]["variants"][0]["id"], 2)], customer=customer)
    parcel = trade.fulfil(shop, order["id"])
    sent = gid("FulfillmentLineItem", parcel["line_items"][0]["_fulfillment_line_id"])
    told = {
        "orderId": order["admin_graphql_api_id"],
        "returnLineItems": [{"fulfillmentLineItemId": sent, "quantity": 1}],
    }
    returns.open_return(shop, told, status="open")
    returns.add_credit(shop, customer["id"], 500, "ILS", of="test")


def _variables(sim: Simulator, name: str) -> dict[str, Any]:
    shop = sim.shop
    first = {"first": 3}
    order = next(doc for doc in nodes.visible_orders(shop) if doc["customer"] and doc["_returns"])
    return {
        "OrdersPage": {"first": queries.ORDERS_PAGE},
        "CustomersPage": first,
        "ProductsPage": first,
        "Order": {"id": order["admin_graphql_api_id"]},
        "OrderLines": {"id": order["admin_graphql_api_id"], **first},
        "Customer": {"id": order["customer"]["admin_graphql_api_id"]},
        "CustomerAddresses": {"id": order["customer"]["admin_graphql_api_id"], **first},
        "Product": {"id": shop.state.all("products")[0]["admin_graphql_api_id"]},
        "ProductVariants": {"id": shop.state.all("products")[0]["admin_graphql_api_id"], **first},
        "RefundQuote": {"id": order["admin_graphql_api_id"], "whole": True},
        "OrderState": {"id": order["admin_graphql_api_id"]},
        "OrderPayments": {"id": order["admin_graphql_api_id"]},
        "EditState": {"id": order["admin_graphql_api_id"]},
        "OrderLink": {"id": order["admin_graphql_api_id"]},
        **_writing(order),
        **dict.fromkeys(("PagesPage", "PostsPage"), first),
        "PoliciesList": {},
        "DeliveryProfilesList": first,
        "DeliveryZonesPage": {**first, "id": gid("DeliveryProfile", 1)},
        "ProductTranslations": {"ids": [shop.state.all("products")[0]["admin_graphql_api_id"]], "locale": "ar"},
        **_returning(sim),
    }[name]


def _returning(sim: Simulator) -> dict[str, dict[str, Any]]:
    """The same of returns; what writes is refused, whoever asks."""
    order = nodes.visible_orders(sim.shop)[-1]
    id, first = order["admin_graphql_api_id"], {"first": 5}
    held = order["_returns"][0]["admin_graphql_api_id"]
    none = {"id": "gid://shopify/Return/1"}
    return {
        **{key: {"id": id} for key in ("ReturnableOrder", "OrderReturns", "Shelves")},
        **{key: {"id": id, **first} for key in ("ReturnableLines", "ReturnableUnits")},
        "ReturnReasons": first,
        **{key: {"id": held} for key in ("ReturnGoods", "ReturnState", "ReturnParcels", "ReturnOrder")},
        "ReturnOutcome": {"id": held, "lines": [], "exchange": []},
        "RequestReturn": {"input": {"orderId": id, "returnLineItems": []}},
        "CreateReturn": {"input": {"orderId": id, "returnLineItems": []}},
        "ApproveReturn": {"input": none},
        "DeclineReturn": {"input": {**none, "declineReason": "OTHER"}},
        **dict.fromkeys(("CancelReturn", "CloseReturn", "ReopenReturn"), none),
        "LabelReturn": {"order": "gid://shopify/ReverseFulfillmentOrder/1", "lines": [], "notify": False},
        "RelabelReturn": {"id": "gid://shopify/ReverseDelivery/1", "notify": False},
        "DisposeReturn": {"goods": []},
        "ProcessReturn": {"input": {"returnId": none["id"]}},
        "StoreCredit": {"id": order["customer"]["admin_graphql_api_id"]},
        "GiveCredit": {"id": "gid://shopify/Customer/1",
                       "credit": {"creditAmount": {"amount": "1.00", "currencyCode": "ILS"}}},
    }  # fmt: skip


def _writing(order: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Variables that Shopify understands and refuses, so that the same shop serves every test."""
    id, draft = order["admin_graphql_api_id"], {"id": "gid://shopify/DraftOrder/1"}
    nobody, edit = "gid://shopify/Order/1", {"id": "gid://shopify/CalculatedOrder/1"}
    return {
        "RefundCreate": {"input": {"orderId": nobody}, "key": "k"},
        "OrderCancel": {"id": nobody, "reason": "OTHER", "restock": True, "refund": {}},
        "OrderUpdate": {"input": {"id": nobody}},
        "TagsAdd": {"id": id, "tags": ["a"]},
        "TagsRemove": {"id": id, "tags": ["a"]},
        "DiscountCreate": {"discount": {}},
        "DiscountByCode": {"code": "TEN"},
        "DiscountEnd": {"id": "gid://shopify/DiscountCodeNode/1"},
        "RedirectFind": {"query": "path:/returns"},
        "RedirectCreate": {"redirect": {"path": "/returns", "target": "/apps/support/returns"}},
        "RedirectDelete": {"id": "gid://shopify/UrlRedirect/1"},
        "DraftCreate": {"input": {}},
        "DraftByTag": {"query": "tag:x"},
        "DraftInvoice": draft,
        "DraftLink": draft,
        "DraftComplete": draft,
        "EditBegin": {"id": nobody},
        "EditSetQuantity": {**edit, "line": "gid://shopify/CalculatedLineItem/1", "quantity": 1},
        "EditAddVariant": {**edit, "variant": "gid://shopify/ProductVariant/1", "quantity": 1},
        "EditCommit": edit,
        "OrderInvoice": {"id": nobody},
    }


@pytest.mark.parametrize("name", sorted(OPTIONAL_USES))
def test_what_is_done_to_an_order_is_refused_without_its_scope(sim: Simulator, name: str) -> None:
    sim.shop.state.set("granted", [*REQUIRED, *OPTIONAL_USES[name]])
    assert not _denied(sim, name)
    for scope in OPTIONAL_USES[name]:
        sim.shop.state.set("granted", sorted(REQUIRED | OPTIONAL - {scope}))
        assert _denied(sim, name), scope


def _denied(sim: Simulator, name: str) -> bool:
    sim.admin_api.throttle.level = sim.admin_api.throttle.size
    answer = sim.admin_api.execute(queries.OPERATIONS[name], _variables(sim, name), name)
    codes = {error.get("extensions", {}).get("code") for error in answer.get("errors", ())}
    assert codes <= {"ACCESS_DENIED"}, answer["errors"]
    return bool(codes)


@pytest.mark.parametrize("name", sorted(queries.SCOPES))
def test_an_operation_works_with_its_scopes_and_not_without_one_of_them(sim: Simulator, name: str) -> None:
    scopes = list(queries.SCOPES[name])
    sim.shop.state.set("granted", scopes)
    assert not _denied(sim, name)
    for scope in scopes:
        sim.shop.state.set("granted", [held for held in scopes if held != scope])
        assert _denied(sim, name), scope


def test_the_exports_are_the_resources() -> None:
    assert set(queries.BULK_QUERIES) == set(Resource)
