"""Renders the simulator's pages: the demo shop's storefront and the stand-in for Shopify's admin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse, Response

from integrations.shopify.simulator.shop import minor

HERE = Path(__file__).parent
STATIC = HERE / "static"


def price(text: str) -> str:
    """Shekels for reading; the sign stays with the digits in both directions."""
    value = minor(text)
    digits = f"{value // 100:,}" if value % 100 == 0 else f"{value // 100:,}.{value % 100:02d}"
    return f"\u2066₪{digits}\u2069"


_environment = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters["price"] = price


def page(template: str, *, status: int = 200, headers: dict[str, str] | None = None, **values: Any) -> Response:
    """One HTML page."""
    return HTMLResponse(_environment.get_template(template).render(**values), status, headers)
