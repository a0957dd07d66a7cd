"""Values that a daemon refuses, or takes and is not healthy with: what runs serves on, the run says
in the daemon's own words why, and the next good run goes through.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from tests.lab import edits_postgresql, edits_services
from tests.lab.editing import INSTANCE
from tests.lab.platform import Platform
from tests.lab.rows import rows
from tests.lab.test_edits import RATE, at_rest
from tests.lab.test_instances import explain, stellwerk
from tests.lab.traffic import Traffic, doors
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

BALANCER, DATABASE = "lb-1", "db-1"
SSH_PORT = "22"  # taken on every host, and known to no setting
REST_SECONDS = 90.0
WATCHED = {
    BALANCER: "/etc/haproxy/haproxy.cfg /etc/nginx/nginx.conf",
    DATABASE: "/etc/postgresql/17/main/pg_hba.conf"
    " /etc/postgresql/17/main/conf.d/90-stellwerk.conf",
}


@dataclass(frozen=True)
class BadPush:
    """Settings that must not get through, and what the run has to say of them.

    + deploy: the component whose run finds it
    + restarts: units that may have been started anew: they ran with the bad value and do no more
    """

    deploy: str
    settings: Mapping[str, str]
    said: tuple[str, ...]
    restarts: frozenset[str] = field(default=frozenset())


PUSHES = {
    "HAProxy refuses it": BadPush(
        "deploys/haproxy.py",
        {"haproxy.global_extra": '["maxconnn 5"]'},
        ("unknown keyword 'maxconnn'", "refused by haproxy, so the present configuration serves"),
    ),
    "HAProxy cannot use it": BadPush(
        "deploys/haproxy.py",
        {"haproxy.stats_port": SSH_PORT},
        ("cannot bind socket", "HAProxy did not take its new configuration", "was restored"),
    ),
    "nginx refuses it": BadPush(
        "deploys/nginx.py",
        {"nginx.headers": '{"X-Edited": "$nothing"}'},
        ('unknown "nothing" variable', "refused by nginx, so the present configuration serves"),
    ),
    "nginx cannot use it": BadPush(
        "deploys/nginx.py",
        {"nginx.port": SSH_PORT},
        ("bind() to 0.0.0.0:22 failed", "nginx did not take its new files", "was restored"),
    ),
    "PostgreSQL refuses a setting": BadPush(
        "deploys/postgresql.py",
        {"postgresql.parameters": '{"log_min_duration_statement": "soon"}'},
        ("log_min_duration_statement", "was restored"),
    ),
    "PostgreSQL refuses a line of pg_hba.conf": BadPush(
        "deploys/postgresql.py",
        {"postgresql.hba_extra": '["host all reports 192.0.2.0/24 scram"]'},
        ("pg_hba.conf line", "was restored"),
    ),
    "PostgreSQL does not start with it": BadPush(
        "deploys/postgresql.py",
        {
            "postgresql.parameters": '{"huge_pages": "on", "huge_page_size": "1GB"}',
            "postgresql.allow_restart": "true",
        },
        ("could not map anonymous shared memory", "was restored"),
        restarts=edits_postgresql.DEBIAN_13.units,
    ),
    "a service refuses it": BadPush(
        "deploys/all.py",
        {f"services.{edits_services.CORE}.environment": '{"SAMPLE_ERROR_SHARE": "many"}'},
        ("SAMPLE_ERROR_SHARE", f"{edits_services.CORE}:", "failed"),
    ),
}

QUICK = ("HAProxy cannot use it", "nginx refuses it", "PostgreSQL does not start with it")


@pytest.fixture(scope="module")
def pushed(six: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The six hosts under load; no request has failed, and nothing is to do when all is over."""
    door = doors(str(six.lab.addresses[BALANCER]))
    with Traffic(six, tmp_path_factory.mktemp("pushed"), door, RATE) as traffic:
        yield six
    assert traffic.failures == {}, explain(six)
    assert six.deploy().totals["success"] == 0


@pytest.mark.parametrize("name", rows(PUSHES, *QUICK))
def test_a_bad_value_is_told_in_the_daemons_words_and_what_ran_serves_on(
    pushed: Platform, name: str
) -> None:
    push = PUSHES[name]
    files, units = contents(pushed), running(pushed)
    data = [f"--data={key}={value}" for key, value in push.settings.items()]
    outcome = pushed.run("-y", *data, deploy=push.deploy)
    assert outcome.code != 0, outcome.output
    for words in push.said:
        assert words in outcome.output, outcome.output
    assert "Traceback" not in outcome.output
    assert contents(pushed) == files
    changed = {unit for unit, found in running(pushed).items() if units.get(unit, found) != found}
    assert changed <= push.restarts
    good = pushed.run("-y", deploy=push.deploy)
    assert good.code == 0, good.output
    assert wait_until(lambda: at_rest(pushed), REST_SECONDS), explain(pushed)
    assert contents(pushed) == files
    assert "failed" not in stellwerk(pushed, "rollout status")


def contents(platform: Platform) -> dict[str, str]:
    """What stands in the files of the daemons."""
    return {host: platform.shell(host, f"sha256sum {files}") for host, files in WATCHED.items()}


def running(platform: Platform) -> dict[str, str]:
    """InvocationIDs of all units but the instances: of those, a canary may have been replaced."""
    return {
        unit: found
        for unit, found in platform.invocations().items()
        if not INSTANCE.fullmatch(unit)
    }
