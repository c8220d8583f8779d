"""Our Admin GraphQL operations and the simulator's schema, held to Shopify's own introspection (2026-10)."""

import gzip
import json
import re
from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    build_client_schema,
    build_schema,
    parse,
    print_ast,
    validate,
    validate_schema,
)
from graphql.validation import NoDeprecatedCustomRule

from integrations.shopify import account, queries
from integrations.shopify.simulator import admin_api, bulk, schema_subset, topics

ROOT = Path(__file__).parent.parent.parent
INTROSPECTION = ROOT / "node_modules/@shopify/dev-mcp/dist/data"
SDL = ROOT / "integrations/shopify/simulator/schema.graphql"
EVERYTHING = {**queries.OPERATIONS, **{f"bulk {name}": text for name, text in queries.BULK_QUERIES.items()}}
# Deprecated in favour of a field that does not exist yet; `test_the_excused_field_has_no_replacement` watches it.
EXCUSED = {"The field Shop.domains is deprecated. Use `domainsPaginated` instead."}


def load(version: str) -> GraphQLSchema:
    path = INTROSPECTION / f"admin_{version}.json.gz"
    assert path.exists(), f"{path} is missing: run `npm ci`"
    with gzip.open(path) as packed:
        answer = json.load(packed)
    return build_client_schema(answer.get("data", answer), assume_valid=True)


@pytest.fixture(scope="module")
def real() -> GraphQLSchema:
    return load(queries.API_VERSION)


@pytest.fixture(scope="module")
def ours() -> GraphQLSchema:
    return build_schema(SDL.read_text(encoding="utf-8"))


def deprecated_use(schema: GraphQLSchema, text: str) -> list[str]:
    """Deprecated fields and enum values; graphql-core crashes on a deprecated argument, which counts as one."""
    try:
        return [error.message for error in validate(schema, parse(text), [NoDeprecatedCustomRule])]
    except AttributeError:
        return ["a deprecated argument"]


def test_every_operation_is_valid(real: GraphQLSchema) -> None:
    wrong = {name: [error.message for error in validate(real, parse(text))] for name, text in EVERYTHING.items()}
    assert {name: errors for name, errors in wrong.items() if errors} == {}


def test_validation_would_notice_a_wrong_field(real: GraphQLSchema) -> None:
    assert validate(real, parse("{ shop { nickname } }"))


@pytest.mark.parametrize("name", EVERYTHING)
def test_no_operation_uses_what_is_deprecated(real: GraphQLSchema, name: str) -> None:
    assert set(deprecated_use(real, EVERYTHING[name])) - EXCUSED == set()


def test_deprecated_use_would_be_noticed(real: GraphQLSchema) -> None:
    assert deprecated_use(real, '{ customer(id: "gid://shopify/Customer/1") { email } }')
    assert deprecated_use(real, '{ webhookSubscriptions(first: 1, callbackUrl: "https://x.example") { nodes { id } } }')


def test_the_excused_field_has_no_replacement(real: GraphQLSchema) -> None:
    shop = real.type_map["Shop"]
    assert isinstance(shop, GraphQLObjectType)
    assert "domainsPaginated" not in shop.fields
    assert not any("omain" in name and name != "domain" for name in real.query_type.fields)


def test_user_error_codes_are_asked_for_only_where_they_exist(real: GraphQLSchema) -> None:
    """platforms.md A5.12: selecting `code` on a plain UserError is a 200 with errors. Validation would catch it."""
    assert validate(real, parse(queries.WEBHOOK_DELETE.replace("{ field message }", "{ field message code }")
                               .replace("userErrors {", "userErrors { code")))  # fmt: skip


def test_operations_are_named_as_they_are_listed() -> None:
    for name, text in queries.OPERATIONS.items():
        assert re.search(r"\b(?:query|mutation) (\w+)", text)[1] == name


def test_the_committed_schema_is_what_the_operations_cut_out(real: GraphQLSchema) -> None:
    cut = schema_subset.subset_sdl(real, schema_subset.our_operations())
    assert SDL.read_text(encoding="utf-8") == cut, "run python -m integrations.shopify.simulator.schema_subset"


def test_what_we_ask_of_a_shopper_is_valid_in_the_customer_account_api() -> None:
    """Held to its introspection, of every version that a shop's discovery document may name."""
    for version in ("2026-04", "2026-07", "2026-10"):
        with gzip.open(INTROSPECTION / f"customer_{version}.json.gz") as packed:
            answer = json.load(packed)
        theirs = build_client_schema(answer.get("data", answer), assume_valid=True)
        assert validate(theirs, parse(account.QUERY)) == []
        assert validate(theirs, parse(account.QUERY.replace("customer {", "customer { nickname")))
        assert deprecated_use(theirs, account.QUERY) == []
    cut = schema_subset.customer_sdl(theirs)
    assert SDL.with_name("customer_schema.graphql").read_text(encoding="utf-8") == cut
    mine = build_schema(cut)
    assert [text for name, held in mine.type_map.items() if not name.startswith("__")
            for text in mismatch(held, theirs.type_map.get(name))] == []  # fmt: skip


def test_the_simulators_schema_is_sound_and_runs_our_operations(ours: GraphQLSchema) -> None:
    assert validate_schema(ours) == []
    for name, text in EVERYTHING.items():
        assert validate(ours, parse(text)) == [], name


def _default(argument: object) -> str | None:
    literal = getattr(getattr(argument, "default", None), "literal", None)
    return print_ast(literal) if literal is not None else None


def mismatch(mine: GraphQLNamedType, theirs: GraphQLNamedType | None) -> list[str]:
    """How a type of the simulator's differs from the real one of that name, beyond having less."""
    name = mine.name
    if theirs is None or type(mine) is not type(theirs):
        return [f"{name}: not a type of Shopify's"]
    if isinstance(mine, GraphQLEnumType) and isinstance(theirs, GraphQLEnumType):
        return [f"{name}.{value}" for value in mine.values if value not in theirs.values]
    if isinstance(mine, GraphQLInputObjectType) and isinstance(theirs, GraphQLInputObjectType):
        wrong = [
            f"{name}.{key}: {field.type}"
            for key, field in mine.fields.items()
            if key not in theirs.fields or str(theirs.fields[key].type) != str(field.type)
        ]
        # A required field that we leave out would make the simulator take what Shopify refuses.
        return wrong + [
            f"{name}.{key} is required"
            for key, field in theirs.fields.items()
            if str(field.type).endswith("!") and _default(field) is None and key not in mine.fields
        ]
    if isinstance(mine, GraphQLUnionType) and isinstance(theirs, GraphQLUnionType):
        return [f"{name} = {m.name}" for m in mine.types if m.name not in {t.name for t in theirs.types}]
    if not isinstance(mine, GraphQLObjectType | GraphQLInterfaceType) or not isinstance(
        theirs, GraphQLObjectType | GraphQLInterfaceType
    ):
        return [] if isinstance(mine, GraphQLScalarType) else [f"{name}: unexpected kind"]
    wrong = [i.name for i in mine.interfaces if i.name not in {j.name for j in theirs.interfaces}]
    for key, field in mine.fields.items():
        other = theirs.fields.get(key)
        if other is None or str(other.type) != str(field.type):
            wrong.append(f"{name}.{key}: {field.type}")
            continue
        for arg, held in field.args.items():
            real_arg = other.args.get(arg)
            if real_arg is None or str(real_arg.type) != str(held.type) or _default(real_arg) != _default(held):
                wrong.append(f"{name}.{key}({arg}: {held.type})")
        wrong += [
            f"{name}.{key}({arg}) is required"
            for arg, held in other.args.items()
            if str(held.type).endswith("!") and _default(held) is None and arg not in field.args
        ]
    return wrong


def test_everything_the_simulator_knows_is_real(real: GraphQLSchema, ours: GraphQLSchema) -> None:
    wrong = [
        text
        for name, held in ours.type_map.items()
        if not name.startswith("__")
        for text in mismatch(held, real.type_map.get(name))
    ]
    assert wrong == []


def test_a_made_up_schema_would_be_noticed(real: GraphQLSchema) -> None:
    made_up = build_schema("type Query { shop: Shop! } type Shop { nickname: String name: String }")
    assert sorted(mismatch(made_up.type_map["Shop"], real.type_map["Shop"])) == [
        "Shop.name: String", "Shop.nickname: String",
    ]  # fmt: skip


def test_bulk_queries_keep_shopifys_limits() -> None:
    for name, text in queries.BULK_QUERIES.items():
        assert bulk.complaint(admin_api.SCHEMA, text) is None, name


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("{ shop { id } }", "at least one connection"),
        ("{ orders { nodes { id } } }", "must select edges"),
        ("{ orders { edges { node { refunds { refundLineItems { nodes { id } } } } } } }", "within a list"),
        ("mutation { webhookSubscriptionDelete(id: 1) { deletedWebhookSubscriptionId } }", "must be queries"),
        ("{ orders { edges { node { nickname } } } }", "Invalid bulk query"),
        ("{ orders {", "Invalid bulk query"),
    ],
)
def test_bulk_queries_that_shopify_refuses(query: str, says: str) -> None:
    assert says in (bulk.complaint(admin_api.SCHEMA, query) or "")


def test_every_known_topic_is_a_real_one(real: GraphQLSchema) -> None:
    enum = real.type_map["WebhookSubscriptionTopic"]
    assert isinstance(enum, GraphQLEnumType)
    for family in ("orders/create", "carts/update", "customer.tags_added", "returns/close", "bulk_operations/finish"):
        assert topics.enum_name(family) in enum.values
        assert topics.scopes_for(family) is not None
