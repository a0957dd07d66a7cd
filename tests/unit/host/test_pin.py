"""An instance is pinned only to what is declared and here, and every pin outlives a reboot."""

import json
from pathlib import Path

import pytest

from deploys.host import generations, pin
from deploys.host.command import Failure

from .conftest import Host

OLD, NEW = "0123456789abcdef", "fedcba9876543210"
RELOAD = "systemctl daemon-reload"


@pytest.fixture
def app(host: Host) -> Host:
    """An app host with a declared service and two generations of it."""
    services = {"shop": {"first_port": 8101, "last_port": 8104}}
    (host.folder / "agent.json").write_text(json.dumps({"services": services}))
    (host.folder / "system").mkdir()
    for generation in (OLD, NEW):
        folder = host.folder / "generations" / "shop" / generation
        folder.mkdir(parents=True)
        (folder / "shop@.service").write_text("[Service]\n")
    return host


def links(host: Host) -> dict[str, Path]:
    system = host.folder / "system"
    found = (path for path in system.rglob("*") if path.is_symlink())
    return {str(path.relative_to(system)): path.readlink() for path in found}


def test_a_pin_leads_to_the_generations_unit_and_starts_it_at_boot(app: Host) -> None:
    assert pin.pin(f"shop:8101:{OLD}") == 0
    assert links(app) == {
        "shop@8101.service": app.folder / f"generations/shop/{OLD}/shop@.service",
        "multi-user.target.wants/shop@8101.service": app.folder / "system/shop@8101.service",
    }
    assert generations.pinned() == {"shop@8101": OLD}
    assert app.calls(RELOAD) == [RELOAD]


def test_a_second_pin_does_nothing(app: Host) -> None:
    pin.pin(f"shop:8101:{OLD}")
    app.forget_calls()
    pin.pin(f"shop:8101:{OLD}")
    assert app.calls() == []


def test_a_pin_moves_to_another_generation(app: Host) -> None:
    pin.pin(f"shop:8101:{OLD}")
    pin.pin(f"shop:8101:{NEW}")
    assert generations.pinned() == {"shop@8101": NEW}
    assert len(app.calls(RELOAD)) == 2


def test_a_pin_that_systemd_could_not_read_is_tried_again(app: Host) -> None:
    app.program("systemctl", "exit 1")
    with pytest.raises(Failure, match="daemon-reload failed"):
        pin.pin(f"shop:8101:{OLD}")
    app.program("systemctl")
    app.forget_calls()
    pin.pin(f"shop:8101:{OLD}")
    assert app.calls(RELOAD) == [RELOAD]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (f"shop:8100:{OLD}", "is not declared"),
        (f"shop:8105:{OLD}", "is not declared"),
        (f"other:8101:{OLD}", "is not declared"),
        ("shop:8101:0000000000000000", "is not on this host; run the deploy again"),
        ("shop:8101:../../../tmp/evil0", "names no generation"),
        (f"shop:8101:{OLD}\n", "names no generation"),
        (f"shop:8101:{OLD.upper()}", "names no generation"),
        (f"../shop:8101:{OLD}", "names no instance"),
        (f"shop:08101:{OLD}", "names no instance"),
        (f"shop:8101x:{OLD}", "names no instance"),
        (f"Shop:8101:{OLD}", "names no instance"),
        ("shop:8101", "names no instance"),
        ("", "names no instance"),
    ],
)
def test_what_is_not_declared_or_not_here_is_refused(app: Host, asked: str, said: str) -> None:
    with pytest.raises(Failure, match=said):
        pin.pin(asked)
    assert links(app) == {}
    assert app.calls() == []


def test_a_generation_that_is_only_a_link_is_refused(app: Host) -> None:
    folder = app.folder / "generations" / "shop" / "aaaaaaaaaaaaaaaa"
    folder.mkdir()
    (folder / "shop@.service").symlink_to("/etc/passwd")
    with pytest.raises(Failure, match="is not on this host"):
        pin.pin("shop:8101:aaaaaaaaaaaaaaaa")


def test_a_pin_is_taken_off(app: Host) -> None:
    pin.pin(f"shop:8101:{OLD}")
    app.forget_calls()
    pin.unpin("shop:8101")
    assert links(app) == {}
    assert len(app.calls(RELOAD)) == 1
    pin.unpin("shop:8101")
    assert len(app.calls(RELOAD)) == 1


def test_an_instance_that_runs_keeps_its_pin(app: Host) -> None:
    pin.pin(f"shop:8101:{OLD}")
    app.unit("shop@8101.service")
    with pytest.raises(Failure, match="runs, so its pin stays"):
        pin.unpin("shop:8101")
    assert generations.pinned() == {"shop@8101": OLD}


def test_an_instance_that_is_declared_no_more_is_stopped_and_its_pin_taken_off(app: Host) -> None:
    pin.pin(f"shop:8101:{OLD}")
    app.unit("shop@8101.service")
    (app.folder / "agent.json").write_text(json.dumps({"services": {}}))
    pin.remove_instances({"instances": ["shop@8101", "shop@8102"], "keep": 3, "kept": []})
    assert not app.is_active("shop@8101.service")
    assert links(app) == {}
    assert not app.calls("8102")
