"""The demo's two stores, a process of their own (`python -m plugin.demo_stores`): nothing else loads the simulators."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send

from integrations.easypost.simulator import FILES
from integrations.easypost.simulator import Simulator as EasyPostSimulator
from integrations.shopify.simulator import create_app as shopify_simulator
from integrations.woocommerce.simulator import create_app as woocommerce_simulator
from plugin import processes
from plugin.demo import CARRIER, CARRIER_HOST, STORES, WOO_HOST
from plugin.kernel import config
from plugin.kernel.config import Settings
from plugin.kernel.log import configure


def main() -> None:
    """With the environment that `ahlan demo` gives."""
    settings = config.load()
    configure(format=settings.log_format, level=settings.log_level)
    uvloop.run(run(settings))


async def run(settings: Settings) -> None:
    """Both stores in one process, told apart by Host header; their state lives in the data directory."""
    stop = processes.stop_signal()
    folder = settings.data_dir / STORES
    folder.mkdir(parents=True, exist_ok=True)
    port = settings.port + 1
    shopify = shopify_simulator(
        folder / "shopify.sqlite",
        app_url=settings.public_url,
        client_id=settings.shopify.client_id,
        client_secret=settings.shopify.secret,
        base_port=port,
    )
    woocommerce = woocommerce_simulator(
        folder / "woocommerce",
        server=settings.public_url,
        site=f"https://{WOO_HOST}",
        public=f"http://{WOO_HOST}:{port}",
        trusted=[settings.public_url],
    )
    carriers: dict[str, ASGIApp] = dict.fromkeys((CARRIER, FILES, CARRIER_HOST), EasyPostSimulator())
    hosts: dict[str, ASGIApp] = {WOO_HOST: woocommerce, **carriers}
    server = uvicorn.Server(
        uvicorn.Config(
            _ByHost(hosts, shopify), host=settings.host, port=port, loop="none", log_config=None,
            access_log=False, proxy_headers=False, timeout_graceful_shutdown=2,
        )
    )  # fmt: skip
    # As in `processes.run_web`: uvicorn's own signal handlers would fight with ours; mypy wants no method replaced.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    server.should_exit = True
    await serving


class _ByHost:
    """ASGI: one application per host name, the rest to the last one, which also gets the lifespan."""

    def __init__(self, by_host: Mapping[str, ASGIApp], otherwise: ASGIApp) -> None:
        self._by_host = by_host
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").partition(":")[0].lower()
            await self._by_host.get(host, self._otherwise)(scope, receive, send)
            return
        await self._otherwise(scope, receive, send)


if __name__ == "__main__":
    main()
