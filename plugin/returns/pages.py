"""Where a shop's page of orders and returns is, for letters: at the shop's own address where there is one."""

import re
from typing import Final
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from plugin.kernel.db import Tx
from plugin.stores import Store

RETURNS_PATH: Final = "returns_path"
"""In `Store.widget`: the path on the storefront at which the platform shows the page; absent where it has none."""
RETURNS_PAGE: Final = "returns_page"
"""In `Store.widget`: the whole address of a page of the shop's own that holds the screens, open to everybody."""
RETURNS_ACCOUNT: Final = "returns_account"
"""In `Store.widget`: the same behind the shop's own sign-in, which is no place for somebody without an account."""
_ADDRESS: Final = re.compile(r"https?://[^\s<>\"'\\#]{1,500}\Z")


def address(public_url: str, store: Store, language: str, back: str = "", *, account: bool = False) -> str:
    """The page in this language; `back` is the public id of a return, which it opens for whoever proves their order.

    `account`: the reader has an account at the shop, so a page behind its sign-in will do where there is no other.
    """
    asked = {"locale": language, **({"return": back} if back else {})}
    path = str(store.widget.get(RETURNS_PATH) or "")
    own = f"{store.url.rstrip('/')}{path}" if path else str(store.widget.get(RETURNS_PAGE) or "")
    if not own and account:
        own = str(store.widget.get(RETURNS_ACCOUNT) or "")
    if own:
        # Without pretty permalinks a page of WordPress is a query itself.
        return f"{own}{'&' if '?' in own else '?'}{urlencode(asked)}"
    return f"{public_url}/widget/page?{urlencode({'store': store.public_key, **asked})}"


async def told(tx: Tx, store_id: UUID, page: str, account: str) -> None:
    """The shop itself says where its pages are, empty for none; an address of somebody else's is none."""
    store = await tx.get(Store, store_id)
    if store is None:
        return
    said = {RETURNS_PAGE: _own(store, page), RETURNS_ACCOUNT: _own(store, account)}
    if all(store.widget.get(name, "") == one for name, one in said.items()):
        return
    # Read again under a lock: others write other words into `widget`.
    store = await tx.get(Store, store_id, lock=True) or store
    store.widget = {**store.widget, **said}
    await tx.flush()


def _own(store: Store, given: str) -> str:
    """The address, if it is one of the shop's own: it stands in letters to its customers."""
    if not _ADDRESS.match(given):
        return ""
    try:
        hosts = {urlsplit(one).netloc.lower() for one in (store.url, *store.origins)}
        return given if urlsplit(given).netloc.lower() in hosts else ""
    except ValueError:
        return ""
