"""The app proxy: ``/apps/support/*`` of the storefront answered by the app, signed by the shop (platforms.md A3)."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from integrations.shopify.simulator.shop import Shop

# Hop-by-hop, and what Shopify keeps to itself: cookies do not cross the proxy in either direction.
NOT_FORWARDED = frozenset(
    "host cookie connection keep-alive transfer-encoding te trailer upgrade content-length accept-encoding".split()  # noqa: SIM905
)
NOT_RETURNED = frozenset("set-cookie connection keep-alive transfer-encoding content-length content-encoding".split())  # noqa: SIM905
SECONDS = 10.0


def prefix(shop: Shop) -> str:
    """The storefront path of the proxy; merchants may rename it."""
    proxy = shop.config["app_proxy"]
    return str(shop.state.setting("proxy_prefix") or f"/{proxy['prefix']}/{proxy['subpath']}")


def signed_query(shop: Shop, query: str, customer_id: int | None) -> str:
    """The shopper's own parameters, Shopify's, and the signature over all of them.

    A shopper's parameters come first and are not removed: one who sends a second ``logged_in_customer_id`` gets it
    signed, which is why an app must refuse repeated ones.
    """
    parameters = parse_qsl(query, keep_blank_values=True)
    parameters += [
        ("shop", shop.domain),
        ("logged_in_customer_id", str(customer_id or "")),
        ("path_prefix", prefix(shop)),
        ("timestamp", str(int(shop.now().timestamp()))),
    ]
    return urlencode([*parameters, ("signature", shop.sign_proxy(parameters))])


async def forward(
    shop: Shop, request: Request, rest: str, customer_id: int | None, transport: httpx.AsyncBaseTransport | None
) -> Response:
    """One request through the proxy. 404 when the app is not installed, 502 when it does not answer."""
    if not shop.installed or not shop.allows("write_app_proxy"):
        return PlainTextResponse("Not found", 404)
    url = f"{shop.app_path(shop.config['app_proxy']['url'])}/{rest}"
    headers = [(key, value) for key, value in request.headers.items() if key.lower() not in NOT_FORWARDED]
    headers.append(("X-Forwarded-Host", shop.domain))
    async with httpx.AsyncClient(transport=transport, timeout=SECONDS, trust_env=False) as http:
        try:
            answer = await http.request(
                request.method,
                f"{url}?{signed_query(shop, request.url.query, customer_id)}",
                content=await request.body(),
                headers=headers,
            )
        except httpx.HTTPError:
            return PlainTextResponse("There was an error in the third-party application.", 502)
    kept = {key: value for key, value in answer.headers.items() if key.lower() not in NOT_RETURNED}
    return Response(answer.content, answer.status_code, kept)
