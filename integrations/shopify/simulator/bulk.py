"""Bulk operations (platforms.md A5.3): checked when asked for, run in the background, kept as a JSONL file."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import re
import secrets
from collections.abc import Callable
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLOutputType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    execute_sync,
    get_named_type,
    is_list_type,
    is_non_null_type,
    parse,
    validate,
    visit,
)
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from integrations.shopify.simulator.shop import DOWNLOAD_HOST, Shop, gid, number_of
from integrations.shopify.simulator.state import Doc

AT_ONCE = 5
MAX_CONNECTIONS = 5
MAX_DEPTH = 2
CHUNK = 40
BUCKET_PATH = "/shopify-tiers-assets-prod-us-east1/bulk-operation-outputs"
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
RUNNING = ("CREATED", "RUNNING", "CANCELING")


class _Shape(Visitor):
    """Counts connections, their depth, and finds what a bulk query may not have."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self.info = info
        self.connections = self.depth = self.deepest = 0
        self.lists = 0
        self.complaint: str | None = None

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        kind = self._kind(self.info.get_type())
        if kind == "connection":
            self.connections += 1
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)
            if self.lists:
                self.complaint = "Queries that contain a connection field within a list field are not supported."
            names = {
                held.name.value
                for held in (node.selection_set.selections if node.selection_set else ())
                if isinstance(held, FieldNode)
            }
            if "edges" not in names and self.complaint is None:
                self.complaint = f"The connection '{node.name.value}' must select edges and node."
        elif kind == "list":
            self.lists += 1

    def leave_field(self, node: FieldNode, *_: Any) -> None:
        kind = self._kind(self.info.get_type())
        if kind == "connection":
            self.depth -= 1
        elif kind == "list":
            self.lists -= 1

    @staticmethod
    def _kind(output: GraphQLOutputType | None) -> str:
        if output is None:
            return "leaf"
        name = get_named_type(output).name
        if name.endswith("Connection"):
            return "connection"
        bare = output.of_type if is_non_null_type(output) else output
        return "list" if is_list_type(bare) and not name.endswith("Edge") else "leaf"


def complaint(schema: GraphQLSchema, query: str) -> str | None:
    """Why a query cannot run in bulk, or None."""
    try:
        parsed = parse(query)
    except GraphQLError as error:
        return f"Invalid bulk query: {error.message}"
    wrong = validate(schema, parsed)
    if wrong:
        return f"Invalid bulk query: {wrong[0].message}"
    first = parsed.definitions[0]
    if not isinstance(first, OperationDefinitionNode) or first.operation is not OperationType.QUERY:
        return "Bulk queries must be queries."
    info = TypeInfo(schema)
    shape = _Shape(info)
    visit(parsed, TypeInfoVisitor(info, shape))
    if shape.complaint:
        return shape.complaint
    if shape.connections == 0:
        return "Bulk queries must contain at least one connection."
    if shape.connections > MAX_CONNECTIONS:
        return f"Bulk queries cannot contain more than {MAX_CONNECTIONS} connections."
    if shape.deepest > MAX_DEPTH:
        return f"Bulk queries cannot contain connections nested deeper than {MAX_DEPTH} levels."
    return None


def request(shop: Shop, schema: GraphQLSchema, query: str, group: bool, start: Callable[[int], None]) -> Doc:
    """``bulkOperationRunQuery``."""
    wrong = complaint(schema, query)
    code = "INVALID"
    if wrong is None and sum(held["status"] in RUNNING for held in shop.state.all("bulk")) >= AT_ONCE:
        wrong, code = f"A shop can run {AT_ONCE} bulk query operations at a time.", "LIMIT_REACHED"
    if wrong:
        return {"bulkOperation": None, "userErrors": [{"field": ["query"], "message": wrong, "code": code}]}
    number = shop.state.next_id("bulk")
    doc = shop.state.put(
        "bulk",
        number,
        {
            "id": number,
            "query": query,
            "group": group,
            "status": "CREATED",
            "error_code": None,
            "created_at": shop.stamp(),
            "completed_at": None,
            "objects": 0,
            "roots": 0,
            "file": None,
            "size": None,
        },
    )
    start(number)
    return {"bulkOperation": node(shop, doc), "userErrors": []}


def cancel(shop: Shop, global_id: str) -> Doc:
    """``bulkOperationCancel``."""
    doc = shop.state.get("bulk", number_of(global_id, "BulkOperation") or 0)
    if doc is None:
        return {"bulkOperation": None, "userErrors": [{"field": ["id"], "message": "Bulk operation does not exist"}]}
    if doc["status"] not in RUNNING:
        wrong = "A bulk operation cannot be canceled when it is completed"
        return {"bulkOperation": node(shop, doc), "userErrors": [{"field": None, "message": wrong}]}
    doc["status"] = "CANCELING"
    shop.state.put("bulk", doc["id"], doc)
    return {"bulkOperation": node(shop, doc), "userErrors": []}


def node(shop: Shop, doc: Doc) -> Doc:
    """A BulkOperation; ``url`` is null when nothing was found."""
    url = f"https://{DOWNLOAD_HOST}{BUCKET_PATH}/{doc['file']}.jsonl?GoogleAccessId=simulator" if doc["file"] else None
    return {
        "id": gid("BulkOperation", doc["id"]),
        "type": "QUERY",
        "status": doc["status"],
        "errorCode": doc["error_code"],
        "createdAt": doc["created_at"],
        "completedAt": doc["completed_at"],
        "objectCount": str(doc["objects"]),
        "rootObjectCount": str(doc["roots"]),
        "fileSize": None if doc["size"] is None else str(doc["size"]),
        "url": url if doc["status"] == "COMPLETED" else None,
        "partialDataUrl": url if doc["status"] in {"FAILED", "CANCELED"} else None,
    }


Root = Callable[..., Doc]


async def run(shop: Shop, schema: GraphQLSchema, number: int, root: Root, resolver: Callable[..., Any]) -> None:
    """Runs one operation to its end and tells ``bulk_operations/finish``; gives way between chunks of roots."""
    doc = shop.state.get("bulk", number)
    if doc is None or doc["status"] not in RUNNING:
        return
    await asyncio.sleep(0.4 * shop.time_scale)
    if doc["status"] == "CREATED":
        doc["status"] = "RUNNING"
        shop.state.put("bulk", number, doc)
    lines: list[str] = []
    parsed = parse(doc["query"])
    dice = random.Random(number)  # noqa: S311 - only mixes lines
    roots, offset, failed = 0, 0, None
    while doc["status"] == "RUNNING":
        seen = 0

        def window(items: list[Doc], offset: int = offset) -> list[Doc]:
            nonlocal seen
            ordered = sorted(items, key=lambda item: (item["updated_at"], item["id"]))
            found = ordered[offset : offset + CHUNK]
            seen = max(seen, len(found))
            return found

        everything = root(shop, everything=True, only=window)
        done = execute_sync(schema, parsed, root_value=everything, field_resolver=resolver)
        if done.errors:
            denied = any((error.extensions or {}).get("code") == "ACCESS_DENIED" for error in done.errors)
            failed = "ACCESS_DENIED" if denied else "INTERNAL_SERVER_ERROR"
            break
        if seen == 0:
            break
        parents, children = _lines(done.data or {}, group=doc["group"])
        roots += seen
        dice.shuffle(children)
        # Children come after their parents, but not next to them.
        lines += [*parents, *children]
        offset += CHUNK
        doc["objects"], doc["roots"] = len(lines), roots
        await asyncio.sleep(0.02 * shop.time_scale)
    doc["completed_at"] = shop.stamp()
    if doc["status"] == "CANCELING":
        doc["status"] = "CANCELED"
    elif failed:
        doc["status"], doc["error_code"] = "FAILED", failed
    else:
        doc["status"] = "COMPLETED"
    if lines:
        text = "\n".join(lines) + "\n"
        doc["file"] = secrets.token_urlsafe(18)
        doc["size"] = len(text.encode())
        shop.state.put("files", doc["file"], {"text": text})
    shop.state.put("bulk", number, doc)
    shop.emit(
        "bulk_operations/finish",
        {
            "admin_graphql_api_id": gid("BulkOperation", number),
            "completed_at": doc["completed_at"],
            "created_at": doc["created_at"],
            "error_code": doc["error_code"].lower() if doc["error_code"] else None,
            "status": doc["status"].lower(),
            "type": "query",
        },
    )


def _lines(data: Doc, *, group: bool) -> tuple[list[str], list[str]]:
    parents: list[str] = []
    children: list[str] = []
    for value in data.values():
        for edge in (value or {}).get("edges", []):
            flat, below = _flatten(edge["node"], None)
            parents.append(_dump(flat))
            (parents if group else children).extend(_dump(child) for child in below)
    return parents, children


def _flatten(held: Doc, parent: str | None) -> tuple[Doc, list[Doc]]:
    flat: Doc = {}
    below: list[Doc] = []
    for name, value in held.items():
        if isinstance(value, dict) and "edges" in value:
            for edge in value["edges"]:
                child, deeper = _flatten(edge["node"], held["id"])
                below += [child, *deeper]
        else:
            flat[name] = value
    if parent is not None:
        flat["__parentId"] = parent
    return flat, below


def _dump(held: Doc) -> str:
    return json.dumps(held, ensure_ascii=False, separators=(",", ":"))


async def download(shop: Shop, request: Request) -> Response:
    """The result file at the storage host: whole, gzipped for those who accept it, or from a byte on (``Range``)."""
    held = shop.state.get("files", request.path_params["file"])
    if held is None:
        return PlainTextResponse("<Error><Code>NoSuchKey</Code></Error>", 404)
    body = held["text"].encode()
    headers = {
        "Content-Disposition": 'attachment; filename="bulk.jsonl"',
        "Vary": "Accept-Encoding",
        "Accept-Ranges": "bytes",
    }
    asked = _RANGE.fullmatch(request.headers.get("range", ""))
    if asked:
        first, last = int(asked[1]), min(int(asked[2] or len(body)), len(body) - 1)
        if first >= len(body):
            return Response(status_code=416, headers={"Content-Range": f"bytes */{len(body)}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
        return Response(body[first : last + 1], 206, headers, "application/jsonl")
    if "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, 5)
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers, media_type="application/jsonl")
