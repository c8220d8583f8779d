"""Where a shop's page of orders and returns is, for letters: at the shop's own address where there is one."""

from typing import Final
from urllib.parse import urlencode

from plugin.stores import Store

RETURNS_PATH: Final = "returns_path"
"""In `Store.widget`: the path on the storefront at which the platform shows the page; absent where it has none."""


def address(public_url: str, store: Store, language: str, back: str = "") -> str:
    """The page in this language; `back` is the public id of a return, which it opens for whoever proves their order."""
    asked = {"locale": language, **({"return": back} if back else {})}
    path = str(store.widget.get(RETURNS_PATH) or "")
    if path:
        return f"{store.url.rstrip('/')}{path}?{urlencode(asked)}"
    return f"{public_url}/widget/page?{urlencode({'store': store.public_key, **asked})}"
