"""Where scenarios come from, and the shipped ones."""

from pathlib import Path

import pytest

from stellwerk.loadtest.plan import Target
from stellwerk.loadtest.planning import PlanError, plan_run, processes_needed, read_headers
from stellwerk.loadtest.source import Definitions, Project, from_file
from stellwerk.settings.errors import SettingsError

REPOSITORY = Path(__file__).parents[3]
TARGET = Target("shop.example", 80)


@pytest.fixture(scope="module")
def shipped() -> Definitions:
    """What the repository's own settings hold."""
    return Project(None, REPOSITORY / "inventory").definitions


@pytest.mark.parametrize(
    ("name", "rate", "users", "duration", "ramp_up"),
    [
        ("normal_load", 100, 50, 600, 120),
        ("peak_load", 500, 200, 300, 60),
        ("stress_test", 1000, 500, 900, 180),
        ("endurance_test", 200, 100, 7200, 300),
    ],
)
def test_the_scenarios_of_the_specification_can_be_run(
    shipped: Definitions, name: str, rate: int, users: int, duration: int, ramp_up: int
) -> None:
    planned = plan_run(shipped, name, TARGET)
    schedule = planned.plan.schedule
    assert (schedule.requests_per_second, planned.plan.users) == (rate, users)
    assert (schedule.duration, schedule.ramp_up) == (duration, ramp_up)
    assert [kind.label for kind in planned.kinds] == [
        "GET /api/portfolios",
        "GET /api/assets",
        "GET /api/trades",
    ]


def test_every_baseline_a_shipped_mix_counts_for_is_there(shipped: Definitions) -> None:
    for mix in shipped.loadtest.mixes.values():
        for request in mix.values():
            assert set(request.counts_for) <= set(shipped.baselines.measures[request.service])


def test_the_parameters_are_those_of_the_test_data(shipped: Definitions) -> None:
    parameters = plan_run(shipped, "normal_load", TARGET).plan.parameters
    assert (parameters["user_id"].first, parameters["user_id"].last) == (1, 100)
    assert parameters["portfolio_id"].last == 1000
    assert len(set(parameters["symbol"].texts)) == 500
    assert "AAPL" in parameters["symbol"].texts


def test_an_unknown_scenario_names_the_nearest(shipped: Definitions) -> None:
    with pytest.raises(SettingsError) as caught:
        shipped.scenario("normal_laod")
    assert str(caught.value) == "normal_laod: unknown scenario; did you mean normal_load?"


def test_the_definitions_survive_the_way_through_a_file(
    shipped: Definitions, tmp_path: Path
) -> None:
    path = tmp_path / "scenarios.yaml"
    path.write_text(shipped.document())
    assert from_file(path) == shipped


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("loadtest: {scenarois: {}}", "loadtest.scenarois: unknown key; did you mean scenarios?"),
        ("redis: {port: 1}", "redis: has no place here; known are loadtest, baselines"),
        ("a: [", "is not valid YAML"),
        ("", "expected the sections loadtest and baselines"),
        (
            "loadtest: {scenarios: {a: {duration_seconds: 1, virtual_users: 1,"
            " requests_per_second: 1, mix: b}}}",
            "expected requests in mixes.b, named by scenario a",
        ),
        (
            "loadtest: {mixes: {a: {b: {service: s, path: '/{user}'}}},"
            " parameters: {user_id: {between: [1, 2]}}}",
            "expected a parameter user, named by the path of mixes.a.b; did you mean user_id?",
        ),
        (
            "loadtest: {parameters: {a: {between: [1, 2], one_of: [x]}}}",
            "expected exactly one of test_data, one_of and between",
        ),
    ],
)
def test_a_mistake_in_a_file_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "scenarios.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        from_file(path)
    assert len(caught.value.sentences) == 1
    assert caught.value.sentences[0].startswith(str(path))
    assert sentence in caught.value.sentences[0]


def test_a_scale_too_small_for_one_request_is_refused(shipped: Definitions) -> None:
    with pytest.raises(PlanError, match="not one request would be sent"):
        plan_run(shipped, "normal_load", TARGET, scale=1e-12)


def test_more_processes_are_used_where_the_rate_needs_them(
    shipped: Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(4)))
    values = shipped.loadtest.scenarios["stress_test"].model_dump()
    counts = []
    for rate in (1000, 5000, 100_000):
        scenario = {**values, "requests_per_second": rate}
        loadtest = shipped.loadtest.model_dump() | {"scenarios": {"own": scenario}}
        definitions = Definitions(
            type(shipped.loadtest).model_validate(loadtest), shipped.baselines
        )
        counts.append(processes_needed(plan_run(definitions, "own", TARGET).plan))
    assert counts == [1, 2, 4]


def test_headers_come_from_a_file_and_a_mistake_shows_no_value(tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_text("Authorization: Bearer a:b\n\nX-Tenant: 7\n")
    assert read_headers(path) == {"Authorization": "Bearer a:b", "X-Tenant": "7"}
    path.write_text("my-planted-secret\n")
    with pytest.raises(PlanError) as caught:
        read_headers(path)
    assert str(caught.value) == f"{path}:1: expected a header as Name: value"
