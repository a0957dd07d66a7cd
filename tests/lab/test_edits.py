"""Edits under load: each reaches exactly what it concerns, and no request fails for it.

The rows are in `edits_*`, and put together in `steps`. What a run may reload, restart and roll is
what all edits of its step together may.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import edits_services
from tests.lab.editing import Applied, Editor
from tests.lab.edits import Edit
from tests.lab.lab import REPOSITORY
from tests.lab.platform import Platform
from tests.lab.steps import STEPS
from tests.lab.test_instances import explain, instances, stellwerk
from tests.lab.traffic import Traffic, doors
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

RATE = 50  # requests per second through each of the two balancers
NOTICE_SECONDS = 60.0


@pytest.fixture(scope="module")
def editor(six: Platform) -> Iterator[Editor]:
    """The six hosts with services that take slow requests; all edits are taken back at the end."""
    begin(six)
    yield Editor(six, lambda: at_rest(six))
    end(six)


def begin(platform: Platform) -> None:
    """Have the services take slow requests, and their canaries be watched for a second."""
    services = {
        name: {"environment": {"SAMPLE_SWITCHES": "1"}, "rollout": {"canary_seconds": 1}}
        for name in sorted(edits_services.ALL)
    }
    (platform.folder / "group_data" / "all.py").write_text(f"services = {services!r}\n")
    platform.deploy()


def end(platform: Platform) -> None:
    """Have everything as it was."""
    (platform.folder / "group_data" / "all.py").unlink()
    platform.project = REPOSITORY
    platform.deploy()


def at_rest(platform: Platform) -> bool:
    """Whether no instance is on its way in or out."""
    found = json.loads(stellwerk(platform, "instances --json"))["instances"]
    return all(
        one["state"] == "ready" and set(one["in_rotation"].values()) <= {"up"} for one in found
    )


def lose(platform: Platform, host: str) -> None:
    """Have an empty machine in the place of a host, and the balancers know that it is gone."""
    platform.lab.power_off(host)
    platform.lab.reset("bare", [host])

    def noticed() -> bool:
        own = [one for one in instances(platform, edits_services.CORE) if one["host"] == host]
        return bool(own) and all("up" not in one["in_rotation"].values() for one in own)

    assert wait_until(noticed, NOTICE_SECONDS), explain(platform)


@pytest.fixture
def traffic(editor: Editor, tmp_path: Path) -> Traffic:
    """Clients through HAProxy and nginx; they start with the `with`."""
    address = str(editor.platform.lab.addresses["lb-1"])
    return Traffic(editor.platform, tmp_path, doors(address), RATE)


@pytest.mark.parametrize("step", STEPS)
def test_an_edit_reaches_exactly_what_it_concerns_and_no_request_fails(
    editor: Editor, traffic: Traffic, step: str
) -> None:
    edits = STEPS[step]
    applied, again = under_load(editor, traffic, edits)
    print(f"{step}: {applied}, {traffic.requests} requests, {traffic.failures} failed")
    assert_expected(applied, edits)
    assert {edit.name: found for edit in edits if (found := editor.not_in_force(edit))} == {}
    assert traffic.failures == {}, explain(editor.platform)
    assert again == 0, editor.said


def under_load(editor: Editor, traffic: Traffic, edits: tuple[Edit, ...]) -> tuple[Applied, int]:
    """Apply edits and run once more while clients ask: what it did, and what was left to do."""
    for edit in edits:
        if edit.replaces:
            lose(editor.platform, edit.replaces)
    with traffic:
        applied = editor.apply(*edits)
        return applied, editor.run_again()


def assert_expected(applied: Applied, edits: tuple[Edit, ...]) -> None:
    """What happened is what the edits together ask for, and nothing else."""
    assert applied.restarts == union(edit.restarts for edit in edits)
    assert applied.reloads == union(edit.reloads for edit in edits)
    assert applied.rolls == union(edit.rolls for edit in edits)
    assert applied.counts == {name: n for edit in edits for name, n in edit.counts.items()}
    for edit in edits:
        assert edit.says in applied.output, applied.output


def union(sets: Iterator[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)
