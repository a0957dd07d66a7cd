"""PostgreSQL takes its files by a reload, or by a restart where that is allowed."""

import pytest

from deploys.host import postgresql
from deploys.host.command import Failure

from .conftest import Host

UNIT = "postgresql@17-main.service"
PENDING = 'case "$(cat)" in *"waits for a restart"*) echo "huge_pages|waits for a restart" ;; esac'


@pytest.fixture(autouse=True)
def server(host: Host) -> None:
    """A server that runs, and has a setting that waits for a restart."""
    host.unit(UNIT)
    host.program("runuser", PENDING)


def test_what_waits_for_a_restart_waits_until_that_is_allowed(host: Host) -> None:
    assert postgresql.activate(UNIT, may_restart=False) == 0
    assert host.calls("systemctl") == [*host.calls("systemctl show"), f"systemctl reload {UNIT}"]
    assert postgresql.activate(UNIT, may_restart=True) == 0
    assert host.calls("systemctl restart") == [f"systemctl restart {UNIT}"]


def test_a_server_that_does_not_start_again_says_why(host: Host) -> None:
    host.unit(UNIT, accepts=f"! grep -q 'systemctl restart' {host.log}")
    with pytest.raises(Failure, match="did not restart") as failure:
        postgresql.activate(UNIT, may_restart=True)
    assert failure.value.detail == f"journal of {UNIT}"


def test_a_file_that_the_server_cannot_read_is_not_reloaded(host: Host) -> None:
    host.program("runuser", 'case "$(cat)" in *pg_hba_file_rules*) echo "line 3|invalid" ;; esac')
    with pytest.raises(Failure, match="cannot read its files") as failure:
        postgresql.activate(UNIT, may_restart=True)
    assert failure.value.detail == "line 3: invalid"
    assert not host.calls("systemctl reload")
