"""Writing a history and reading it back."""

import datetime
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.metrics.declarations import service, system
from stellwerk.metrics.histogram import Histogram
from stellwerk.metrics.history.current import Current
from stellwerk.metrics.history.errors import HistoryError
from stellwerk.metrics.history.reader import history
from stellwerk.metrics.history.writer import HistoryWriter
from stellwerk.metrics.model import Sample, Series
from stellwerk.metrics.reading import Observed

CPU, LOAD = system.CPU.series(), system.LOAD.series()
REQUESTS = service.REQUEST.series("shop")
MIDNIGHT = 1_750_032_000.0  # of some day, UTC
DAY, HOUR = 86400, 3600
FOREVER = (0, 4e9)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "history"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hours that are packed and some of the third, a value a minute."""
    folder = tmp_path_factory.mktemp("written")
    write(folder, steady(MIDNIGHT, MIDNIGHT + 2.5 * HOUR, every=60))
    return folder


def write(
    folder: Path,
    collections: Iterable[tuple[float, dict[Series, float]]],
    *,
    keep_days: int = 7,
    most_bytes: int = 10**9,
) -> None:
    writer = HistoryWriter(folder, keep_days=keep_days, most_bytes=most_bytes)
    try:
        for at, values in collections:
            writer.write(at, [Sample(*one) for one in values.items()])
    finally:
        writer.close()


def steady(
    start: float, end: float, every: float = 15
) -> Iterator[tuple[float, dict[Series, float]]]:
    """Collections of a period: the load is the number of the collection."""
    for place in range(int((end - start) / every)):
        yield start + place * every, {CPU: 12.5, LOAD: float(place)}


def read(
    folder: Path, series: Series, start: float = 0, end: float = 4e9
) -> list[tuple[float, float]]:
    with history(folder, start, end) as found:
        assert found.problems == []
        points = found.points(series.key)
        return [(time / 1000, value) for time, value in zip(*points, strict=True)]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def day_name(at: float) -> str:
    return f"{datetime.datetime.fromtimestamp(at, datetime.UTC).date()}.sqlite"


def test_what_was_written_is_read_back_over_hours_and_days(folder: Path) -> None:
    collections = list(steady(MIDNIGHT - 2 * HOUR, MIDNIGHT + HOUR / 2))
    write(folder, collections)
    assert read(folder, LOAD) == [(at, values[LOAD]) for at, values in collections]
    assert read(folder, CPU) == [(at, 12.5) for at, _ in collections]
    assert day_name(MIDNIGHT - 1) in names(folder)


def test_a_period_has_its_ends_and_nothing_beyond(folder: Path) -> None:
    write(folder, steady(MIDNIGHT, MIDNIGHT + 3 * HOUR))
    found = read(folder, LOAD, MIDNIGHT + HOUR - 30, MIDNIGHT + 2 * HOUR + 15)
    assert found[0][0] == MIDNIGHT + HOUR - 30
    assert found[-1][0] == MIDNIGHT + 2 * HOUR + 15
    assert len(found) == 244


@given(st.integers(-30, 3 * HOUR), st.integers(0, 3 * HOUR))
@settings(max_examples=30)
def test_an_average_is_that_of_the_points_and_collections_are_counted(
    written: Path, start: int, length: int
) -> None:
    with history(written, MIDNIGHT + start, MIDNIGHT + start + length) as found:
        values = found.points(LOAD.key).values
        assert found.collections == len(values)
        average = found.average(LOAD.key)
        assert average == (pytest.approx(sum(values) / len(values)) if values else None)
        assert found.average("no such series") is None


def test_it_goes_on_where_another_process_stopped(folder: Path) -> None:
    write(folder, steady(MIDNIGHT, MIDNIGHT + 90))
    write(folder, steady(MIDNIGHT + 90, MIDNIGHT + HOUR + 30))
    assert len(read(folder, CPU)) == (HOUR + 30) // 15


def test_unknown_is_absent_and_never_a_number(folder: Path) -> None:
    write(
        folder,
        [
            (MIDNIGHT, {CPU: 1}),
            (MIDNIGHT + 15, {CPU: 2, LOAD: 7}),
            (MIDNIGHT + 30, {LOAD: 8}),
            (MIDNIGHT + HOUR, {CPU: 3}),
        ],
    )
    assert [value for _, value in read(folder, CPU)] == [1, 2, 3]
    assert [value for _, value in read(folder, LOAD)] == [7, 8]
    assert read(folder, REQUESTS) == []


def test_a_clock_that_is_set_back_loses_nothing(folder: Path) -> None:
    late = list(steady(MIDNIGHT + HOUR, MIDNIGHT + HOUR + 60))
    early = list(steady(MIDNIGHT + 7, MIDNIGHT + 2 * HOUR))
    again = list(steady(MIDNIGHT + HOUR + 3, MIDNIGHT + HOUR + 63))
    write(folder, [*late, *early, *again, *steady(MIDNIGHT + DAY, MIDNIGHT + DAY + 15)])
    times = [at for at, _ in read(folder, CPU)]
    assert len(times) == len(late) + len(early) + len(again) + 1
    assert times == sorted(times)


def test_what_is_packed_and_not_yet_removed_is_read_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    def killed(*_: object) -> None:
        raise KilledError

    hour = list(steady(MIDNIGHT, MIDNIGHT + HOUR))
    with monkeypatch.context() as patch:
        patch.setattr(Current, "remove", killed)
        with pytest.raises(KilledError):
            write(folder, [*hour, (MIDNIGHT + HOUR, {CPU: 1})])
    assert len(read(folder, LOAD)) == len(hour)
    write(folder, [(MIDNIGHT + HOUR, {CPU: 1})])
    assert read(folder, LOAD) == [(at, values[LOAD]) for at, values in hour]


def test_percentiles_add_up_over_collections_hours_and_instances(folder: Path) -> None:
    exact = Histogram()
    writer = HistoryWriter(folder, keep_days=7, most_bytes=10**9)
    for place in range(300):
        durations = Histogram()
        for number in range(5):
            seconds = (1 + (place * 7 + number * 13) % 100) / 100
            durations.add(seconds)
            exact.add(seconds)
        writer.write(MIDNIGHT + place * 15, [], [Observed(REQUESTS, durations)])
    writer.close()
    with history(folder, *FOREVER) as found:
        merged = found.durations(REQUESTS.key)
        assert merged.count == exact.count
        assert merged.quantile(0.95) == exact.quantile(0.95)
    with history(folder, MIDNIGHT + HOUR / 2, MIDNIGHT + HOUR - 1) as found:
        assert found.durations(REQUESTS.key).count == 120 * 5


def test_days_past_are_removed(folder: Path) -> None:
    for day in range(5):
        write(folder, steady(MIDNIGHT + day * DAY, MIDNIGHT + day * DAY + 60), keep_days=2)
    assert names(folder) >= {day_name(MIDNIGHT + day * DAY) for day in (2, 3)}
    assert day_name(MIDNIGHT + DAY) not in names(folder)


def test_the_oldest_days_go_where_there_is_too_much(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for day in range(3):
        write(folder, steady(MIDNIGHT + day * DAY, MIDNIGHT + day * DAY + 60), most_bytes=1)
    assert day_name(MIDNIGHT) not in names(folder)
    assert day_name(MIDNIGHT + DAY) not in names(folder)
    assert "all is over 1 bytes" in caplog.text
    assert [at for at, _ in read(folder, CPU)] == [MIDNIGHT + 2 * DAY + 15 * n for n in range(4)]


@pytest.mark.parametrize("damage", [b"no database at all", b""], ids=["overwritten", "emptied"])
@pytest.mark.parametrize("which", ["current.sqlite", day_name(MIDNIGHT)])
def test_a_damaged_file_is_set_aside_and_the_history_goes_on(
    folder: Path, which: str, damage: bytes
) -> None:
    write(folder, steady(MIDNIGHT, MIDNIGHT + HOUR + 60))
    (folder / which).write_bytes(damage)
    write(folder, steady(MIDNIGHT + HOUR + 60, MIDNIGHT + 2 * HOUR + 60))
    assert (f"{which}.damaged" in names(folder)) == bool(damage)
    found = read(folder, LOAD)
    assert found[-1][0] == MIDNIGHT + 2 * HOUR + 45
    assert len(found) >= 240


def test_a_damaged_day_that_is_read_is_named_and_the_others_are_read(folder: Path) -> None:
    write(folder, steady(MIDNIGHT, MIDNIGHT + 60))
    write(folder, steady(MIDNIGHT + DAY, MIDNIGHT + DAY + 60))
    write(folder, steady(MIDNIGHT + 2 * DAY, MIDNIGHT + 2 * DAY + 60))
    (folder / day_name(MIDNIGHT)).write_bytes(b"x" * 5000)
    with history(folder, *FOREVER) as found:
        assert len(found.points(LOAD.key).times) == 8
        assert [day_name(MIDNIGHT) in problem for problem in found.problems] == [True]
    assert f"{day_name(MIDNIGHT)}.damaged" in names(folder)


def test_a_damaged_chunk_is_damage_too(folder: Path) -> None:
    write(folder, steady(MIDNIGHT, MIDNIGHT + HOUR + 60))
    with sqlite3.connect(folder / day_name(MIDNIGHT)) as connection:
        connection.execute("UPDATE chunk SET blob = x'01020304' WHERE blob IS NOT NULL")
    with history(folder, *FOREVER) as found:
        assert len(found.points(LOAD.key).times) == 4
        assert "damaged" in found.problems[0]


def test_a_file_of_another_release_is_set_aside(folder: Path) -> None:
    write(folder, steady(MIDNIGHT, MIDNIGHT + 60))
    with sqlite3.connect(folder / "current.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    write(folder, steady(MIDNIGHT + 60, MIDNIGHT + 120))
    assert "current.sqlite.damaged" in names(folder)
    assert len(read(folder, CPU)) == 4


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HistoryError, match=r"file/history: .*the history needs a folder"):
        HistoryWriter(tmp_path / "file" / "history", keep_days=7, most_bytes=1)


def test_a_day_that_cannot_be_written_does_not_keep_collections_from_being_kept(
    folder: Path,
) -> None:
    write(folder, steady(MIDNIGHT, MIDNIGHT + 60))
    blocked = folder / day_name(MIDNIGHT)
    blocked.mkdir()
    with pytest.raises(HistoryError, match=blocked.name):
        write(folder, [(MIDNIGHT + HOUR, {CPU: 1})])
    blocked.rmdir()
    write(folder, [(MIDNIGHT + HOUR + 15, {CPU: 2})])
    assert [value for _, value in read(folder, CPU)][-2:] == [1, 2]
    assert len(read(folder, CPU)) == 6


def test_nothing_written_is_nothing_read(folder: Path) -> None:
    folder.mkdir()
    with history(folder, *FOREVER) as found:
        assert found.keys == set()
        assert list(found.points(CPU.key).times) == []
        assert found.durations(REQUESTS.key).count == 0
    assert names(folder) == set()


@settings(deadline=None, max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.integers(min_value=0, max_value=3 * HOUR),
            st.none() | st.floats(min_value=-1000, max_value=1000).map(lambda x: round(x, 2)),
        ),
        max_size=30,
        unique_by=lambda one: one[0],
    )
)
def test_any_order_of_collections_is_kept(
    tmp_path_factory: pytest.TempPathFactory, collections: list[tuple[int, float | None]]
) -> None:
    folder = tmp_path_factory.mktemp("history")
    write(
        folder,
        [
            (MIDNIGHT - HOUR + at, {CPU: 1} if value is None else {LOAD: value})
            for at, value in collections
        ],
    )
    expected = sorted(
        (MIDNIGHT - HOUR + at, value) for at, value in collections if value is not None
    )
    assert read(folder, LOAD) == expected
