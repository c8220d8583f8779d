"""The zip that `make wordpress-plugin` builds."""

import gettext
import hashlib
import io
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from babel.messages.pofile import read_po

from tests.wordpress.conftest import load
from tests.wordpress.wordpress import PLUGIN, ROOT

SCRIPT = ROOT / ".ci" / "wordpress-plugin"


@pytest.fixture
def builder(tmp_path: Path) -> ModuleType:
    """The builder, over a copy of the plugin that a test may spoil."""
    module = load(SCRIPT)
    shutil.copytree(PLUGIN, tmp_path / "wc-ahlan")
    module.SOURCE = tmp_path / "wc-ahlan"
    return module


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    hashes = set()
    for number, zone in enumerate(("UTC", "Asia/Amman")):
        into = tmp_path / str(number)
        subprocess.run(
            [sys.executable, SCRIPT, "--into", into], check=True, stdout=subprocess.DEVNULL,
            env={"TZ": zone, "PATH": "/usr/bin:/bin", "PYTHONHASHSEED": str(number)},
        )  # fmt: skip
        [built] = into.iterdir()
        hashes.add((built.name, hashlib.sha256(built.read_bytes()).hexdigest()))
    assert len(hashes) == 1


def test_when_files_were_touched_says_nothing(builder: ModuleType, tmp_path: Path) -> None:
    first = builder.build(tmp_path / "one").read_bytes()
    for path in builder.SOURCE.rglob("*"):
        path.touch()
        path.chmod(0o755)
    assert builder.build(tmp_path / "two").read_bytes() == first


def test_it_holds_the_plugin_and_nothing_else(archive: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        names = packed.namelist()
        assert packed.testzip() is None
    assert all(name.startswith("wc-ahlan/") for name in names)
    assert {"wc-ahlan/wc-ahlan.php", "wc-ahlan/readme.txt", "wc-ahlan/uninstall.php"} <= set(names)
    for locale in ("ar", "he_IL"):
        assert f"wc-ahlan/languages/wc-ahlan-{locale}.mo" in names
    assert [name for name in names if not re.fullmatch(r"wc-ahlan/[a-zA-Z0-9_./-]+\.[a-z]+", name)] == []
    assert archive.stat().st_size < 500_000


@pytest.mark.parametrize("locale", ["ar", "he_IL"])
def test_the_translations_are_whole(archive: Path, locale: str) -> None:
    with zipfile.ZipFile(archive) as packed:
        compiled = gettext.GNUTranslations(io.BytesIO(packed.read(f"wc-ahlan/languages/wc-ahlan-{locale}.mo")))
    catalogue = read_po(io.BytesIO((PLUGIN / "languages" / f"wc-ahlan-{locale}.po").read_bytes()), locale=locale[:2])
    messages = [message for message in catalogue if message.id]
    assert len(messages) > 50
    letters = {"ar": r"[\u0600-\u06ff]", "he_IL": r"[\u0590-\u05ff]"}[locale]
    for message in messages:
        if isinstance(message.id, str):
            said = compiled.pgettext(message.context, message.id) if message.context else compiled.gettext(message.id)
            assert said == message.string
            assert message.id == "Ahlan" or re.search(letters, said), message.id
            assert set(re.findall(r"%(?:\d\$)?[sd]", said)) == set(re.findall(r"%(?:\d\$)?[sd]", message.id))
        else:
            forms = {compiled.ngettext(message.id[0], message.id[1], number) for number in range(120)}
            assert forms == set(message.string)
            assert len(message.string) == catalogue.num_plurals


def test_every_text_of_the_source_is_in_the_catalogues() -> None:
    call = re.compile(
        r"\b(?:__|_e|esc_html__|esc_html_e|esc_attr__|esc_attr_e|_n)\(\s*'((?:[^'\\]|\\.)*)'"
        r"(?:\s*,\s*'((?:[^'\\]|\\.)*)'\s*,[^;]*?)?\s*,\s*'wc-ahlan'"
    )
    texts = {
        match[1].replace("\\'", "'") for path in PLUGIN.rglob("*.php") for match in call.finditer(path.read_text())
    }
    assert len(texts) > 50
    for locale in ("ar", "he_IL"):
        catalogue = read_po(io.BytesIO((PLUGIN / "languages" / f"wc-ahlan-{locale}.po").read_bytes()))
        known = {message.id if isinstance(message.id, str) else message.id[0] for message in catalogue}
        assert texts - known == set(), locale


def test_a_copy_for_one_ahlan_knows_its_address(builder: ModuleType, tmp_path: Path) -> None:
    built = builder.build(tmp_path, "https://ahlan.example:8443/")
    with zipfile.ZipFile(built) as packed:
        main = packed.read("wc-ahlan/wc-ahlan.php").decode()
    assert "define( 'WC_AHLAN_SERVER', 'https://ahlan.example:8443' );" in main
    for wrong in ("ahlan.example", "https://x'); evil(); //", "javascript:alert(1)", "https://a b", "https://a?b=c"):
        with pytest.raises(ValueError, match="no address"):
            builder.build(tmp_path, wrong)


def test_what_is_not_fit_is_not_built(builder: ModuleType, tmp_path: Path) -> None:
    (builder.SOURCE / ".secret").write_text("x")
    with pytest.raises(ValueError, match=r"\.secret"):
        builder.build(tmp_path)
    (builder.SOURCE / ".secret").unlink()
    readme = builder.SOURCE / "readme.txt"
    whole = readme.read_text()
    readme.write_text(re.sub(r"Stable tag: .*", "Stable tag: 9.9", whole))
    with pytest.raises(ValueError, match="differ"):
        builder.build(tmp_path)
    readme.write_text(whole)
    catalogue = builder.SOURCE / "languages" / "wc-ahlan-ar.po"
    catalogue.write_text(catalogue.read_text() + '\nmsgid "Nobody translated this"\nmsgstr ""\n')
    with pytest.raises(ValueError, match="not translated"):
        builder.build(tmp_path)


def test_the_readme_is_as_the_directory_wants_it() -> None:
    """https://developer.wordpress.org/plugins/wordpress-org/how-your-readme-txt-works/"""
    readme = (PLUGIN / "readme.txt").read_text()
    assert re.match(r"=== .+ ===\n", readme)
    for field in ("Contributors", "Tags", "Requires at least: 6.2", "Tested up to", "Requires PHP: 7.4", "Stable tag",
                  "License: GPLv2|License: GPL-2.0-or-later"):  # fmt: skip
        assert re.search(rf"^(?:{field})", readme, re.MULTILINE), field
    tags = re.search(r"^Tags: (.*)$", readme, re.MULTILINE)
    assert tags is not None
    assert len(tags[1].split(",")) <= 5
    short = readme.split("\n\n")[1].strip()
    assert len(short) <= 150, "the short description"
    for section in ("Description", "Installation", "Frequently Asked Questions", "Changelog", "External services"):
        assert f"== {section} ==" in readme
    assert "http://" not in readme


def test_it_keeps_the_rules_of_the_directory() -> None:
    """No foreign code, no eval, no remote scripts but our own server's, every file closed to direct calls."""
    for path in PLUGIN.rglob("*.php"):
        source = path.read_text()
        assert re.search(r"defined\( '(ABSPATH|WP_UNINSTALL_PLUGIN)' \) \|\| exit;", source), path.name
        assert re.search(r"\b(eval|create_function|exec|shell_exec|passthru|system|assert)\(", source) is None
        assert re.search(r"<\?(?!php)", source) is None
        for name in re.findall(r"^(?:final |abstract )?class (\w+)|^function (\w+)", source, re.MULTILINE):
            assert "".join(name).lower().startswith(("ahlan_", "wc_ahlan")), name
    for path in PLUGIN.rglob("*.js"):
        source = path.read_text()
        assert "innerHTML" not in source
        assert "'*'" not in source
        assert len(max(source.splitlines(), key=len)) < 250, "nothing minified"
