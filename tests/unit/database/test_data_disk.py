"""The kind of disk is told as far as the kernel knows it, and not guessed beyond that."""

from pathlib import Path

import pytest

from stellwerk.database.data_disk import disk_of, kind_of
from stellwerk.database.figures import Disk


def device(folder: Path, name: str, *, turns: bool) -> Path:
    whole = folder / name
    (whole / "queue").mkdir(parents=True)
    (whole / "queue/rotational").write_text(f"{int(turns)}\n")
    return whole


def partition_of(whole: Path) -> Path:
    part = whole / f"{whole.name}1"
    part.mkdir()
    (part / "partition").write_text("1\n")
    return part


@pytest.mark.parametrize(
    ("name", "turns", "kind"),
    [
        ("sda", True, Disk.HDD),
        ("sda", False, Disk.SSD),
        ("nvme0n1", False, Disk.NVME),
        ("vda", True, None),
        ("vda", False, Disk.SSD),
    ],
)
def test_a_disk_and_its_partitions_are_of_one_kind(
    tmp_path: Path, name: str, turns: bool, kind: Disk | None
) -> None:
    whole = device(tmp_path, name, turns=turns)
    assert kind_of(whole) is kind
    assert kind_of(partition_of(whole)) is kind


def test_a_volume_is_as_slow_as_the_slowest_disk_below_it(tmp_path: Path) -> None:
    volume = device(tmp_path, "dm-0", turns=False)
    (volume / "slaves").mkdir()
    for name, turns in (("nvme0n1", False), ("sda", True)):
        (volume / "slaves" / name).symlink_to(device(tmp_path, name, turns=turns))
    assert kind_of(volume) is Disk.HDD


def test_a_folder_on_no_disk_has_no_kind(tmp_path: Path) -> None:
    assert disk_of(tmp_path, devices=tmp_path / "none") is None
