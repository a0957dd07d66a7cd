"""Instances are started side by side, rolled one by one, and known as ours from their start on."""

from typing import Any

import pytest

from deploys.host import checks, instances
from deploys.host.command import Failure

from .conftest import Host

WELL = {"kind": "command", "command": ["true"]}
UNWELL = {"kind": "command", "command": ["sh", "-c", "echo no database >&2; exit 1"]}


def instance(name: str, generation: str = "new", health: checks.Check = WELL) -> dict[str, Any]:
    return {"name": name, "generation": generation, "health": health, "health_seconds": 0}


def start(*wanted: dict[str, Any], absent: tuple[str, ...] = ()) -> None:
    instances.start({"instances": list(wanted), "absent": list(absent)})


def generations() -> dict[str, str]:
    return {name: one["generation"] for name, one in instances.state().items()}


@pytest.mark.usefixtures("host")
def test_a_host_without_instances_has_none() -> None:
    assert instances.state() == {}


def test_started_instances_run_and_have_their_generation(host: Host) -> None:
    start(instance("core@8101"), instance("core@8102"))
    assert generations() == {"core@8101": "new", "core@8102": "new"}
    assert host.is_active("core@8101.service")
    assert len(host.calls("systemctl restart")) == 1
    assert instances.state()["core@8101"]["ActiveState"] == "active"


def test_an_instance_that_does_not_start_fails_with_its_journal_and_has_no_generation(
    host: Host,
) -> None:
    host.unit("core@8101.service", active=False, accepts="false")
    with pytest.raises(Failure, match=r"core@8101\.service is not healthy.*failed") as caught:
        start(instance("core@8101"))
    assert caught.value.detail == "journal of core@8101.service"
    assert generations() == {"core@8101": "starting"}


@pytest.mark.usefixtures("host")
def test_an_instance_that_runs_but_is_not_healthy_fails() -> None:
    with pytest.raises(Failure, match=r"core@8101.service is not healthy: .*no database"):
        start(instance("core@8101", health=UNWELL))


def test_an_instance_that_is_not_wanted_is_stopped_disabled_and_forgotten(host: Host) -> None:
    start(instance("core@8101"), instance("core@8102"))
    start(absent=("core@8102",))
    assert generations() == {"core@8101": "new"}
    assert not host.is_active("core@8102.service")
    assert host.calls("disable --quiet core@8102.service")


@pytest.mark.usefixtures("host")
def test_an_instance_of_a_killed_run_is_known_but_has_no_generation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Killed(BaseException):
        """Nothing catches it."""

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(checks, "first_failure", kill)
        with pytest.raises(Killed):
            start(instance("core@8101"))
    assert generations() == {"core@8101": "starting"}


def test_a_roll_ends_at_the_first_unhealthy_instance(host: Host) -> None:
    names = ("core@8101", "core@8102", "core@8103")
    start(*(instance(name, "old") for name in names))
    host.forget_calls()
    rolled = [instance(name) for name in names]
    rolled[1]["health"] = UNWELL
    with pytest.raises(Failure, match=r"core@8102.service is not healthy"):
        instances.roll({"instances": rolled})
    restarted = [line.split()[-1] for line in host.calls("systemctl restart")]
    assert restarted == ["core@8101.service", "core@8102.service"]
    assert generations() == {"core@8101": "new", "core@8102": "old", "core@8103": "old"}
