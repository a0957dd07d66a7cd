"""Prometheus on real hosts: all monitors scraped over TLS, alerts that arrive, and its removal."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deploys.components.prometheus import ALERTMANAGER_UNIT, CONFIGURATION, DASHBOARD, UNIT
from tests.lab.encrypted import SERVING, WATCHING, WITHOUT_PROMETHEUS, declare_monitoring
from tests.lab.platform import Platform
from tests.lab.seeing import see
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

COMPONENT = "deploys/prometheus.py"
SETTLE_SECONDS = 60.0
ASK = "import sys, urllib.request as web; print(web.urlopen(sys.argv[1]).read().decode())"
PROMETHEUS, ALERTMANAGER = "http://127.0.0.1:9090", "http://127.0.0.1:9093"


@pytest.fixture(
    scope="module", params=["encrypted", pytest.param("swapped", marks=pytest.mark.thorough)]
)
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    """With Prometheus on Debian 13, and on Debian 12. At the end it is switched off."""
    found: Platform = request.getfixturevalue(request.param)
    yield found
    declare_monitoring(found, WITHOUT_PROMETHEUS)
    found.deploy()


def asked(platform: Platform, url: str) -> Any:
    """What a daemon on the host of the monitors answers."""
    return json.loads(platform.shell(WATCHING.name, f"python3 -c '{ASK}' '{url}'"))


def settles(condition: Callable[[], bool]) -> bool:
    return wait_until(condition, SETTLE_SECONDS)


def healths(platform: Platform) -> dict[str, str]:
    """How each host's last scrape went; why, where it did not go well."""
    found = asked(platform, f"{PROMETHEUS}/api/v1/targets")["data"]["activeTargets"]
    return {one["labels"]["host"]: one["lastError"] or one["health"] for one in found}


def alerts(platform: Platform) -> set[tuple[str, str, str]]:
    """The alerts that Alertmanager has, by name, host and severity."""
    found = asked(platform, f"{ALERTMANAGER}/api/v2/alerts")
    labels = [one["labels"] for one in found]
    return {(one["alertname"], one["host"], one["severity"]) for one in labels}


def started(platform: Platform) -> dict[str, str]:
    """The present start of each daemon."""
    found = platform.invocations(WATCHING.name)
    return {unit: found[f"{WATCHING.name} {unit}"] for unit in (UNIT, ALERTMANAGER_UNIT)}


def test_a_real_prometheus_scrapes_all_hosts(platform: Platform) -> None:
    expected = {one.name: "up" for one in platform.nodes}
    assert settles(lambda: healths(platform) == expected), healths(platform)
    query = 'count by (host) ({__name__=~"stellwerk_.*"})'
    found = asked(platform, f"{PROMETHEUS}/api/v1/query?query={_quoted(query)}")
    counts = {one["metric"]["host"]: int(one["value"][1]) for one in found["data"]["result"]}
    assert counts.keys() == expected.keys()
    assert all(count > 20 for count in counts.values()), counts


def test_every_rule_can_be_evaluated(platform: Platform) -> None:
    def states() -> dict[str, str]:
        groups = asked(platform, f"{PROMETHEUS}/api/v1/rules")["data"]["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return {rule["name"]: rule.get("lastError") or rule["health"] for rule in rules}

    assert settles(lambda: set(states().values()) == {"ok"}), states()
    assert "HaproxyAvailability" in states()


def test_an_alert_reaches_alertmanager_and_clears(platform: Platform) -> None:
    expected = ("HaproxyAvailability", SERVING.name, "critical")
    platform.shell(SERVING.name, "systemctl stop haproxy")
    try:
        assert settles(lambda: expected in alerts(platform)), alerts(platform)
    finally:
        platform.shell(SERVING.name, "systemctl start haproxy")
    assert settles(lambda: expected not in alerts(platform)), alerts(platform)


def test_a_monitor_that_is_away_is_an_alert(platform: Platform) -> None:
    expected = ("StellwerkMonitorDown", SERVING.name, "critical")
    platform.shell(SERVING.name, "systemctl stop stellwerk-monitor")
    try:
        assert settles(lambda: expected in alerts(platform)), alerts(platform)
    finally:
        platform.shell(SERVING.name, "systemctl start stellwerk-monitor")
    assert settles(lambda: expected not in alerts(platform)), alerts(platform)


def test_nobody_else_can_ask_it(platform: Platform) -> None:
    listening = platform.shell(WATCHING.name, "ss -Hltn '( sport = :9090 or sport = :9093 )'")
    assert {line.split()[3] for line in listening.splitlines()} == {
        "127.0.0.1:9090",
        "127.0.0.1:9093",
    }
    assert not platform.shell(WATCHING.name, "ss -Hltn 'sport = :9094'")


def test_what_is_deployed_is_as_declared(platform: Platform) -> None:
    drift = see(platform, "drift")
    assert drift.code == 0, drift.output
    assert json.loads(platform.shell(WATCHING.name, f"cat {DASHBOARD}"))["panels"]


def test_a_new_threshold_is_in_force_without_a_restart(platform: Platform) -> None:
    before = started(platform)
    declare_monitoring(
        platform, 'monitoring["thresholds"] = {"system": {"cpu_percent": {"critical": 99}}}\n'
    )
    outcome = platform.run("-y", deploy=COMPONENT)
    assert outcome.code == 0, outcome.output
    rules = json.dumps(asked(platform, f"{PROMETHEUS}/api/v1/rules"))
    assert "stellwerk_system_cpu_ratio \\u003e= 0.99" in rules.replace(">", "\\u003e")
    assert started(platform) == before


def test_a_refused_configuration_leaves_the_old_in_force(platform: Platform) -> None:
    before = started(platform)
    (platform.folder / "alerts.yml").write_text("route: {receiver: nobody-knows}\n")
    declare_monitoring(platform, 'monitoring["prometheus"]["alertmanager_file"] = "alerts.yml"\n')
    outcome = platform.run("-y", deploy=COMPONENT)
    assert outcome.code != 0
    assert "refused by amtool, so the present configuration serves on" in outcome.output
    assert started(platform) == before
    config = asked(platform, f"{ALERTMANAGER}/api/v2/status")["config"]["original"]
    assert "receiver: nobody" in config


def test_what_is_switched_off_goes_and_its_history_stays(platform: Platform) -> None:
    declare_monitoring(platform, WITHOUT_PROMETHEUS)
    outcome = platform.run("-y", deploy="deploys/removal.py")
    assert outcome.code == 0, outcome.output
    states = platform.shell(
        WATCHING.name, f"systemctl is-active {UNIT} {ALERTMANAGER_UNIT}; true", check=False
    )
    assert set(states.split()) == {"inactive"}
    assert not platform.shell(WATCHING.name, f"ls {CONFIGURATION} {DASHBOARD}", check=False)
    assert platform.shell(WATCHING.name, "ls /var/lib/prometheus/metrics2")


def _quoted(query: str) -> str:
    return "".join(f"%{ord(sign):02x}" if not sign.isalnum() else sign for sign in query)
