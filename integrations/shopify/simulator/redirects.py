"""URL redirects of the online store: one for each path, followed where the store has no page of its own."""

from typing import Any

from integrations.shopify.simulator.doings import allowed, payload
from integrations.shopify.simulator.shop import Shop, gid, number_of
from integrations.shopify.simulator.state import Doc

SCOPE = "write_online_store_navigation"


def _node(doc: Doc) -> Doc:
    return {"id": gid("UrlRedirect", doc["id"]), "path": doc["path"], "target": doc["target"]}


def _refused(field: list[str], message: str, code: str, **rest: None) -> Doc:
    return {**rest, "userErrors": [{"field": field, "message": message, "code": code}]}


def create(shop: Shop, told: Doc) -> Doc:
    """``urlRedirectCreate``."""
    allowed(shop, SCOPE, "urlRedirectCreate")
    path, target = told.get("path") or "", told.get("target") or ""
    if not path or not target:
        return _refused(["urlRedirect"], "Path and target can't be blank", "CREATE_FAILED", urlRedirect=None)
    if target_of(shop, path):
        return _refused(["urlRedirect", "path"], "Path has already been taken", "CREATE_FAILED", urlRedirect=None)
    number = shop.state.next_id("redirects")
    made = shop.state.put("redirects", number, {"id": number, "path": path, "target": target})
    return payload([], urlRedirect=_node(made))


def remove(shop: Shop, id: str) -> Doc:
    """``urlRedirectDelete``."""
    allowed(shop, SCOPE, "urlRedirectDelete")
    number = number_of(id, "UrlRedirect") or 0
    if shop.state.get("redirects", number) is None:
        return _refused(["id"], "Redirect does not exist", "DOES_NOT_EXIST", deletedUrlRedirectId=None)
    shop.state.delete("redirects", number)
    return payload([], deletedUrlRedirectId=id)


def target_of(shop: Shop, path: str) -> str:
    """Where a path leads; empty: nowhere."""
    return next((str(one["target"]) for one in shop.state.all("redirects") if one["path"] == path), "")


def questions(shop: Shop) -> Doc:
    """What is asked of them."""

    def listed(**told: Any) -> Doc:
        allowed(shop, SCOPE, "urlRedirects")
        wanted = str(told.get("query") or "").removeprefix("path:")
        found = [_node(one) for one in shop.state.all("redirects") if one["path"].startswith(wanted)]
        return {"nodes": found[: told["first"]]}

    return {"urlRedirects": listed}


def mutations(shop: Shop) -> Doc:
    """The mutations above, by their names."""
    return {
        "urlRedirectCreate": lambda **told: create(shop, told["urlRedirect"]),
        "urlRedirectDelete": lambda **told: remove(shop, told["id"]),
    }
