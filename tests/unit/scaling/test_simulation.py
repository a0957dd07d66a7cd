"""What a replay of a trace finds, and how it is shown."""

import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from stellwerk.cli import main
from stellwerk.scaling.model import Policy
from stellwerk.scaling.simulation import (
    Capacity,
    fixed_peak,
    perfect_foresight,
    replay,
)
from stellwerk.scaling.simulation_view import document, drawing, table
from stellwerk.scaling.trace import Trace, TraceError, read_trace
from stellwerk.settings.scaling_policy import Target
from stellwerk.terminal.paint import Paint
from tests.unit.scaling.services import policy

REPOSITORY = Path(__file__).parents[3]
START = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
DAY = 1440
TEN = Capacity(10.0, 60.0)
SHIPPED_RESTS: Mapping[str, Any] = {
    "cooldown_up_seconds": 300,
    "cooldown_down_seconds": 600,
    "stabilization_down_seconds": 300,
}


def trace(rates: list[float], step: float = 60) -> Trace:
    return Trace("made", START, step, tuple(rates))


def day_and_night(days: int = 2) -> Trace:
    return trace([25 - 20 * math.cos(minute * math.tau / DAY) for minute in range(days * DAY)])


def shipped_like() -> Policy:
    return policy(1, 8, **SHIPPED_RESTS)


def aimed(value: float = 60) -> Policy:
    return policy(
        1, 8, cpu_percent=None, targets={"cpu_percent": Target(value=value)}, **SHIPPED_RESTS
    )


@pytest.mark.parametrize("of", [shipped_like(), aimed()])
def test_a_daily_load_is_followed_for_less_than_fixed_peak(of: Policy) -> None:
    load = day_and_night()
    outcome = replay(of, load, TEN)
    peak, perfect = fixed_peak(of, load, TEN), perfect_foresight(of, load, TEN)
    assert outcome.instance_hours < peak.instance_hours * 1.2
    assert perfect.instance_hours < outcome.instance_hours
    assert peak.minutes_under_capacity == perfect.minutes_under_capacity == 0
    assert outcome.minutes_under_capacity <= 0.01 * 2 * DAY


@pytest.mark.parametrize("of", [shipped_like(), aimed()])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.7])
@pytest.mark.parametrize("minutes", [2, 10, 30, 60, 120])
def test_a_load_that_swings_about_a_threshold_changes_the_number_six_times_a_day(
    of: Policy, share: float, minutes: int
) -> None:
    """About each threshold, with three instances, by a tenth up and down."""
    middle = share * 10 * 3
    rates = [middle * (1.1 if minute // minutes % 2 else 0.9) for minute in range(DAY)]
    assert replay(of, trace(rates), TEN).changes <= 6


@pytest.mark.parametrize("start_seconds", [60, 300, 900])
@pytest.mark.parametrize("of", [policy(1, 10**4, **SHIPPED_RESTS), replace(aimed(), maximum=10**4)])
def test_a_jump_of_load_is_overshot_by_no_more_than_three_times(
    of: Policy, start_seconds: float
) -> None:
    rates = [5.0] * 60 + [100.0] * 600
    outcome = replay(of, trace(rates), Capacity(10.0, start_seconds))
    assert outcome.most <= 3 * 10
    assert outcome.moments[-1].serving >= 10


def test_an_instance_serves_only_after_its_start() -> None:
    of = policy(1, 8, cpu_percent=None, targets={"cpu_percent": Target(value=70)})
    outcome = replay(of, trace([5.0] * 30 + [15.0] * 60), Capacity(10.0, 600))
    asked = next(m.at for m in outcome.moments if m.desired > 1)
    serves = next(m.at for m in outcome.moments if m.serving > 1)
    assert serves - asked == 600


def test_the_figures_of_an_outcome_are_sums_over_its_moments() -> None:
    of = policy(1, 1)
    outcome = replay(of, trace([5.0] * 30 + [20.0] * 31), TEN)
    assert outcome.minutes_under_capacity == pytest.approx(31)
    assert outcome.instance_hours == pytest.approx(61 / 60)
    assert 0 < outcome.lost_share < 1


def test_a_replay_can_be_repeated() -> None:
    of, load = shipped_like(), day_and_night(1)
    assert replay(of, load, TEN) == replay(of, load, TEN)


def test_the_table_and_the_document_have_every_outcome() -> None:
    load = day_and_night(1)
    outcomes = [replay(shipped_like(), load, TEN), fixed_peak(shipped_like(), load, TEN)]
    lines = table(outcomes, Paint(False))
    assert [line.split("  ")[0] for line in lines[1:]] == ["policy", "fixed peak"]
    assert all(len(line) <= 80 for line in lines)
    written = json.loads(json.dumps(document(outcomes)))
    assert len(written["policy"]["decisions"]) == outcomes[0].changes
    assert "cpu_percent averaged" in written["policy"]["decisions"][0]["reason"]


def test_the_picture_is_one_svg_file_with_load_instances_and_time_under_capacity() -> None:
    load = day_and_night(1)
    outcomes = [replay(shipped_like(), load, TEN), fixed_peak(shipped_like(), load, TEN)]
    drawn = drawing("shop & <co>", load, outcomes)
    root = ET.fromstring(drawn)
    texts = " ".join(element.text or "" for element in root.iter())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    for expected in ("shop & <co> under made", "Load", "Instances", "Under capacity", "fixed peak"):
        assert expected in texts
    assert len(list(root.iter("{http://www.w3.org/2000/svg}svg"))) == 4


def test_the_picture_of_a_long_trace_stays_small() -> None:
    load = day_and_night(20)
    outcome = fixed_peak(shipped_like(), load, TEN)
    assert len(drawing("shop", load, [outcome])) < 100_000


def write(folder: Path, *rows: str) -> Path:
    path = folder / "load.csv"
    path.write_text("\n".join(("timestamp,requests", *rows)) + "\n")
    return path


def test_a_trace_is_read_as_load_per_second(tmp_path: Path) -> None:
    rows = ["2026-03-02T00:00,60", "2026-03-02T00:01,120", "2026-03-02T00:02,0"]
    read = read_trace(write(tmp_path, *rows))
    assert (read.start, read.step, read.rates) == (START, 60, (1, 2, 0))
    assert read.at(START + 30) == 1.5


def test_rows_that_are_missing_lie_on_a_line_between_their_neighbours(tmp_path: Path) -> None:
    minutes = {0: 60, 1: 60, 2: 60, 5: 240}
    rows = [f"2026-03-02T00:{minute:02},{amount}" for minute, amount in minutes.items()]
    assert read_trace(write(tmp_path, *rows)).rates == pytest.approx([1, 1, 1, 2, 3, 4])


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("noon,5", "load.csv:4: expected a time such as"),
        ("2026-03-02T00:02,-5", "load.csv:4: expected an amount of 0 or more"),
        ("2026-03-02T00:02,nan", "load.csv:4: expected an amount of 0 or more"),
        ("2026-03-02T00:01,5", "load.csv:4: is not later than the row before it"),
        ("2026-03-02T00:02", "load.csv:4: expected a time such as"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, problem: str) -> None:
    path = write(tmp_path, "2026-03-02T00:00,60", "2026-03-02T00:01,60", row)
    with pytest.raises(TraceError, match=problem):
        read_trace(path)


def simulate(*arguments: str) -> tuple[int, str]:
    inventory = ["--inventory", str(REPOSITORY / "inventory")]
    done = CliRunner().invoke(main, ["scaling", "simulate", *arguments, *inventory])
    return done.exit_code, done.output


def test_the_command_writes_the_table_the_picture_and_the_figures(tmp_path: Path) -> None:
    rows = [f"2026-03-02T{n // 60:02}:{n % 60:02},{600 + n}" for n in range(180)]
    path = write(tmp_path, *rows)
    picture, figures = tmp_path / "load.svg", tmp_path / "load.json"
    files = ["--picture", str(picture), "--json", str(figures)]
    code, said = simulate("aktienanalyse-core", "--trace", str(path), *files)
    assert code == 0, said
    for expected in ("policy", "fixed peak", "perfect foresight", "left out", "memory_percent"):
        assert expected in said
    assert picture.read_text().startswith("<svg")
    assert json.loads(figures.read_text())["policy"]["instance_hours"] > 0


def test_the_command_names_the_nearest_service(tmp_path: Path) -> None:
    code, said = simulate("aktienanalyse-cor", "--trace", str(tmp_path / "none.csv"))
    assert code == 2
    assert "did you mean aktienanalyse-core" in said


def test_the_command_names_a_trace_that_is_not_there(tmp_path: Path) -> None:
    code, said = simulate("aktienanalyse-core", "--trace", str(tmp_path / "none.csv"))
    assert code == 2
    assert "none.csv: cannot be read" in said
