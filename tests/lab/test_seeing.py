"""Seeing before doing on a real host: plan, drift, the record of runs, locks, and what goes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
import yaml

from deploys.components import haproxy, nginx
from tests.lab.platform import Platform
from tests.lab.seeing import LOCK_SECONDS, Seen, audit, held_by_another, lock_of, see
from tests.lab.traffic import allow_slow_requests
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

HOST = "solo"
CREDENTIALS = "/etc/stellwerk/credentials"
REDIS = f"REDISCLI_AUTH=$(cat {CREDENTIALS}/redis.admin) redis-cli -p 6379 --user admin"
SENTINEL = f"REDISCLI_AUTH=$(cat {CREDENTIALS}/sentinel.password) redis-cli -p 26379"
PSQL = "runuser -u postgres -- psql -qXd aktienanalyse -c"
ROLLED = "aktienanalyse-broker"
QUICK = ("--data", "haproxy.maxconn=5000")
EDITS = (
    *QUICK,
    *("--data", "nginx.worker_connections=2000"),
    *("--data", "redis.maxmemory_samples=6"),
    *("--data", "postgresql.max_wal_size=3GB"),
    *("--data", f"services.{ROLLED}.environment.PLANNED=1"),
)
RUN_SECONDS = 300.0
# Watching a first instance is a claim of its own elsewhere.
AT_ONCE = """
for _service in services.values():
    _service["rollout"] = {"canary_seconds": 0}
"""


@pytest.fixture(scope="module")
def declared(solo: Platform) -> Iterator[Platform]:
    """The host as declared. A test that changes it takes `settled`."""
    declare(solo)
    solo.deploy()
    yield solo
    solo.restore_group_data()
    solo.deploy()


@pytest.fixture
def settled(declared: Platform) -> Iterator[Platform]:
    """The host as declared, before and after."""
    yield declared
    declare(declared)
    declared.deploy()


def declare(platform: Platform) -> None:
    platform.restore_group_data()
    services = platform.folder / "group_data" / "services.py"
    services.write_text(services.read_text() + AT_ONCE)
    allow_slow_requests(platform, canary_seconds=1)
    platform.write_inventory()


def test_after_a_run_plan_and_drift_find_nothing_and_write_nothing(declared: Platform) -> None:
    recent = "find /etc /var/lib/stellwerk /usr/local /opt -newermt -1min"
    before = declared.shell(HOST, recent)
    drift, plan = see(declared, "drift"), see(declared, "plan")
    assert (drift.code, plan.code) == (0, 0), drift.output + plan.output
    assert drift.document["in_step"]
    assert "In step" in drift.output
    assert set(declared.shell(HOST, recent).splitlines()) <= set(before.splitlines())


def test_a_run_with_nothing_to_do_takes_no_lock_and_leaves_no_record(declared: Platform) -> None:
    before = audit(declared)
    assert "2 remote commands" in declared.deploy().output
    assert audit(declared) == before


def test_a_plan_shows_files_and_no_secret(declared: Platform) -> None:
    secrets = declared.folder / "secrets.yaml"
    before = secrets.read_text()
    document = yaml.safe_load(before)
    document["redis"]["passwords"]["app"] = "planted-secret-value"
    try:
        secrets.write_text(yaml.safe_dump(document))
        plan = see(declared, "plan", *EDITS)
    finally:
        secrets.write_text(before)
    assert "+    maxconn 5000" in plan.output
    assert "redis.app: differs (secret)" in plan.output
    shown = plan.output + json.dumps(plan.document)
    assert "planted-secret-value" not in shown
    present = declared.shell(HOST, f"tail -n +1 -q {CREDENTIALS}/* | cat; echo").split()
    assert not [one for one in present if one in shown]


def test_drift_exits_1_where_it_cannot_be_told(declared: Platform) -> None:
    declared.write_inventory(solo={"ssh_hostname": "198.18.0.99"})
    seen = see(declared, "drift")
    declared.write_inventory()
    assert seen.code == 1
    assert HOST in seen.output


@pytest.mark.thorough
def test_a_run_gives_up_waiting_with_a_sentence(declared: Platform) -> None:
    before = audit(declared)
    with held_by_another(declared, HOST, "alice on desk"):
        refused = declared.start(*QUICK, STELLWERK_LOCK_WAIT="0")
        said = refused.communicate()[0]
    assert refused.returncode != 0
    assert "a run by alice on desk works on it since" in said
    assert "STELLWERK_LOCK_WAIT" in said
    assert "Traceback" not in said
    assert audit(declared) == before


def test_a_plan_says_what_the_run_then_does(settled: Platform) -> None:
    plan = see(settled, "plan", *EDITS)
    assert plan.code == 0, plan.output
    before = settled.invocations()
    settled.deploy(*EDITS)
    after = settled.invocations()
    done = audit(settled)[-1]
    assert done["outcome"] == "ok"
    assert {one["component"] for one in done["changes"]} == plan.components(HOST)
    assert {unit for one in done["changes"] for unit in one["units"]} == plan.effects(HOST)
    assert plan.effects(HOST) == {
        "reload haproxy.service",
        "reload nginx.service",
        "reload postgresql@15-main.service",
    }
    (roll,) = plan.document["rollouts"]
    assert (roll["service"], roll["why"]) == (ROLLED, ["environment"])
    restarted = {unit for unit, invocation in before.items() if after.get(unit) != invocation}
    assert restarted == {unit for unit in before if ROLLED in unit}
    assert see(settled, "drift", *EDITS).code == 0


def test_a_run_waits_for_another_one_and_names_it(settled: Platform) -> None:
    with held_by_another(settled, HOST, "alice on desk") as other:
        waiting = settled.start(*QUICK)
        assert waiting.stdout is not None
        said = ""
        for line in waiting.stdout:
            said += line
            if "waiting for it to end" in line:
                other.kill()  # as a run that is killed with its machine
                break
        said += waiting.communicate()[0]
    assert waiting.returncode == 0, said
    assert f"{HOST}: a run by alice on desk works on it since" in said
    assert audit(settled)[-1]["outcome"] == "ok"


@pytest.mark.thorough
def test_two_runs_at_once_do_the_work_once_and_both_end_well(settled: Platform) -> None:
    before = len(audit(settled))
    runs = [settled.start(*QUICK) for _ in range(2)]
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "\n".join(said)
    assert len(audit(settled)) == before + 1, "\n".join(said)


def test_a_killed_run_is_recorded_as_such_and_its_lock_is_free(settled: Platform) -> None:
    run = settled.start(*EDITS)
    assert wait_until(lambda: audit(settled)[-1]["outcome"] == "running", RUN_SECONDS)
    run.kill()
    run.communicate()
    assert wait_until(lambda: "run" not in lock_of(settled, HOST), LOCK_SECONDS)
    assert audit(settled)[-1]["outcome"] == "interrupted"
    settled.deploy()
    assert audit(settled)[-1]["outcome"] == "ok"
    assert see(settled, "drift").code == 0


@pytest.mark.thorough
def test_a_failed_run_is_recorded_with_its_reason(settled: Platform) -> None:
    outcome = settled.run("-y", "--data", 'haproxy.global_extra=["no-such-directive 1"]')
    assert outcome.code != 0
    failed = audit(settled)[-1]
    assert failed["outcome"] == "failed"
    (change,) = [one for one in failed["changes"] if one["error"]]
    assert change["component"] == "haproxy"
    assert "refused by haproxy" in change["error"]


def test_the_record_holds_no_secret_and_only_root_reads_it(declared: Platform) -> None:
    secrets = declared.shell(HOST, f"cat {CREDENTIALS}/*; echo").split()
    record = declared.shell(HOST, "cat /var/log/stellwerk/runs.jsonl*")
    assert not [one for one in secrets if one in record]
    assert declared.shell(HOST, "stat -c '%a %U' /var/log/stellwerk/runs.jsonl") == "640 root"


FOREIGN = (
    "/etc/haproxy/foreign.cfg",
    "/etc/nginx/stellwerk/foreign.servers",
    f"{CREDENTIALS}/foreign.token",
    "/etc/stellwerk/generations/foreign/notes",
    "/etc/stellwerk/generations/aktienanalyse-events/notes",
    "/etc/systemd/system/foreign@.service",
    "/etc/polkit-1/rules.d/91-foreign.rules",
    "/opt/stellwerk/foreign",
)
GONE = "aktienanalyse-events"


def test_a_service_that_is_declared_no_more_goes_and_nothing_else(settled: Platform) -> None:
    put_foreign_files(settled)
    for name, services in (("all.py", "services"), ("scaling.py", 'scaling["services"]')):
        file = settled.folder / "group_data" / name
        file.write_text(f"{file.read_text()}\n{services}[{GONE!r}] = None\n")
    plan = see(settled, "plan")
    stopped = {one for one in plan.effects(HOST) if one.startswith("stop")}
    assert stopped == {f"stop {GONE}@830{port}.service" for port in (1, 2)}
    before = settled.invocations()
    settled.deploy()
    drift = see(settled, "drift")
    assert drift.components(HOST) == set(), drift.output
    # The memory of the service is PostgreSQL's, who takes it with its next restart.
    waiting = "waits for a restart to apply shared_buffers"
    assert [one for one in drift.findings(HOST) if waiting not in one] == [], drift.output
    retired = f"SELECT count(*) FROM stellwerk.events WHERE service = '{GONE}' AND kind = 'retires'"
    assert settled.shell(HOST, f'{PSQL} "{retired}" -At') == "2"
    components = [one["component"] for one in audit(settled)[-1]["changes"]]
    assert components.index("instances") < components.index("haproxy")
    left = settled.shell(HOST, f"find /etc /opt /run/systemd -name '*{GONE}*' -not -name notes")
    assert left.splitlines() == [f"/etc/stellwerk/generations/{GONE}"]  # with the foreign notes
    assert GONE not in settled.shell(HOST, "cat /etc/haproxy/haproxy.cfg /etc/polkit-1/rules.d/*")
    expect_foreign_files(settled)
    after = settled.invocations()
    changed = {unit for unit in before if after.get(unit) != before[unit]}
    daemons = ("stellwerk-agent", "stellwerk-monitor")  # they know the services by name
    assert changed == {unit for unit in before if any(one in unit for one in (GONE, *daemons))}


def test_a_group_that_a_host_leaves_is_taken_off_it_and_nothing_else(settled: Platform) -> None:
    put_foreign_files(settled)
    (node,) = settled.nodes
    groups = tuple(group for group in node.groups if group != "balancers")
    settled.nodes = (replace(node, groups=groups),)
    try:
        settled.write_inventory()
        plan = see(settled, "plan")
        assert {"stop haproxy.service", "stop nginx.service"} <= plan.effects(HOST)
        settled.deploy()
        assert see(settled, "drift").code == 0
    finally:
        settled.nodes = (node,)
    for unit in ("haproxy", "nginx"):
        states = f"systemctl is-active {unit}; systemctl is-enabled {unit}"
        assert settled.shell(HOST, states, check=False).split() == ["inactive", "disabled"]
    for path in ("/etc/haproxy/haproxy.cfg", haproxy.HAND_OVER, haproxy.DROP_IN, nginx.PATH):
        settled.shell(HOST, f"test ! -e {path}")
    assert settled.shell(HOST, "ls /var/lib/stellwerk/backups/haproxy")
    assert settled.shell(HOST, "systemctl is-active 'aktienanalyse-core@8101'") == "active"
    expect_foreign_files(settled)


def put_foreign_files(platform: Platform) -> None:
    made = " ".join(FOREIGN)
    platform.shell(HOST, f"for f in {made}; do mkdir -p $(dirname $f); echo mine > $f; done")


def expect_foreign_files(platform: Platform) -> None:
    assert platform.shell(HOST, f"cat {' '.join(FOREIGN)}").split() == ["mine"] * len(FOREIGN)
    platform.shell(HOST, f"rm {' '.join(FOREIGN)}")


@dataclass(frozen=True)
class Edit:
    """Something changed by hand, and what drift calls it: a component, or a word of a finding."""

    command: str
    component: str = ""
    finding: str = ""


HAND_EDITS = {
    "a file": Edit("echo '# by hand' >> /etc/nginx/nginx.conf", "nginx"),
    "a mode": Edit("chmod 666 /etc/haproxy/haproxy.cfg", "haproxy"),
    "an owner": Edit("chown nobody /etc/stellwerk/settings.yaml", "settings"),
    "a folder's mode": Edit(f"chmod 755 {CREDENTIALS}", "folders"),
    "a unit that is disabled": Edit("systemctl disable -q redis-server@6380", "redis-6380"),
    "a polkit rule": Edit("rm /etc/polkit-1/rules.d/90-stellwerk.rules", "agent-permissions"),
    "a unit that is stopped": Edit("systemctl stop stellwerk-agent", "agent"),
    "a Redis setting": Edit(f"{REDIS} CONFIG SET maxmemory-samples 7", "redis 6379"),
    "a Sentinel setting": Edit(
        f"{SENTINEL} SENTINEL SET aktienanalyse-redis down-after-milliseconds 1234",
        "sentinel 26379",
    ),
    "a role": Edit(f"{PSQL} 'ALTER ROLE stellwerk_app CONNECTION LIMIT 3'", "roles and database"),
    "a package": Edit("dpkg --force-depends -r ca-certificates >/dev/null", "packages"),
    "a password": Edit(f"printf x >> {CREDENTIALS}/redis.app", "redis.passwords"),
    "a PostgreSQL setting": Edit(
        f"{PSQL} \"ALTER SYSTEM SET work_mem = '5MB'\" && {PSQL} 'SELECT pg_reload_conf()'",
        finding="work_mem",
    ),
    "a pin": Edit(
        "rm /etc/systemd/system/aktienanalyse-broker@8201.service", finding="broker@8201"
    ),
}


@pytest.fixture(scope="module")
def edited_by_hand(declared: Platform) -> Iterator[Seen]:
    """What drift says after all of the edits. The tests with it are the last ones here."""
    # The agent would put some of it right at once.
    edits = sorted(HAND_EDITS.values(), key=lambda one: "agent" not in one.command)
    declared.shell(HOST, "\n".join(("set -e", *(edit.command for edit in edits))))
    yield see(declared, "drift")
    reset = f"{PSQL} 'ALTER SYSTEM RESET work_mem' && {PSQL} 'SELECT pg_reload_conf()'"
    declared.shell(HOST, reset)
    declared.deploy()
    assert see(declared, "drift").code == 0


@pytest.mark.parametrize("name", HAND_EDITS)
def test_drift_finds_what_was_changed_by_hand(edited_by_hand: Seen, name: str) -> None:
    edit = HAND_EDITS[name]
    assert edited_by_hand.code == 2
    if edit.component:
        assert edit.component in edited_by_hand.components(HOST), edited_by_hand.output
    else:
        found = edited_by_hand.findings(HOST)
        assert [one for one in found if edit.finding in one], edited_by_hand.output
