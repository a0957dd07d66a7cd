"""How series went over periods."""

import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.metrics.history.rows import Points
from stellwerk.metrics.report.course import PARTS, course
from tests.unit.metrics.report.examples import CPU, HOUR, NOON, report, write

TIMES = st.lists(st.integers(0, 1000 * HOUR), unique=True, min_size=1).map(sorted)


@given(TIMES, st.data())
def test_every_part_is_the_average_of_its_own_values(times: list[int], data: st.DataObject) -> None:
    values = data.draw(st.lists(st.floats(-1e9, 1e9), min_size=len(times), max_size=len(times)))
    parts: list[list[float]] = [[] for _ in range(PARTS)]
    for time, value in zip(times, values, strict=True):
        parts[min(PARTS - 1, math.floor(time / 1000 / (HOUR / PARTS)))].append(value)
    found = course(Points(times, values), 0, HOUR)
    assert [one is None for one in found] == [not part for part in parts]
    expected = [sum(part) / len(part) for part in parts if part]
    assert [one for one in found if one is not None] == expected


def test_a_report_has_the_course_of_its_period_with_gaps(tmp_path: Path) -> None:
    write(tmp_path, {CPU: [10.0] * 10}, end=NOON - HOUR / 2)
    write(tmp_path, {CPU: [20.0] * 10})
    (line,) = report(tmp_path).lines
    assert len(line.course) == PARTS
    assert {*line.course[: PARTS // 2]} == {None, 10.0}
    assert line.course[-1] == 20
    assert None in line.course[PARTS // 2 :]
