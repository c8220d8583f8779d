"""Whether a directory lies on a volume that Linux itself encrypts (dm-crypt, LUKS), read from /proc and /sys.

What a provider encrypts below the machine cannot be seen from within it.
"""

from __future__ import annotations

import os
from pathlib import Path


def encrypted(folder: Path, *, dev: str = "", sys: Path = Path("/sys")) -> bool | None:
    """True where one layer below `folder` is encrypted, None where nothing can be said (no block device).

    `dev` is the volume as `major:minor`, by default the one that `folder` is on
    (https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-block-dm).
    """
    if not dev:
        number = folder.stat().st_dev
        dev = f"{os.major(number)}:{os.minor(number)}"
    device = sys / "dev" / "block" / dev
    if not device.exists():
        return None
    return _below(device.resolve(), set())


def _below(device: Path, seen: set[Path]) -> bool:
    """A volume may lie on others: LVM on LUKS, a partition on a disk."""
    if device in seen:
        return False
    seen.add(device)
    name = device / "dm" / "uuid"
    if name.exists() and name.read_text().startswith("CRYPT-"):
        return True
    layers = [entry.resolve() for entry in (device / "slaves").iterdir()] if (device / "slaves").is_dir() else []
    if (device / "partition").exists():
        layers.append(device.parent)
    return any(_below(layer, seen) for layer in layers)
