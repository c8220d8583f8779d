"""Shopify at the wire: Admin API, OAuth, webhooks, app proxy, a storefront and the admin that frames the app.

It shares no code with the app but ``queries`` (to cut its schema), so it cannot be wrong in the same way.
"""

from integrations.shopify.simulator.app import Simulator, create_app
from integrations.shopify.simulator.shop import ADMIN_HOST, DOWNLOAD_HOST, STOREFRONT_HOST
from integrations.shopify.simulator.state import ShopState

__all__ = ["ADMIN_HOST", "DOWNLOAD_HOST", "STOREFRONT_HOST", "ShopState", "Simulator", "create_app"]
