"""Prometheus in a whole run: seen before it is done, and only where it is asked for."""

import json

import pytest

from deploys.components import prometheus

from .conftest import GROUPS, MARKER, MakeSite, Site, with_tools
from .fake_hosts import Facts

ON = 'monitoring = {"prometheus": {"enabled": True}}\n'
OWN = 'monitoring = {"prometheus": {"enabled": True, "alertmanager_file": "alerts.yml"}}\n'
TOKEN = f"monitoring:\n  token: {MARKER}-monitoring-token\n"
(HOST,) = GROUPS["monitors"]


@pytest.fixture
def site(make_site: MakeSite, settled: dict[str, Facts]) -> Site:
    """Hosts that did everything the first run told them."""
    return make_site({host: with_tools(facts) for host, facts in settled.items()})


def test_a_plan_names_all_of_it_and_shows_no_token(site: Site) -> None:
    secrets = site.folder / "secrets.yaml"
    secrets.write_text(secrets.read_text() + TOKEN)
    site.write("monitors.py", ON)
    plan = site.see("plan", "-v")
    assert plan.code == 0, plan.errors
    changes = site.seen["hosts"][HOST]["changes"]
    assert {*prometheus.STAMPS, "packages"} <= {one["component"] for one in changes}
    assert "start prometheus.service" in plan.output.lower()
    assert f"{prometheus.FOLDER}/stellwerk.token: new (secret)" in plan.output
    assert MARKER not in plan.said + json.dumps(site.seen)


def test_a_run_brings_it_to_the_monitors_and_masks_debians_units_before(site: Site) -> None:
    site.write("monitors.py", ON)
    outcome = site.run("-y")
    assert outcome.code == 0, outcome.errors
    sent = [(one.host, one.tool, json.loads(one.stdin)) for one in outcome.changes if one.tool]
    assert {host for host, _, _ in sent} == {HOST}
    (packages,) = (document for _, tool, document in sent if tool == "packages")
    assert {*prometheus.UNITS} <= {*packages["masked"]}


def test_a_configuration_of_ones_own_that_is_not_there_is_said_before_any_host_is_asked(
    site: Site,
) -> None:
    site.write("monitors.py", OWN)
    outcome = site.run("-y")
    assert outcome.code != 0
    assert "monitors.py:1: monitoring.prometheus.alertmanager_file" in outcome.errors
    assert "alerts.yml cannot be read: No such file or directory" in outcome.errors
    assert outcome.sent == ()
