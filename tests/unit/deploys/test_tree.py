"""A release is built once, also where two runs want it."""

import subprocess
import sys
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


LOCK_TWICE = """
from gevent import monkey
monkey.patch_all()  # as pyinfra does
import sys
import time
from pathlib import Path
from stellwerk.settings import private_files
time.sleep(0)  # gevent's loop is in use from here
for _ in range(2):
    with private_files.locked(Path(sys.argv[1])):
        pass
"""
HANG_SECONDS = 60  # ends a process that hangs; no claim about speed


def test_one_process_of_pyinfra_builds_one_release_after_the_other(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LOCK_TWICE, tmp_path], check=True, timeout=HANG_SECONDS)
