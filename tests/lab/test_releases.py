"""A user's program on real hosts: a new version is rolled out, the way back needs no build."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import REPOSITORY
from tests.lab.platform import Platform

pytestmark = pytest.mark.lab

EXAMPLE = REPOSITORY / "tests" / "examples" / "shop"
RELEASES = "/opt/stellwerk/services/shop/releases"
SERVICES = """
services = {
    "shop": {
        "program": {"source": "programs/shop"},
        "command": ["bin/shop"],
        "rollout": {"canary_seconds": 1},
        "port_base": 8500,
        "min_instances": 2,
        "max_instances": 3,
        "memory": "64MB",
        "balancer": "haproxy",
        "listen_port": 9500,
        "backend_name": "shop_backend",
    },
}
"""


@pytest.fixture(scope="module")
def shop(solo: Platform) -> Iterator[Platform]:
    """The single host with the example, taken off again at the end."""
    declared = solo.folder / "group_data" / "solo.py"
    shutil.copytree(EXAMPLE, solo.folder / "programs" / "shop")
    declared.write_text(SERVICES)
    solo.deploy()
    yield solo
    declared.unlink()
    solo.deploy()


def source(platform: Platform) -> Path:
    return platform.folder / "programs" / "shop"


def set_version(platform: Platform, version: str) -> None:
    described = source(platform) / "pyproject.toml"
    text = described.read_text()
    described.write_text(re.sub(r'^version = ".*"$', f'version = "{version}"', text, flags=re.M))


def release_that_answers(platform: Platform) -> str:
    """The release whose folder an instance says it runs in, asked through HAProxy."""
    address = platform.nodes[0].address
    done = subprocess.run(
        platform.lab.net_command(["curl", "--silent", "--fail", f"http://{address}:9500/"]),
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path(done.stdout.strip())
    assert str(folder.parent) == RELEASES
    return folder.name


def present(platform: Platform) -> list[str]:
    return platform.shell("solo", f"ls {RELEASES}").split()


def test_a_program_answers_from_its_release_through_the_balancer(shop: Platform) -> None:
    assert release_that_answers(shop).startswith("1.0.0-")


def test_the_same_source_again_changes_nothing(shop: Platform) -> None:
    assert shop.deploy().totals["success"] == 0


def test_a_new_version_is_rolled_out_and_the_old_one_is_back_in_one_command(
    shop: Platform,
) -> None:
    old = release_that_answers(shop)
    set_version(shop, "1.1.0")
    shop.deploy()
    new = release_that_answers(shop)
    assert new.startswith("1.1.0-")
    assert sorted(present(shop)) == sorted([old, new])
    shop.shell("solo", "sudo stellwerk releases rollback shop --wait")
    assert release_that_answers(shop) == old


@pytest.mark.thorough
def test_the_newest_three_are_kept(shop: Platform) -> None:
    for version in ("1.2.0", "1.3.0", "1.4.0"):
        set_version(shop, version)
        shop.deploy()
    versions = {name.partition("-")[0] for name in present(shop)}
    assert {"1.2.0", "1.3.0", "1.4.0"} <= versions


def test_a_program_that_cannot_be_built_leaves_all_as_it_was(shop: Platform) -> None:
    before, answered = shop.invocations(), release_that_answers(shop)
    (source(shop) / "pyproject.toml").write_text("[project\n")
    outcome = shop.run("-y")
    assert outcome.code != 0
    assert "services.shop.program.source: " in outcome.output
    assert shop.invocations() == before
    assert release_that_answers(shop) == answered
    shutil.copy(EXAMPLE / "pyproject.toml", source(shop))
