"""`/`: shows a newcomer the way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from admin_ui.auth import public_page
from admin_ui.desk import session_cookie
from plugin.app import App
from plugin.kernel.i18n import Translator
from plugin.kernel.web import Web


@dataclass(frozen=True, slots=True)
class Doorway:
    """A link of the demo."""

    url: str
    title: str
    text: str
    icon: str
    away: bool = True


def landing(app: App, web: Web) -> Callable[[Request], Awaitable[Response]]:
    """The handler of `/`."""

    async def show(request: Request) -> Response:
        t = web.translator(request)
        known = session_cookie(app, request) is not None
        return public_page(
            app, web, "landing.html", t, request, doors=_doors(app, t), sign_in=_sign_in(app), known=known
        )

    return show


def _doors(app: App, t: Translator) -> list[Doorway]:
    """The demo's storefronts and panels; none outside the demo."""
    simulator = urlsplit(app.settings.demo.simulator_url)
    if not simulator.port:
        return []
    _ = t.gettext

    def at(host: str, path: str = "/") -> str:
        return f"http://{host}:{simulator.port}{path}"

    return [
        Doorway(at("shopify-demo.localhost"), _("The Shopify storefront"),
                _("Shop, fill a cart, open the chat."), "shopping-bag"),
        Doorway(at("woo-demo.localhost"), _("The WooCommerce storefront"),
                _("The same widget on WordPress."), "shopping-cart"),
        Doorway(at("admin-shopify-demo.localhost"), _("The panel inside Shopify admin"),
                _("As a merchant sees it, with no account of its own."), "panels-top-left"),
        Doorway("/panel", _("The panel in its own window"), _("With e-mail and password."), "inbox", away=False),
    ]  # fmt: skip


def _sign_in(app: App) -> dict[str, str] | None:
    """What the demo signs in with."""
    demo = app.settings.demo
    return {"email": demo.email, "password": demo.password} if demo.email else None
