"""Every PHP file of the plugin on the oldest and the newest PHP it promises, and in WordPress's own style."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.wordpress.wordpress import PLUGIN, SITE, missing, node

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())
STANDARD = SITE / "node_modules" / "wpcs-cli" / "scripts"


async def php(version: str, folders: dict[str, Path], *runs: list[str]) -> list[dict[str, Any]]:
    """PHP's command line, once per list of words; `folders` are what it sees of this machine."""
    seen = json.dumps({where: str(folder) for where, folder in folders.items()})
    process = await asyncio.create_subprocess_exec(
        node(), "--no-warnings", str(SITE / "php.mjs"), version, seen, json.dumps(runs),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        said, _ = await asyncio.wait_for(process.communicate(), 120)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return [json.loads(line) for line in said.splitlines()]


def files() -> list[str]:
    found = [f"/plugin/{path.relative_to(PLUGIN).as_posix()}" for path in sorted(PLUGIN.rglob("*.php"))]
    assert len(found) > 20
    return found


@pytest.mark.parametrize("version", ["7.4", "8.3"])
async def test_no_file_has_a_syntax_error(version: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.php").write_text("<?php $one = ;")
    where = {"/plugin": PLUGIN, "/wrong": tmp_path}
    # PHP 8.3 takes many files at once.
    ours = [["php", "-l", *files()]] if version == "8.3" else [["php", "-l", file] for file in files()]
    *checked, wrong = await php(version, where, *ours, ["php", "-l", "/wrong/wrong.php"])
    assert wrong["code"] != 0, "the check must be able to fail"
    assert [run["out"] for run in checked if run["code"] != 0] == []
    assert sum(run["out"].count("No syntax errors detected") for run in checked) == len(files())


async def test_every_file_keeps_the_wordpress_coding_standard(tmp_path: Path) -> None:
    (tmp_path / "wrong.php").write_text("<?php echo $_GET['name'];\n")
    command = [
        "php", "-d", "memory_limit=512M",
        # This release of the sniffer is older than PHP 7.4 and would take PHP's notices about it for ours.
        "-d", "error_reporting=0",
        # It asks the terminal how wide it is.
        "-d", "disable_functions=shell_exec,exec,popen,proc_open",
        "/standard/phpcs.phar", "--runtime-set", "installed_paths", "/standard/wordpress-coding-standards",
        "--standard=WordPress", "--extensions=php", "--report-width=150", "--report=emacs",
        "--runtime-set", "text_domain", "wc-ahlan", "--runtime-set", "prefixes", "wc_ahlan,ahlan",
        "--runtime-set", "minimum_supported_wp_version", "6.2",
    ]  # fmt: skip
    folders = {"/standard": STANDARD, "/plugin": PLUGIN, "/wrong": tmp_path}
    ours, wrong = await php("7.4", folders, [*command, "/plugin"], [*command, "/wrong"])
    assert "EscapeOutput" in wrong["out"] or "escaping function" in wrong["out"], "the check must be able to fail"
    assert (ours["code"], ours["out"].strip()) == (0, "")
