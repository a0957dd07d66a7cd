"""Claims about the dashboard: Grafana can read it, and Prometheus what it asks for."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stellwerk.metrics.declarations import redis, system
from stellwerk.metrics.model import Kind, Metric
from stellwerk.metrics.prometheus.dashboard import dashboard
from stellwerk.metrics.prometheus.names import exposed_name
from stellwerk.metrics.registry import METRICS
from stellwerk.settings.root import Settings
from tests.unit.metrics.prometheus.checkers import Checker, written

DASHBOARD = dashboard(Settings(), "A shop")
COLUMNS = 24
VARIABLES = {"$__rate_interval": "1m", '"$host"': '"db-1"'}


def _panels(within: dict[str, Any] = DASHBOARD) -> Iterator[dict[str, Any]]:
    for panel in within["panels"]:
        yield panel
        yield from _panels({"panels": panel.get("panels", [])})


def _expressions() -> list[str]:
    return [target["expr"] for panel in _panels() for target in panel.get("targets", [])]


def _panel(metric: Metric) -> dict[str, Any]:
    (found,) = (one for one in _panels() if one.get("description") == metric.help
                and exposed_name(metric) in one["targets"][0]["expr"])  # fmt: skip
    return found


def _steps(metric: Metric) -> list[tuple[float | None, str]]:
    steps = _panel(metric)["fieldConfig"]["defaults"]["thresholds"]["steps"]
    return [(one["value"], one["color"]) for one in steps]


def _colour(metric: Metric, value: float) -> str:
    return [colour for start, colour in _steps(metric) if start is None or value >= start][-1]


def test_it_is_json_and_comes_out_the_same_each_time() -> None:
    assert json.loads(json.dumps(DASHBOARD, allow_nan=False)) == DASHBOARD
    assert dashboard(Settings(), "A shop") == DASHBOARD
    assert dashboard(Settings(), "Another")["uid"] != DASHBOARD["uid"]
    assert len(DASHBOARD["uid"]) <= 40  # or Grafana refuses it


def test_every_query_is_of_a_declared_metric_and_every_metric_has_a_query() -> None:
    used = {name for one in _expressions() for name in re.findall(r"stellwerk_\w+", one)}
    assert used == {exposed_name(one) for one in METRICS}


def test_names_are_unique_and_in_base_units() -> None:
    names = [exposed_name(one) for one in METRICS]
    assert len(set(names)) == len(names)
    for one in METRICS:
        assert exposed_name(one).endswith("_total") == (one.kind is Kind.COUNTER)
        assert not re.search(r"_(ms|mb|percent|per_second|per_hour|per_minute)(_|$)",
                             exposed_name(one))  # fmt: skip


def test_every_query_is_of_the_hosts_that_were_chosen() -> None:
    assert all('host=~"$host"' in one for one in _expressions())


def test_no_data_source_is_fixed() -> None:
    targets = [one for panel in _panels() for one in panel.get("targets", [])]
    sources = {one["datasource"]["uid"] for one in targets}
    assert sources == {"${datasource}"}
    names = {one["name"] for one in DASHBOARD["templating"]["list"]}
    assert names == {"datasource", "host"}


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    numbers = [one["id"] for one in _panels()]
    assert len(numbers) == len(set(numbers))
    for shown in (DASHBOARD, *(one for one in _panels() if one.get("panels"))):
        taken: set[tuple[int, int]] = set()
        for panel in shown["panels"]:
            place = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert max(x for x, _ in cells) < COLUMNS
            assert not cells & taken, panel["title"]
            taken |= cells


def test_colours_begin_at_the_thresholds_on_the_bad_side() -> None:
    assert _steps(system.CPU) == [(None, "green"), (0.8, "orange"), (0.95, "red")]
    shares = (0.4, 0.5, 0.6, 0.7, 0.8)
    assert [_colour(redis.HIT_RATE, one) for one in shares] == [
        "red", "red", "orange", "orange", "green",
    ]  # fmt: skip
    assert [_colour(redis.AVAILABILITY, one) for one in (0, 1)] == ["red", "green"]


@pytest.mark.programs
def test_prometheus_can_read_every_query(promtool: Checker, tmp_path: Path) -> None:
    records = []
    for number, query in enumerate(_expressions()):
        for variable, value in VARIABLES.items():
            query = query.replace(variable, value)
        assert "$" not in query
        records.append({"record": f"panel:{number}", "expr": query})
    document = {"groups": [{"name": "panels", "rules": records}]}
    promtool.passes("check", "rules", written(tmp_path / "queries.yml", document))
