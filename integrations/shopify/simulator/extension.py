"""The account pages' extension as Shopify would deploy it: bundled from the app's own files, with the CLI's settings.

Shopify's CLI 4.8.2 makes one entry of all targets and gives it to esbuild (bundle, minify, es6, automatic JSX, the
environment as ``process.env.*``); so does this.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "integrations/shopify/app/extensions/customer-returns"
PACKAGES = ROOT / "node_modules"
PATH = "/cdn/extensions/ahlan/customer-returns.js"
MOST_BYTES = 64 * 1024
"""What an extension may have at most, compressed (platforms.md A4.4)."""
_SECONDS = 60


class NotBuilt(Exception):
    """There is nothing to show; the words say why."""


def config() -> dict[str, Any]:
    """``shopify.extension.toml``."""
    return tomllib.loads((FOLDER / "shopify.extension.toml").read_text(encoding="utf-8"))


def targets() -> dict[str, str]:
    """Module by target."""
    return {one["target"]: one["module"] for one in config()["extensions"][0]["targeting"]}


def entry() -> str:
    """What the CLI writes in front of the modules."""
    return "\n".join(
        f"import Target_{place} from '{module}';"
        f"shopify.extend('{target}', (...args) => Target_{place}(...args));"
        for place, (target, module) in enumerate(targets().items())
    )  # fmt: skip


def bundle(app_url: str) -> bytes:
    """The script, kept until a file of it changes. Raises NotBuilt where the packages are missing or do not build."""
    newest = max(path.stat().st_mtime_ns for path in FOLDER.rglob("*") if path.is_file())
    return _built(app_url, newest)


@lru_cache(maxsize=4)
def _built(app_url: str, _newest: int) -> bytes:
    # The program itself: the package's own command is a script that wants Node on the path.
    program = next(PACKAGES.glob("@esbuild/*/bin/esbuild"), None)
    if program is None:
        raise NotBuilt("The npm packages are missing: run `npm ci`.")
    defined = {"process.env.NODE_ENV": "production", "process.env.APP_URL": app_url}
    told = [
        str(program), "--bundle", "--minify", "--target=es6", "--jsx=automatic", "--loader=tsx", "--loader:.esnext=ts",
        "--loader:.js=jsx", "--legal-comments=none", "--log-level=error",
        "--resolve-extensions=.tsx,.ts,.js,.json,.esnext,.mjs,.ejs",
        *(f"--define:{name}={json.dumps(value)}" for name, value in defined.items()),
    ]  # fmt: skip
    done = subprocess.run(  # noqa: S603 - our own package, nothing of a request's
        told, input=entry().encode(), cwd=FOLDER, capture_output=True, timeout=_SECONDS, check=False
    )
    if done.returncode:
        raise NotBuilt(done.stderr.decode(errors="replace")[:2000])
    return done.stdout


def weight(script: bytes) -> int:
    """Its size as it is counted."""
    return len(gzip.compress(script, 9))


def words(locale: str) -> dict[str, Any]:
    """The extension's words in a language, or in its default one."""
    file = FOLDER / f"locales/{locale}.json"
    held: dict[str, Any] = json.loads(
        (file if file.exists() else FOLDER / "locales/en.default.json").read_text("utf-8")
    )
    return held
