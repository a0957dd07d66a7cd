"""A reload of nginx counts when new workers run."""

import pytest

from deploys.host import nginx_process
from deploys.host.command import Failure

from .conftest import Host

pytestmark = pytest.mark.usefixtures("processes")
UNIT = nginx_process.UNIT


def test_a_reload_ends_when_a_new_worker_runs() -> None:
    assert nginx_process.reload() == 0
    assert nginx_process.workers() == [101, 102, 103]


def test_without_new_workers_nginx_did_not_take_its_files_and_says_why(host: Host) -> None:
    log = host.file("error.log", "[emerg] long ago\n")
    host.unit(UNIT, accepts=f"echo '[notice] reload' >>{log}; echo '[emerg] bind()' >>{log}")
    with pytest.raises(Failure, match="did not take") as failure:
        nginx_process.reload()
    assert failure.value.detail == "[emerg] bind()"


def test_a_reload_that_systemd_refuses_is_a_failure(host: Host) -> None:
    host.unit(UNIT, accepts="false")
    with pytest.raises(Failure, match="did not reload"):
        nginx_process.reload()


def test_a_nginx_that_does_not_run_is_left_to_its_start(host: Host) -> None:
    (host.units / UNIT).unlink()
    assert nginx_process.reload() == 0
    assert not host.calls("systemctl reload")
