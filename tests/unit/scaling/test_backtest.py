"""What `scaling backtest` finds and shows, and `simulate` with a forecast."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from stellwerk.cli import main
from tests.unit.scaling.loads import HOUR, noisy, samples, working_hours

REPOSITORY = Path(__file__).parents[3]
CORE = "aktienanalyse-core"


def scaling(command: str, *arguments: str) -> tuple[int, str]:
    inventory = ["--inventory", str(REPOSITORY / "inventory")]
    done = CliRunner().invoke(main, ["scaling", command, *arguments, *inventory])
    return done.exit_code, done.output


def written(folder: Path, days: float, every: float = HOUR) -> Path:
    path = folder / "load.csv"
    load: Callable[..., float] = noisy(working_hours, 0.2)
    rows = [
        f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M},{every * value:.0f}"
        for at, value in samples(days, load, every=every)
    ]
    path.write_text("\n".join(("timestamp,requests", *rows)) + "\n")
    return path


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("trace"), 28)


def test_the_table_has_the_error_of_each_forecaster_and_fits_a_terminal(trace: Path) -> None:
    code, said = scaling("backtest", CORE, "--trace", str(trace), "--timezone", "Etc/UTC")
    assert code == 0, said
    title, headings, *rows = said.splitlines()
    assert title == f"{CORE} under load: 28 days of Etc/UTC in steps of 60 min"
    assert headings.split("  ")[0] == "ERROR (WAPE)"
    assert all(column in headings for column in ("0-60 MIN", "60-240 MIN", "NEXT DAY"))
    names = [row.split("  ")[0] for row in rows]
    assert names[0] == "as now"
    assert names[-5:] == [
        "weighted mean",
        "90 % bound held",
        "bound / mean",
        "forecasts",
        "acted on",
    ]
    assert all(len(line) <= 80 for line in said.splitlines())


def test_the_figures_are_written_for_programs(trace: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    code, said = scaling("backtest", CORE, "--trace", str(trace), "--json", str(report))
    assert code == 0, said
    figures = json.loads(report.read_text())
    assert set(figures) == {"0-60 min", "60-240 min", "next day"}
    day = figures["next day"]
    assert 0 < day["error"] < day["error_as_now"]
    assert day["errors"]["usual week"] < day["errors"]["same as yesterday"]
    assert 0.8 <= day["coverage"] <= 1
    assert day["forecasts"] == 7
    assert day["acted_on"] is None
    assert 0 <= figures["0-60 min"]["acted_on"] <= 1


def test_the_days_are_those_of_the_settings_unless_another_zone_is_named(trace: Path) -> None:
    code, said = scaling("backtest", CORE, "--trace", str(trace))
    assert code == 0
    assert "28 days of Europe/Berlin in" in said


def test_a_trace_that_is_too_short_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, 10)
    code, said = scaling("backtest", CORE, "--trace", str(path))
    assert code == 2
    assert "lasts 10.0 days, and forecasts are judged after 21" in said


def test_a_trace_with_too_few_rows_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, 28, every=2 * HOUR)
    code, said = scaling("backtest", CORE, "--trace", str(path))
    assert code == 2
    assert "has a row every 120 min; a forecast takes one an hour" in said


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["aktienanalyse-cor"], "did you mean aktienanalyse-core"),
        ([CORE, "--timezone", "Europe/Berln"], "Europe/Berln: there is no such time zone"),
    ],
)
def test_what_is_not_known_is_named(trace: Path, arguments: list[str], problem: str) -> None:
    code, said = scaling("backtest", *arguments, "--trace", str(trace))
    assert code == 2
    assert problem in said


def test_a_simulation_can_be_run_with_forecasts_beside(trace: Path) -> None:
    code, said = scaling("simulate", CORE, "--trace", str(trace), "--forecast", "--days", "1")
    assert code == 0, said
    assert [line.split("  ")[0] for line in said.splitlines()[-4:]] == [
        "policy",
        "with forecasts",
        "fixed peak",
        "perfect foresight",
    ]
    said_why = "no forecast is acted on in the end: there are 24 h of history"
    assert said_why in said
