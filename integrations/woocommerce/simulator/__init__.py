"""A WooCommerce site at the wire, for the demo and for tests. Imports nothing of Ahlan but its plugin's protocol."""

from integrations.woocommerce.simulator.app import HOST, create_app

__all__ = ["HOST", "create_app"]
