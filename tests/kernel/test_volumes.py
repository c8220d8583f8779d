"""What can be seen of a volume's encryption, and what is not claimed."""

from pathlib import Path

import pytest

from plugin.kernel.volumes import encrypted


def device(sys: Path, name: str, number: str, *, uuid: str = "", on: tuple[str, ...] = ()) -> None:
    """A block device as the kernel shows it."""
    folder = sys / "devices" / name
    (folder / "slaves").mkdir(parents=True)
    if uuid:
        (folder / "dm").mkdir()
        (folder / "dm" / "uuid").write_text(uuid + "\n")
    for below in on:
        (folder / "slaves" / Path(below).name).symlink_to(sys / "devices" / below)
    (sys / "dev" / "block").mkdir(parents=True, exist_ok=True)
    (sys / "dev" / "block" / number).symlink_to(folder)


@pytest.mark.parametrize(("number", "seen"), [("8:1", False), ("253:0", True), ("253:1", True), ("253:2", False),
                                              ("0:55", None)])  # fmt: skip
def test_each_layer_below_is_looked_at(tmp_path: Path, number: str, seen: bool | None) -> None:
    device(tmp_path, "sda", "8:0")
    device(tmp_path, "sda/sda1", "8:1")
    (tmp_path / "devices" / "sda" / "sda1" / "partition").write_text("1\n")
    device(tmp_path, "dm-0", "253:0", uuid="CRYPT-LUKS2-0123-home", on=("sda/sda1",))
    device(tmp_path, "dm-1", "253:1", uuid="LVM-abc", on=("dm-0",))
    device(tmp_path, "dm-2", "253:2", uuid="LVM-def", on=("sda/sda1",))
    assert encrypted(tmp_path, dev=number, sys=tmp_path) is seen


def test_a_real_folder_gets_an_answer_or_none(tmp_path: Path) -> None:
    assert encrypted(tmp_path) in (True, False, None)
