"""A release is built once, also where two runs want it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deploys.engine.tree import Release, Tree
from stellwerk.settings import private_files


def test_a_run_takes_what_another_one_builds_meanwhile(tmp_path: Path) -> None:
    def fill(_: Tree) -> None:
        raise AssertionError("built a second time")

    release = Release("1.0-abc", "3.11", "x86_64", "/opt/shop", tmp_path, fill)
    with ThreadPoolExecutor(1) as pool:
        with private_files.locked(tmp_path):  # as the other run does while it builds
            mine = pool.submit(release.build)
            release.beside(".tar.gz").write_bytes(b"theirs")
        assert mine.result().read_bytes() == b"theirs"
