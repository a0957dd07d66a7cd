"""What a scaler leaves for its host's monitor, and what that makes of it."""

from pathlib import Path

import pytest

from stellwerk.metrics.collectors.scaler import FROZEN_SECONDS, ScalerCollector
from stellwerk.metrics.declarations import auto_scaling as metrics
from stellwerk.metrics.reading import State
from stellwerk.scaling.scaler.figures import Figures, Standing
from stellwerk.scaling.scaler.judging import Rulebook, judge
from tests.unit.instances.programs import in_a_loop
from tests.unit.metrics.collectors.looks import look, value
from tests.unit.scaling.clusters import findings, host_file

SHOP = {"scaled_service": "shop"}


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "figures.json"


def lead(figures: Figures, cpu: float) -> None:
    """One judgement of a shop with two instances, of which one more is wanted above 70 %."""
    rulebook = Rulebook.of(host_file(limits={"instances": 30, "cpu_cores": 6, "memory": "256MB"}))
    verdicts = judge(rulebook, findings(cpu))
    figures.judged(rulebook, verdicts, [one for one in verdicts if one.changes])
    figures.write(Standing.LEADS)


@in_a_loop
async def test_the_leaders_figures_are_those_of_the_cluster(file: Path, clock: Clock) -> None:
    figures, monitor = Figures(file, clock), ScalerCollector(file, clock)
    lead(figures, cpu=90)
    reading = await look(monitor)
    assert (reading.state, value(reading, metrics.AVAILABILITY)) == (State.UP, 1)
    assert value(reading, metrics.LEADS) == 1
    assert value(reading, metrics.ACTIVE) == 2
    assert value(reading, metrics.DESIRED, **SHOP) == 3
    assert value(reading, metrics.SERVING, **SHOP) == 2
    assert value(reading, metrics.MINIMUM, **SHOP) == 2
    assert value(reading, metrics.MAXIMUM, **SHOP) == 8
    assert value(reading, metrics.EMERGENCY, **SHOP) == 0
    # Three instances of a core and 64 MB each.
    shares = {"instances": 10, "cpu": 50, "memory": 75}
    assert {
        name: value(reading, metrics.UTILIZATION, resource=name) for name in shares
    } == pytest.approx(shares)


@in_a_loop
async def test_decisions_and_changes_are_counted(file: Path, clock: Clock) -> None:
    figures, monitor = Figures(file, clock), ScalerCollector(file, clock)
    for cpu in (50, 90, 50):
        lead(figures, cpu)
    reading = await look(monitor)
    assert value(reading, metrics.DECISIONS) == 3
    assert value(reading, metrics.CHANGES, **SHOP) == 1


@in_a_loop
async def test_one_that_stands_by_says_nothing_of_the_cluster(file: Path, clock: Clock) -> None:
    figures, monitor = Figures(file, clock), ScalerCollector(file, clock)
    lead(figures, cpu=50)
    figures.write(Standing.STANDS_BY)
    reading = await look(monitor)
    assert {one.series.metric for one in reading.samples} == {metrics.AVAILABILITY, metrics.LEADS}
    assert value(reading, metrics.LEADS) == 0


@in_a_loop
async def test_without_the_ledger_the_scaler_is_well_and_nothing_is_known(
    file: Path, clock: Clock
) -> None:
    figures, monitor = Figures(file, clock), ScalerCollector(file, clock)
    lead(figures, cpu=50)
    figures.write(Standing.AWAY)
    reading = await look(monitor)
    assert reading.state is State.UP
    assert [one.series.metric for one in reading.samples] == [metrics.AVAILABILITY]
    assert "does not reach the ledger" in reading.gaps[0].reason


@in_a_loop
async def test_a_scaler_that_ended_is_down_and_a_silent_one_is_frozen(
    file: Path, clock: Clock
) -> None:
    figures, monitor = Figures(file, clock), ScalerCollector(file, clock)
    assert (await look(monitor)).state is State.DOWN
    lead(figures, cpu=50)
    clock.now += FROZEN_SECONDS + 1
    reading = await look(monitor)
    assert (reading.state, value(reading, metrics.AVAILABILITY)) == (State.FROZEN, 0)


def test_a_disk_that_takes_nothing_stops_no_scaler(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    Figures(tmp_path / "gone" / "figures.json", clock).write(Standing.STANDS_BY)
    assert "cannot be written" in caplog.text


def test_other_users_may_read_it(file: Path, clock: Clock) -> None:
    Figures(file, clock).write(Standing.STANDS_BY)
    assert file.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in file.parent.iterdir()] == [file.name]
