"""Edits under load: each reaches exactly what it concerns, and no request fails for it.

The rows are in `edits_*`, and put together in `steps`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import edits_services
from tests.lab.editing import Editor
from tests.lab.edits import Edit
from tests.lab.lab import REPOSITORY
from tests.lab.platform import Platform
from tests.lab.proving import prove
from tests.lab.rows import rows
from tests.lab.steps import DEBIAN_12_STEPS, STEPS
from tests.lab.test_instances import explain, instances, stellwerk
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

RATE = 50  # requests per second through each of the two balancers
NOTICE_SECONDS = 60.0
QUICK_STEPS = (
    "nothing restarts but monitors and cache daemons",
    "what balancers and agents know of services",
    "a service taken out",
    "a second balancer",
    "daemons reload",
    "a balancer taken out",
)
TAKEN_BACK = ("--data", "postgresql.allow_restart=true")  # what took a restart takes one again


@pytest.fixture(scope="module")
def editor(six: Platform) -> Iterator[Editor]:
    """The six hosts; all edits are taken back at the end."""
    yield Editor(six, lambda: at_rest(six), lambda: explain(six))
    six.project = REPOSITORY
    six.deploy(*TAKEN_BACK)
    six.deploy()


def at_rest(platform: Platform) -> bool:
    """Whether no instance is on its way in or out."""
    found = json.loads(stellwerk(platform, "instances --json"))["instances"]
    return all(
        one["state"] == "ready" and set(one["in_rotation"].values()) <= {"up"} for one in found
    )


def prepare(platform: Platform, edits: tuple[Edit, ...]) -> None:
    """Have happen what is to have happened before the edits are made."""
    for edit in edits:
        if edit.replaces:
            lose(platform, edit.replaces)


def lose(platform: Platform, host: str) -> None:
    """Have an empty machine in the place of a host, and the balancers know that it is gone."""
    platform.lab.power_off(host)
    platform.lab.reset("bare", [host])

    def noticed() -> bool:
        own = [one for one in instances(platform, edits_services.CORE) if one["host"] == host]
        return bool(own) and all("up" not in one["in_rotation"].values() for one in own)

    assert wait_until(noticed, NOTICE_SECONDS), explain(platform)


@pytest.mark.parametrize("step", rows(STEPS, *QUICK_STEPS))
def test_an_edit_reaches_exactly_what_it_concerns_and_no_request_fails(
    editor: Editor, tmp_path: Path, step: str
) -> None:
    edits = STEPS[step]
    prepare(editor.platform, edits)
    prove(editor, tmp_path, RATE, edits)


@pytest.fixture(scope="module")
def debian_12(solo: Platform) -> Iterator[Editor]:
    """One host in every group; all edits are taken back at the end."""
    yield Editor(solo)
    solo.deploy(*TAKEN_BACK)
    solo.deploy()


@pytest.mark.parametrize("step", DEBIAN_12_STEPS)
def test_an_edit_reaches_exactly_what_it_concerns_on_one_host_with_debian_12(
    debian_12: Editor, tmp_path: Path, step: str
) -> None:
    prove(debian_12, tmp_path, RATE, DEBIAN_12_STEPS[step])
