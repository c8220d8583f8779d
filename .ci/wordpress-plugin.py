#!/usr/bin/env python3
"""Builds dist/wc-ahlan-<version>.zip from our WordPress plugin: the same bytes from the same files, on any machine.

`.ci/wordpress-plugin.py [--server https://ahlan.example] [--into dist]`. Translations are compiled (WordPress before 6.5
reads only .mo), the address of the Ahlan it belongs to is written in if one is given.
"""

from __future__ import annotations

import argparse
import io
import re
import struct
import sys
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[1]
SLUG = "wc-ahlan"
SOURCE = ROOT / "integrations" / "woocommerce" / "wordpress" / SLUG
MAIN = f"{SLUG}.php"
NO_SERVER = "define( 'WC_AHLAN_SERVER', '' );"
SHIPPED = {".php", ".js", ".css", ".svg", ".png", ".txt", ".po", ".pot", ".json"}
# The oldest time a zip knows: the moment of building is no part of what is built.
WHEN = (1980, 1, 1, 0, 0, 0)
MODE = 0o100644 << 16


def version_of(main: str, readme: str) -> str:
    """The version, which stands in three places. Raises ValueError when they differ."""
    found = [
        re.search(r"^ \* Version:\s+(\S+)$", main, re.MULTILINE),
        re.search(r"define\( 'WC_AHLAN_VERSION', '([^']+)' \);", main),
        re.search(r"^Stable tag: (\S+)$", readme, re.MULTILINE),
    ]
    versions = {match[1] if match else "" for match in found}
    if len(versions) != 1 or "" in versions:
        raise ValueError(f"the header, WC_AHLAN_VERSION and the readme's stable tag differ: {sorted(versions)}")
    return versions.pop()


def compiled(catalogue: bytes, locale: str) -> bytes:
    """The .mo of a .po. Raises ValueError on a catalogue that cannot be read or has gaps.

    By hand, because Babel's own writer puts its version and the time into the header.
    """
    read = read_po(io.BytesIO(catalogue), locale=locale, abort_invalid=True)
    texts = {b"": f"Content-Type: text/plain; charset=UTF-8\nPlural-Forms: {read.plural_forms}\n".encode()}
    for message in read:
        if not message.id:
            continue
        ids = list(message.id) if isinstance(message.id, (list, tuple)) else [message.id]
        strings = list(message.string) if isinstance(message.string, (list, tuple)) else [message.string or ""]
        if not all(strings) or message.fuzzy or (len(ids) > 1 and len(strings) != read.num_plurals):
            raise ValueError(f"{locale}: not translated: {ids[0]}")
        context = f"{message.context}\x04" if message.context else ""
        texts[f"{context}{chr(0).join(ids)}".encode()] = chr(0).join(strings).encode()
    keys = sorted(texts)
    table = 28
    place = table + 16 * len(keys)
    indices: list[bytes] = []
    content = b""
    for words in (keys, [texts[key] for key in keys]):
        for word in words:
            indices.append(struct.pack("<II", len(word), place + len(content)))
            content += word + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(keys), table, table + 8 * len(keys), 0, place)
    return header + b"".join(indices) + content


def contents(server: str = "") -> dict[str, bytes]:
    """Every file of the plugin by its path in the zip. Raises ValueError for a file that has no business there."""
    files: dict[str, bytes] = {}
    for path in sorted(SOURCE.rglob("*")):
        if path.is_dir():
            continue
        name = path.relative_to(SOURCE).as_posix()
        if path.suffix not in SHIPPED or any(part.startswith(".") for part in Path(name).parts):
            raise ValueError(f"{name} has no business in a plugin")
        files[name] = path.read_bytes()
        if path.suffix == ".po":
            locale = path.stem.removeprefix(f"{SLUG}-")
            files[f"{name.removesuffix('.po')}.mo"] = compiled(files[name], locale.partition("_")[0])
    if server:
        parts = urlsplit(server)
        if parts.scheme not in ("http", "https") or not re.fullmatch(r"[A-Za-z0-9.:-]+", parts.netloc) or parts.query:
            raise ValueError(f"{server} is no address of a server")
        main = files[MAIN].decode()
        if main.count(NO_SERVER) != 1:
            raise ValueError(f"{MAIN} has no place for the server's address")
        files[MAIN] = main.replace(NO_SERVER, f"define( 'WC_AHLAN_SERVER', '{server.rstrip('/')}' );").encode()
    return files


def build(into: Path, server: str = "") -> Path:
    """Write the zip and return its path. Raises ValueError when the plugin is not fit to be shipped."""
    files = contents(server)
    version = version_of(files[MAIN].decode(), files["readme.txt"].decode())
    into.mkdir(parents=True, exist_ok=True)
    path = into / f"{SLUG}-{version}.zip"
    # Stored, not deflated: what comes out of a compressor depends on its version.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{SLUG}/{name}", WHEN)
            entry.create_system, entry.external_attr = 3, MODE
            archive.writestr(entry, content)
    return path


def main() -> int:
    """Build, and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="", help="the Ahlan that this copy belongs to")
    parser.add_argument("--into", type=Path, default=ROOT / "dist")
    given = parser.parse_args()
    try:
        path = build(given.into, given.server)
    except ValueError as error:
        print(f"{SOURCE.relative_to(ROOT)}: {error}", file=sys.stderr)
        return 1
    print(f"{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}  {path.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
