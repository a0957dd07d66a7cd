"""A release whose instances are not healthy is given up for the one of before (C7)."""

import pytest

from deploys.host import instances, release
from deploys.host.command import Failure

from .conftest import Host
from .test_instances import UNWELL, instance
from .test_release import wanted


def roll(host: Host, *, fall_back: bool) -> None:
    instances.roll(
        {
            "instances": [instance("core@8101", health=UNWELL)],
            "prefix": str(host.root),
            "fall_back": fall_back,
        }
    )


def test_an_unhealthy_roll_goes_back_to_the_release_of_before(host: Host) -> None:
    release.install(wanted(host, "1-a"))
    release.install(wanted(host, "2-b"))
    instances.start({"instances": [instance("core@8101")], "absent": []})
    with pytest.raises(Failure, match="not healthy"):
        roll(host, fall_back=True)
    assert release.state(host.root)["current"] == "1-a"
    assert len(host.calls("systemctl restart core@8101.service")) == 3


def test_an_unhealthy_roll_without_a_new_release_leaves_the_release(host: Host) -> None:
    release.install(wanted(host, "1-a"))
    release.install(wanted(host, "2-b"))
    instances.start({"instances": [instance("core@8101")], "absent": []})
    with pytest.raises(Failure, match="not healthy"):
        roll(host, fall_back=False)
    assert release.state(host.root)["current"] == "2-b"


def test_a_first_release_has_nothing_to_go_back_to(host: Host) -> None:
    release.install(wanted(host, "1-a"))
    release.fall_back({"prefix": str(host.root)})
    assert release.state(host.root)["current"] == "1-a"
