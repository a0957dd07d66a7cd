"""The main job: bare hosts become the platform in one run, and a second run changes nothing.

So they do in the run after ten that were killed.
"""

import subprocess

import pytest

from tests.lab.lab import REPOSITORY
from tests.lab.platform import Platform
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

CREDENTIALS = "/etc/stellwerk/credentials"
SENTINEL = f"REDISCLI_AUTH=$(cat {CREDENTIALS}/sentinel.password) redis-cli -p 26379"
REDIS = f"REDISCLI_AUTH=$(cat {CREDENTIALS}/redis.admin) redis-cli -p 6379 --user admin"
MASTER_NAME = "aktienanalyse-redis"
FAILOVER_SECONDS = 60.0
AGENT_SECONDS = 60  # an agent that has seen nothing for this long does nothing
EXPOSURE_LIMIT = 2.0


@pytest.fixture(
    params=[
        pytest.param("six", id="six hosts by one run"),
        pytest.param("solo", id="one host by the run after ten killed ones"),
    ]
)
def platform(request: pytest.FixtureRequest) -> Platform:
    found: Platform = request.getfixturevalue(request.param)
    return found


def answer(platform: Platform, url: str) -> str:
    """What a client in the lab's network gets; fails unless it is a good answer."""
    done = subprocess.run(
        platform.lab.net_command(["curl", "--silent", "--show-error", "--fail", url]),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def balancer_address(platform: Platform) -> str:
    return next(node.address for node in platform.nodes if "balancers" in node.groups)


def test_every_host_runs_without_a_failed_unit(platform: Platform) -> None:
    for node in platform.nodes:
        state = platform.shell(node.name, "systemctl is-system-running", check=False)
        assert state == "running", platform.journals()


def test_services_answer_from_the_database_through_both_balancers(platform: Platform) -> None:
    address = balancer_address(platform)
    assert "aktienanalyse-frontend" in answer(platform, f"http://{address}/")
    assert '"portfolios"' in answer(platform, f"http://{address}/api/portfolios?limit=1")
    assert "AAPL" in answer(platform, f"http://{address}:9100/api/assets?symbol=AAPL")


def test_a_second_run_changes_nothing_and_restarts_nothing(platform: Platform) -> None:
    before = platform.invocations()
    outcome = platform.deploy()
    assert outcome.totals["success"] == 0, outcome.output
    assert platform.invocations() == before


@pytest.mark.thorough
def test_each_deploy_file_runs_alone_and_changes_nothing(solo: Platform) -> None:
    for file in sorted((REPOSITORY / "deploys").glob("*.py")):
        outcome = solo.run("-y", "--json", deploy=f"deploys/{file.name}")
        assert outcome.code == 0, outcome.output
        assert outcome.totals["success"] == 0, outcome.output


def test_our_units_are_confined(platform: Platform) -> None:
    for node in platform.nodes:
        listed = platform.shell(node.name, "systemd-analyze security --no-pager")
        exposure = {
            columns[0]: float(columns[1])
            for columns in map(str.split, listed.splitlines())
            if columns and columns[0].startswith(("aktienanalyse-", "stellwerk-"))
        }
        assert "stellwerk-monitor.service" in exposure
        assert max(exposure.values()) <= EXPOSURE_LIMIT, exposure


def test_configurations_pass_their_own_checkers(platform: Platform) -> None:
    for node in platform.nodes:
        if "balancers" in node.groups:
            platform.shell(node.name, "sudo haproxy -c -q -f /etc/haproxy/haproxy.cfg")
            platform.shell(node.name, "sudo nginx -t -q")
        platform.shell(node.name, "sudo visudo -c -q")


def test_no_secret_is_readable_or_in_a_command_line(platform: Platform) -> None:
    """On the hosts: only root reads them, and `ps` and /tmp hold none."""
    for node in platform.nodes:
        leaked = platform.shell(
            node.name,
            "sudo sh -c 'cd /etc/stellwerk/credentials && for f in *; do"
            ' if grep -rqF -f "$f" /tmp /proc/[0-9]*/cmdline /etc/stellwerk/settings.yaml'
            " 2>/dev/null; then echo $f; fi; done'",
            check=False,
        )
        assert leaked == ""
        modes = platform.shell(node.name, "sudo find /etc/stellwerk/credentials -perm /077")
        assert modes == ""


def current_master(platform: Platform) -> str:
    said = platform.shell("db-1", f"{SENTINEL} SENTINEL GET-MASTER-ADDR-BY-NAME {MASTER_NAME}")
    return said.splitlines()[0]


@pytest.fixture
def failed_over(six: Platform) -> str:
    """The address of the master after a failover."""
    before = current_master(six)

    def asked() -> bool:
        return "OK" in six.shell("db-1", f"{SENTINEL} SENTINEL FAILOVER {MASTER_NAME}", check=False)

    # Sentinel refuses while it still looks for a good replica.
    assert wait_until(asked, FAILOVER_SECONDS), six.journals()
    assert wait_until(lambda: current_master(six) != before, FAILOVER_SECONDS), six.journals()
    return current_master(six)


def test_a_run_after_a_failover_changes_nothing(six: Platform, failed_over: str) -> None:
    def settled() -> bool:
        roles = [
            six.shell(host, f"{REDIS} ROLE | head -1", check=False)
            for host in ("cache-1", "cache-2")
        ]
        return sorted(roles) == ["master", "slave"]

    assert wait_until(settled, FAILOVER_SECONDS), six.journals()
    before = six.invocations()
    outcome = six.deploy()
    assert outcome.totals["success"] == 0, outcome.output
    assert current_master(six) == failed_over
    assert six.invocations() == before


def test_an_activation_that_was_lost_is_made_up(six: Platform) -> None:
    """As after a run that ended between the new file and its activation."""
    six.shell("lb-1", "rm /var/lib/stellwerk/stamps/haproxy.json")
    before = six.invocations()
    outcome = six.deploy()
    assert outcome.totals["success"] == 1, outcome.output
    after = six.invocations()
    assert after == before  # reloaded, not restarted
    assert six.deploy().totals["success"] == 0


def test_a_changed_file_is_put_back_and_nothing_else_is_touched(six: Platform) -> None:
    six.shell("lb-1", "echo '# by hand' >> /etc/nginx/nginx.conf")
    before = six.invocations()
    assert six.deploy().totals["success"] == 1
    assert "by hand" not in six.shell("lb-1", "cat /etc/nginx/nginx.conf")
    assert six.invocations() == before


def test_a_stopped_instance_is_started_again(six: Platform) -> None:
    """By the agent, without a run."""
    pinned = "find /etc/systemd/system -maxdepth 1 -type l -name '*@8*.service' -printf '%f'"
    instance = six.shell("app-1", f"{pinned} -quit")
    six.shell("app-1", f"systemctl stop {instance}")

    def active() -> bool:
        return six.shell("app-1", f"systemctl is-active {instance}", check=False) == "active"

    assert wait_until(active, AGENT_SECONDS), six.journals()


def test_the_number_of_instances_is_left_alone_between_its_bounds(six: Platform) -> None:
    """The scaler's business (C5): a third core instance comes up, and stays."""
    scaled = (
        "UPDATE stellwerk.desired SET instances = instances + 1"
        " WHERE service = 'aktienanalyse-core' AND host = 'app-1'"
    )
    six.shell("db-1", f'runuser -u postgres -- psql -qd aktienanalyse -c "{scaled}"')

    def active() -> bool:
        state = six.shell("app-1", "systemctl is-active aktienanalyse-core@8103", check=False)
        return state == "active"

    assert wait_until(active, AGENT_SECONDS), six.journals()
    assert six.deploy().totals["success"] == 0
    assert active()
