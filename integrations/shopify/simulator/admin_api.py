"""``POST /admin/api/{version}/graphql.json``: our operations, executed against the cut-out of Shopify's own schema."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import lru_cache
from importlib import resources
from typing import Any, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    build_schema,
    execute_sync,
    get_argument_values,
    get_directive_values,
    get_named_type,
    get_variable_values,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    parse,
    validate,
)
from graphql.execution.values import VariableValues
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from integrations.shopify.simulator import (
    bulk,
    doings,
    edits,
    nodes,
    oauth,
    redirects,
    returns,
    shipping,
    topics,
    translations,
    writings,
)
from integrations.shopify.simulator.shop import NAMESPACE, Shop, gid, number_of
from integrations.shopify.simulator.state import Doc

SCHEMA = build_schema(resources.files(__package__).joinpath("schema.graphql").read_text(encoding="utf-8"))
LIVE_VERSIONS = ("2026-01", "2026-04", "2026-07", "2026-10", "2027-01", "unstable")
MAX_QUERY_COST = 1000
MUTATION_COST = 10
BUCKET = 2000.0
RESTORE_RATE = 100.0
INSTALLATION_ID = gid("AppInstallation", 700300101)


class Throttle:
    """The leaky bucket of one app on one shop; real seconds, whatever the shop's clock says."""

    def __init__(self, size: float = BUCKET, rate: float = RESTORE_RATE) -> None:
        self.size, self.rate = size, rate
        self.level, self.seen = size, time.monotonic()

    def available(self) -> float:
        now = time.monotonic()
        self.level = min(self.size, self.level + (now - self.seen) * self.rate)
        self.seen = now
        return self.level

    def spend(self, points: float) -> None:
        self.level = min(self.size, self.available() - points)

    def status(self) -> Doc:
        return {
            "maximumAvailable": self.size,
            "currentlyAvailable": int(self.available()),
            "restoreRate": self.rate,
        }


# --- cost (platforms.md A5.2: object 1, scalar 0, connection by its size, mutation 10) ------------------------------


def requested_cost(operation: OperationDefinitionNode, fragments: dict[str, Any], variables: VariableValues) -> int:
    """What an operation may cost at most, before it runs."""
    root = SCHEMA.mutation_type if operation.operation is OperationType.MUTATION else SCHEMA.query_type
    if root is None:
        raise ValueError("the schema has no such root")
    inside = _selection_cost(operation.selection_set, root, fragments, variables)
    return inside + (MUTATION_COST if operation.operation is OperationType.MUTATION else 0)


def _selection_cost(
    selections: SelectionSetNode | None,
    parent: GraphQLObjectType | GraphQLInterfaceType,
    fragments: dict[str, Any],
    variables: VariableValues,
) -> int:
    total = 0
    for selection in selections.selections if selections else ():
        if isinstance(selection, FragmentSpreadNode):
            total += _selection_cost(fragments[selection.name.value].selection_set, parent, fragments, variables)
        elif isinstance(selection, InlineFragmentNode):
            condition = SCHEMA.get_type(selection.type_condition.name.value) if selection.type_condition else parent
            if isinstance(condition, GraphQLObjectType | GraphQLInterfaceType):
                total += _selection_cost(selection.selection_set, condition, fragments, variables)
        elif isinstance(selection, FieldNode) and not selection.name.value.startswith("__"):
            total += _field_cost(selection, parent, fragments, variables)
    return total


def _field_cost(
    node: FieldNode,
    parent: GraphQLObjectType | GraphQLInterfaceType,
    fragments: dict[str, Any],
    variables: VariableValues,
) -> int:
    field = parent.fields[node.name.value]
    named = get_named_type(field.type)
    if is_leaf_type(named) or named.name in {"PageInfo", "UserError"} or named.name.endswith("UserError"):
        return 0
    if not isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
        return 0
    inside = _selection_cost(node.selection_set, named, fragments, variables)
    arguments = get_argument_values(field, node, variables)
    size = arguments.get("first") or arguments.get("last") or len(arguments.get("ids") or ())
    if named.name.endswith("Connection"):
        return int(size or 0) * inside
    if named.name.endswith("Edge") or parent.name.endswith(("Connection", "Edge")):
        return inside + (0 if named.name.endswith("Edge") else 1)
    return int(size) * (1 + inside) if size and _is_list(field.type) else 1 + inside


def _is_list(output: GraphQLOutputType) -> bool:
    return is_list_type(output.of_type if is_non_null_type(output) else output)


def actual_cost(value: Any, *, mutation: bool) -> int:
    """What came back: one point an object, connections and edges free."""

    def count(held: Any) -> int:
        if isinstance(held, list):
            return sum(count(item) for item in held)
        if not isinstance(held, dict):
            return 0
        wrapper = held.keys() & {"nodes", "edges", "node"} or held.keys() <= {"hasNextPage", "endCursor"}
        return (0 if wrapper else 1) + sum(count(item) for item in held.values())

    root = value.values() if isinstance(value, dict) else ()
    return sum(count(item) for item in root) + (MUTATION_COST if mutation else 0)


# --- execution ------------------------------------------------------------------------------------------------------


def resolve_field(source: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
    """Dictionaries, whose callables take the field's arguments."""
    value = source.get(info.field_name)
    if not callable(value):
        return value
    idempotent = SCHEMA.get_directive("idempotent")
    told = get_directive_values(idempotent, info.field_nodes[0], info.variable_values) if idempotent else None
    return value(**arguments, _key=told["key"]) if told else value(**arguments)


def query_root(shop: Shop, *, everything: bool = False, only: Callable[[list[Doc]], list[Doc]] | None = None) -> Doc:
    """The query root. ``everything`` and ``only`` (a slice of the root list) are for bulk operations."""

    def some(items: list[Doc]) -> list[Doc]:
        return only(items) if only else items

    def needs(scope: str, name: str) -> None:
        if not shop.allows(scope):
            raise nodes.Denied(name, scope)

    def orders(**arguments: Any) -> Doc:
        needs("read_orders", "orders")
        found = some(nodes.visible_orders(shop))
        return nodes.listing(
            found, lambda doc: nodes.order(shop, doc, everything=everything), arguments, everything=everything
        )

    def customers(**arguments: Any) -> Doc:
        needs("read_customers", "customers")
        found = some(shop.state.all("customers"))
        return nodes.listing(
            found, lambda doc: nodes.customer(shop, doc, everything=everything), arguments, everything=everything
        )

    def products(**arguments: Any) -> Doc:
        needs("read_products", "products")
        found = some(shop.state.all("products"))
        return nodes.listing(
            found, lambda doc: nodes.product(shop, doc, everything=everything), arguments, everything=everything
        )

    def order(**arguments: Any) -> Doc | None:
        needs("read_orders", "order")
        wanted = number_of(arguments["id"], "Order")
        found = next((doc for doc in nodes.visible_orders(shop) if doc["id"] == wanted), None)
        if found is None:
            return None
        return {**nodes.order(shop, found), **doings.order_fields(shop, found), **returns.order_fields(shop, found),
                **edits.order_fields(found)}  # fmt: skip

    def customer(**arguments: Any) -> Doc | None:
        needs("read_customers", "customer")
        found = shop.state.get("customers", number_of(arguments["id"], "Customer") or 0)
        return (
            {**nodes.customer(shop, found), "storeCreditAccounts": returns.credit_accounts(shop, found["id"])}
            if (found)
            else None
        )

    def product(**arguments: Any) -> Doc | None:
        needs("read_products", "product")
        found = shop.state.get("products", number_of(arguments["id"], "Product") or 0)
        return nodes.product(shop, found) if found else None

    def bulk_operation(**arguments: Any) -> Doc | None:
        found = shop.state.get("bulk", number_of(arguments["id"], "BulkOperation") or 0)
        return bulk.node(shop, found) if found else None

    def bulk_operations(**arguments: Any) -> Doc:
        wanted = {**arguments, "sortKey": "CREATED_AT"}
        return nodes.listing(shop.state.all("bulk"), lambda doc: bulk.node(shop, doc), wanted, everything=everything)

    def subscriptions(**arguments: Any) -> Doc:
        held = [
            doc
            for doc in shop.state.all("subscriptions")
            if (not arguments.get("topics") or doc["topic"] in arguments["topics"])
            and (not arguments.get("uri") or doc["uri"] == arguments["uri"])
        ]
        plain = {name: arguments.get(name) for name in ("first", "after", "last", "before", "reverse")}
        return nodes.listing(held, subscription_node, {**plain, "sortKey": "CREATED_AT"}, everything=everything)

    return {
        "shop": lambda: shop_node(shop),
        "currentAppInstallation": lambda: {
            "id": INSTALLATION_ID,
            "launchUrl": f"https://admin.shopify.com/store/{shop.handle}/apps/{shop.config['handle']}",
            "accessScopes": [{"handle": scope} for scope in shop.granted],
        },
        "orders": orders,
        "order": order,
        "customers": customers,
        "customer": customer,
        "products": products,
        "product": product,
        "bulkOperation": bulk_operation,
        "bulkOperations": bulk_operations,
        "webhookSubscriptions": subscriptions,
        **doings.questions(shop),
        **returns.questions(shop),
        **redirects.questions(shop),
        **writings.questions(shop),
        **shipping.questions(shop),
        **translations.questions(shop),
    }


def shop_node(shop: Shop) -> Doc:
    """The shop: its own domain and its myshopify name."""
    first = f"https://{host}" if (host := shop.state.setting("primary_domain", "")) else shop.storefront_origin
    own = [shop.storefront_origin, *(f"https://{host}" for host in shop.state.setting("domains", []))]
    urls = [first, *(url for url in own if url != first)]
    domains: list[Doc] = [
        {"id": gid("Domain", number), "host": _host(url), "url": url, "sslEnabled": url.startswith("https")}
        for number, url in enumerate([*urls, f"https://{shop.domain}"], 1)
    ]
    primary = {**domains[0], "localization": {"defaultLocale": shop.state.setting("primary_locale", "en")}}
    return {
        "id": gid("Shop", 68001),
        "name": shop.state.setting("shop_name", "Bustan"),
        "email": "owner@bustan.example.com",
        "contactEmail": "hello@bustan.example.com",
        "myshopifyDomain": shop.domain,
        "url": first,
        "currencyCode": "ILS",
        "taxShipping": True,
        "taxesIncluded": shop.state.setting("taxes_included", True),
        "ianaTimezone": "Asia/Jerusalem",
        "shopAddress": {"countryCodeV2": "IL"},
        "primaryDomain": primary,
        "domains": [primary, *domains[1:]],
        "shopPolicies": lambda: writings.shop_policies(shop),
        "plan": {"publicDisplayName": "Development", "shopifyPlus": False, "partnerDevelopment": True},
    }


def _host(origin: str) -> str:
    return origin.partition("://")[2].partition(":")[0]


def subscription_node(doc: Doc) -> Doc:
    return {
        "id": gid("WebhookSubscription", doc["id"]),
        "topic": doc["topic"],
        "uri": doc["uri"],
        "filter": doc["filter"],
        "includeFields": doc["include_fields"],
        "name": doc["name"],
        "createdAt": doc["created_at"],
        "updatedAt": doc["updated_at"],
    }


def mutation_root(shop: Shop, start_bulk: Callable[[int], None]) -> Doc:
    """The mutation root; ``start_bulk`` sets a bulk operation going."""

    def subscription_create(**arguments: Any) -> Doc:
        wanted = arguments["webhookSubscription"]
        topic, uri = arguments["topic"], wanted.get("uri") or ""
        scope_topic = _topic_of_enum(topic)
        error: tuple[list[str], str] | None = None
        if scope_topic is None or not topics.allowed(shop, scope_topic):
            error = (["topic"], f"You do not have permission to create or update webhooks with {topic.lower()} topic")
        elif not (uri.startswith("https://") or uri.startswith(f"{shop.app_url}/")):
            error = (["webhookSubscription", "uri"], "Address protocol http:// is not supported")
        elif any(held["topic"] == topic and held["uri"] == uri for held in shop.state.all("subscriptions")):
            error = (["webhookSubscription", "uri"], "Address for this topic has already been taken")
        if error:
            return {"webhookSubscription": None, "userErrors": [{"field": error[0], "message": error[1]}]}
        number = shop.state.next_id("subscriptions")
        doc = shop.state.put(
            "subscriptions",
            number,
            {
                "id": number,
                "topic": topic,
                "uri": uri,
                "filter": wanted.get("filter"),
                "include_fields": wanted.get("includeFields") or [],
                "name": wanted.get("name"),
                "created_at": shop.stamp(),
                "updated_at": shop.stamp(),
                "failures": 0,
            },
        )
        return {"webhookSubscription": subscription_node(doc), "userErrors": []}

    def subscription_delete(**arguments: Any) -> Doc:
        number = number_of(arguments["id"], "WebhookSubscription") or 0
        if shop.state.delete("subscriptions", number) is None:
            missing = {"field": ["id"], "message": "Webhook subscription does not exist"}
            return {"deletedWebhookSubscriptionId": None, "userErrors": [missing]}
        return {"deletedWebhookSubscriptionId": arguments["id"], "userErrors": []}

    def metafields_set(**arguments: Any) -> Doc:
        for index, entry in enumerate(arguments["metafields"]):
            if entry["ownerId"] != INSTALLATION_ID:
                wrong = {"field": ["metafields", str(index), "ownerId"], "message": "Owner does not exist.",
                         "code": "INVALID", "elementIndex": index}  # fmt: skip
                return {"metafields": None, "userErrors": [wrong]}
        held = dict(shop.state.setting("metafields", {}))
        made = []
        for entry in arguments["metafields"]:
            space = entry.get("namespace") or NAMESPACE
            held[f"{space}.{entry['key']}"] = entry["value"]
            made.append(
                {
                    "id": gid("Metafield", shop.state.next_id("metafields")),
                    "namespace": space,
                    "key": entry["key"],
                    "value": entry["value"],
                    "compareDigest": f"{abs(hash(entry['value'])):x}",
                    "updatedAt": shop.stamp(),
                }
            )
        shop.state.set("metafields", held)
        return {"metafields": made, "userErrors": []}

    def revoke(**arguments: Any) -> Doc:
        try:
            gone = oauth.revoke_scopes(shop, arguments["scopes"])
        except oauth.ScopeRefused as refused:
            required = set(arguments["scopes"]) & set(shop.required_scopes)
            code = "CANNOT_REVOKE_REQUIRED_SCOPES" if required else "CANNOT_REVOKE_UNDECLARED_SCOPES"
            error = {"field": ["scopes"], "message": str(refused), "code": code}
            return {"revoked": None, "userErrors": [error]}
        return {"revoked": [{"handle": scope} for scope in gone], "userErrors": []}

    def bulk_run(**arguments: Any) -> Doc:
        return bulk.request(shop, SCHEMA, arguments["query"], arguments["groupObjects"], start_bulk)

    return {
        "webhookSubscriptionCreate": subscription_create,
        "webhookSubscriptionDelete": subscription_delete,
        "metafieldsSet": metafields_set,
        "appRevokeAccessScopes": revoke,
        "bulkOperationRunQuery": bulk_run,
        "bulkOperationCancel": lambda **arguments: bulk.cancel(shop, arguments["id"]),
        **doings.mutations(shop),
        **edits.mutations(shop),
        **returns.mutations(shop),
        **redirects.mutations(shop),
    }


def _topic_of_enum(name: str) -> str | None:
    """The REST spelling of an enum value, of those whose scope is known."""
    parts = name.lower().split("_")
    for cut in range(len(parts) - 1, 0, -1):
        for mark in ("/", "."):
            topic = f"{'_'.join(parts[:cut])}{mark}{'_'.join(parts[cut:])}"
            try:
                topics.scopes_for(topic)
            except LookupError:
                continue
            return topic
    return None


# --- the endpoint ---------------------------------------------------------------------------------------------------


class AdminApi:
    """The endpoint with its bucket. ``start_bulk`` sets a bulk operation going."""

    def __init__(self, shop: Shop, start_bulk: Callable[[int], None]) -> None:
        self.shop = shop
        self.throttle = Throttle()
        self._start_bulk = start_bulk

    async def __call__(self, request: Request) -> Response:
        asked = request.path_params["version"]
        version = asked if asked in LIVE_VERSIONS else LIVE_VERSIONS[0]
        headers = {"X-Shopify-API-Version": version, "X-Request-Id": request.headers.get("x-request-id", "sim")}
        operation = await _operation(request)
        fault = await self._fault(operation)
        if isinstance(fault, Response):
            return fault
        refused = oauth.refuse(self.shop, request.headers.get("x-shopify-access-token", ""))
        if refused is not None:
            return JSONResponse({"errors": refused[1]}, refused[0], headers)
        try:
            asked_for = await request.json()
            document, variables = asked_for["query"], asked_for.get("variables") or {}
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"errors": {"query": "Required parameter missing or invalid"}}, 400, headers)
        done = self.execute(document, variables, asked_for.get("operationName"))
        return JSONResponse({"errors": "Bad gateway"}, 502) if fault == "lost" else JSONResponse(done, headers=headers)

    async def _fault(self, operation: str) -> Response | str | None:
        """The next failure that was ordered on the control page and is meant for this operation, if any."""
        faults = self.shop.faults
        fault = next((one for one in faults if one.on in ("", operation)), None)
        if fault is None:
            return None
        fault.remaining -= 1
        if fault.remaining <= 0:
            faults.remove(fault)
        if fault.kind == "lost":
            return fault.kind
        if fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
            return None
        if fault.kind == "garbage":
            return Response("<html>Something went wrong", 200, media_type="application/json")
        if fault.kind == "throttled":
            return JSONResponse(_throttled(self.throttle))
        status = int(fault.kind)
        headers = {"Retry-After": str(fault.seconds or 2.0)} if status == 429 else {}
        return JSONResponse({"errors": "Exceeded rate limit" if status == 429 else "Internal error"}, status, headers)

    def execute(self, document: str, variables: dict[str, Any], operation_name: str | None = None) -> Doc:
        """One GraphQL request: validated, priced, run, paid."""
        parsed, wrong = _read(document)
        if parsed is None:
            return {"errors": wrong}
        operations = [node for node in parsed.definitions if isinstance(node, OperationDefinitionNode)]
        chosen = [node for node in operations if operation_name is None or (
            node.name is not None and node.name.value == operation_name
        )]  # fmt: skip
        if len(chosen) != 1:
            return {"errors": [{"message": "An operation name is required"}]}
        operation = chosen[0]
        fragments = {node.name.value: node for node in parsed.definitions if node.kind == "fragment_definition"}  # type: ignore[attr-defined]
        mutation = operation.operation is OperationType.MUTATION
        given = get_variable_values(SCHEMA, operation.variable_definitions or (), variables)
        if isinstance(given, list):
            return {"errors": [error.formatted for error in given]}
        requested = requested_cost(operation, fragments, given)
        if requested > MAX_QUERY_COST:
            return {
                "errors": [
                    {
                        "message": f"Query cost is {requested}, which exceeds the single query max cost limit "
                        f"({MAX_QUERY_COST}).",
                        "extensions": {"code": "MAX_COST_EXCEEDED", "cost": requested, "maxCost": MAX_QUERY_COST},
                    }
                ]
            }
        if requested > self.throttle.available():
            return _throttled(self.throttle, requested)
        root = mutation_root(self.shop, self._start_bulk) if mutation else query_root(self.shop)
        done = execute_sync(
            SCHEMA,
            parsed,
            root_value=root,
            variable_values=variables,
            operation_name=operation_name,
            field_resolver=resolve_field,
        )
        # Plain lists have no size to price beforehand: nobody pays more than was asked.
        actual = min(requested, actual_cost(done.data, mutation=mutation))
        self.throttle.spend(actual)
        answer: Doc = {"data": done.data}
        if done.errors:
            answer["errors"] = [error.formatted for error in done.errors]
        answer["extensions"] = {
            "cost": {
                "requestedQueryCost": requested,
                "actualQueryCost": actual,
                "throttleStatus": self.throttle.status(),
            }
        }
        return answer


@lru_cache(maxsize=512)
def _read(document: str) -> tuple[DocumentNode | None, list[Doc]]:
    """What was asked, or what is wrong with it: apps ask the same questions in the same words, over and over."""
    try:
        parsed = parse(document)
    except GraphQLError as error:
        # graphql-core's typed dict of an error is a plain one to us.
        return None, [cast(Doc, error.formatted)]
    wrong = validate(SCHEMA, parsed)
    said = [cast(Doc, error.formatted) for error in wrong]
    return (None, said) if wrong else (parsed, said)


async def _operation(request: Request) -> str:
    try:
        asked = await request.json()
    except ValueError:
        return ""
    return str(asked.get("operationName") or "") if isinstance(asked, dict) else ""


def _throttled(throttle: Throttle, requested: int = 100) -> Doc:
    return {
        "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
        "extensions": {
            "cost": {
                "requestedQueryCost": requested,
                "actualQueryCost": None,
                "throttleStatus": throttle.status(),
            }
        },
    }
