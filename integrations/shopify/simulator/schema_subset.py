"""Cuts the simulator's schema out of Shopify's own: what our operations use, and nothing else.

``python -m integrations.shopify.simulator.schema_subset <introspection.json.gz> > schema.graphql`` after an operation
was added to ``queries``; the contract test refuses a ``schema.graphql`` that differs from what this prints. With
``customer`` behind it, and the introspection of the Customer Account API, it prints ``customer_schema.graphql``.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLUnionType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_client_schema,
    get_named_type,
    parse,
    print_ast,
    visit,
)
from graphql.language import DirectiveNode, FieldNode

from integrations.shopify import account, queries

# Long lists of values of which a demo shop needs a few.
TRIMMED_ENUMS = {
    "CountryCode": ["AE", "BH", "DE", "EG", "FR", "GB", "IL", "JO", "KW", "LB", "MA", "PS", "QA", "SA", "TN", "US"],
    "CurrencyCode": ["AED", "BHD", "EGP", "EUR", "GBP", "ILS", "JOD", "JPY", "KWD", "SAR", "TND", "USD"],
}
# Arguments that a caller may reasonably use though our own operations do not name them as literals.
KEPT_ARGUMENTS = {"first", "after", "last", "before", "query", "reverse", "sortKey", "topics", "uri"}
KEPT_INTERFACES = {"Node", "Media", "ReturnLineItemType", "StoreCreditAccountTransaction"}
BUILT_IN = {"String", "Int", "Float", "Boolean", "ID"}


def load_schema(path: Path) -> GraphQLSchema:
    """The full schema from a gzipped introspection answer (it breaks a rule of graphql-core: ``assume_valid``)."""
    with gzip.open(path) as packed:
        answer: dict[str, Any] = json.load(packed)
    return build_client_schema(answer.get("data", answer), assume_valid=True)


class _Used(Visitor):
    """Collects (type, field) pairs and argument names while walking an operation."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.fields: dict[str, set[str]] = {}
        self.arguments: dict[tuple[str, str], set[str]] = {}
        self.directives: set[str] = set()

    def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
        self.directives.add(node.name.value)

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        parent = self.info.get_parent_type()
        if parent is None:
            raise ValueError(f"{node.name.value}: not in the schema")
        self.fields.setdefault(parent.name, set()).add(node.name.value)
        named = {argument.name.value for argument in node.arguments or ()}
        self.arguments.setdefault((parent.name, node.name.value), set()).update(named)


def subset_sdl(
    schema: GraphQLSchema, operations: list[str], *, also: tuple[str, ...] = ("MediaImage", "Node"),
    root: str = "schema {\n  query: QueryRoot\n  mutation: Mutation\n}",
) -> str:  # fmt: skip
    """SDL of every type, field and argument that ``operations`` reach, and of ``also``; types sorted by name."""
    info = TypeInfo(schema)
    used = _Used(info)
    for operation in operations:
        visit(parse(operation), TypeInfoVisitor(info, used))

    wanted: dict[str, GraphQLNamedType] = {}

    def want(named: GraphQLNamedType) -> None:
        if named.name in wanted or named.name in BUILT_IN:
            return
        wanted[named.name] = named
        if isinstance(named, GraphQLInputObjectType):
            for field in named.fields.values():
                if not field.deprecation_reason:
                    want(get_named_type(field.type))

    parts: list[str] = []
    for type_name, field_names in used.fields.items():
        parent = schema.type_map[type_name]
        want(parent)
        if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType):
            raise TypeError(f"{type_name} has no fields")
        for field_name in field_names:
            field = parent.fields[field_name]
            want(get_named_type(field.type))
            for name, argument in field.args.items():
                if name in used.arguments[type_name, field_name] | KEPT_ARGUMENTS and not argument.deprecation_reason:
                    want(get_named_type(argument.type))
    for name in also:
        want(schema.type_map[name])

    for name in sorted(wanted):
        named = wanted[name]
        if isinstance(named, GraphQLScalarType):
            parts.append(f"scalar {name}")
        elif isinstance(named, GraphQLEnumType):
            values = TRIMMED_ENUMS.get(name) or list(named.values)
            parts.append(f"enum {name} {{\n" + "\n".join(f"  {value}" for value in values) + "\n}")
        elif isinstance(named, GraphQLInputObjectType):
            lines = [f"  {k}: {v.type}" for k, v in named.fields.items() if not v.deprecation_reason]
            parts.append(f"input {name} {{\n" + "\n".join(lines) + "\n}")
        elif isinstance(named, GraphQLObjectType | GraphQLInterfaceType):
            parts.append(_composite(named, wanted, used))
        elif isinstance(named, GraphQLUnionType):
            parts.append(f"union {name} = {' | '.join(member.name for member in named.types if member.name in wanted)}")
    directives = [_directive(schema, name) for name in sorted(used.directives)]
    return "\n\n".join([root, *directives, *parts]) + "\n"


def customer_sdl(schema: GraphQLSchema) -> str:
    """The same of the Customer Account API: what we ask of whoever signed in."""
    return subset_sdl(schema, [account.QUERY], also=(), root="schema {\n  query: QueryRoot\n}")


def _directive(schema: GraphQLSchema, name: str) -> str:
    found = schema.get_directive(name)
    if found is None:
        raise ValueError(f"@{name}: not in the schema")
    arguments = ", ".join(f"{key}: {argument.type}" for key, argument in found.args.items())
    return f"directive @{name}({arguments}) on {' | '.join(place.name for place in found.locations)}"


def _composite(
    named: GraphQLObjectType | GraphQLInterfaceType,
    wanted: dict[str, GraphQLNamedType],
    used: _Used,
) -> str:
    names = set(used.fields.get(named.name, set()))
    interfaces = [i for i in named.interfaces if i.name in KEPT_INTERFACES and i.name in wanted]
    for interface in interfaces:
        names |= used.fields.get(interface.name, set())
    if "Node" in {i.name for i in interfaces} or named.name == "Node":
        names.add("id")
    lines = []
    for field_name in sorted(names):
        field = named.fields[field_name]
        kept = [
            f"{name}: {argument.type}{print_default(argument)}"
            for name, argument in field.args.items()
            if get_named_type(argument.type).name in wanted.keys() | BUILT_IN
            and name in used.arguments.get((named.name, field_name), set()) | KEPT_ARGUMENTS
            and not argument.deprecation_reason
        ]
        arguments = f"({', '.join(kept)})" if kept else ""
        lines.append(f"  {field_name}{arguments}: {field.type}")
    keyword = "interface" if isinstance(named, GraphQLInterfaceType) else "type"
    implements = f" implements {' & '.join(i.name for i in interfaces)}" if interfaces else ""
    return f"{keyword} {named.name}{implements} {{\n" + "\n".join(lines) + "\n}"


def print_default(argument: GraphQLArgument) -> str:
    """`` = value`` as Shopify's introspection spells it, or nothing; graphql-core 3.3 keeps the literal's node."""
    literal = argument.default.literal if argument.default is not None else None
    return f" = {print_ast(literal)}" if literal is not None else ""


def our_operations() -> list[str]:
    """Everything Ahlan sends, bulk queries included."""
    return [*queries.OPERATIONS.values(), *queries.BULK_QUERIES.values()]


if __name__ == "__main__":
    found = load_schema(Path(sys.argv[1]))
    sys.stdout.write(customer_sdl(found) if "customer" in sys.argv[2:] else subset_sdl(found, our_operations()))
