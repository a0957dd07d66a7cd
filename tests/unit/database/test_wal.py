"""The size of the write-ahead log follows what is written, within bounds."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from stellwerk.database.quantities import GIBIBYTE, MEBIBYTE
from stellwerk.database.setting import Source
from stellwerk.database.tuning import HostResources, TuningInputs, tune
from stellwerk.database.wal import ENOUGH_HISTORY_SECONDS, WalHistory, wal_sizes

DAY = ENOUGH_HISTORY_SECONDS
QUARTER_HOUR = 900
HOST = HostResources(16 * GIBIBYTE, 4)


def history(rate: float, *, seconds: float = DAY, free: int = 1000 * GIBIBYTE) -> WalHistory:
    return WalHistory(int(rate * seconds), seconds, free)


@given(
    st.integers(0, 10**15),
    st.floats(DAY, 400 * DAY),
    st.integers(0, 10**14),
    st.integers(30, 86_400),
)
def test_sizes_are_ordered_whole_and_within_their_bounds(
    written: int, seconds: float, free: int, timeout: int
) -> None:
    sizes = wal_sizes(WalHistory(written, seconds, free), timeout)
    assert 2 * GIBIBYTE <= sizes.largest <= max(2 * GIBIBYTE, free / 5)
    assert sizes.kept * 4 == sizes.largest
    assert sizes.kept % MEBIBYTE == 0


def test_three_checkpoint_intervals_fit_where_the_disk_allows_it() -> None:
    sizes = wal_sizes(history(10 * MEBIBYTE), QUARTER_HOUR)
    assert sizes.largest == 27_136 * MEBIBYTE  # 3 x 900 s x 10 MB/s in steps of 512 MB


def test_a_small_disk_bounds_the_log() -> None:
    assert wal_sizes(history(10 * MEBIBYTE, free=20 * GIBIBYTE), QUARTER_HOUR).largest == (
        4 * GIBIBYTE
    )


def test_a_quiet_server_keeps_the_figures_of_the_specification() -> None:
    sizes = wal_sizes(history(1), QUARTER_HOUR)
    assert (sizes.largest, sizes.kept) == (2 * GIBIBYTE, 512 * MEBIBYTE)


def test_the_tuning_takes_a_day_of_history_and_says_so() -> None:
    inputs = TuningInputs(wal=history(10 * MEBIBYTE))
    found = {one.name: one for one in tune(HOST, inputs).settings}
    assert found["max_wal_size"].value == "27136MB"
    assert found["min_wal_size"].value == "6784MB"
    assert found["max_wal_size"].source is Source.MEASURED
    assert "10 MB/s" in found["max_wal_size"].reason


def test_less_than_a_day_of_history_changes_nothing() -> None:
    short = replace(TuningInputs(), wal=history(10 * MEBIBYTE, seconds=DAY - 1))
    assert tune(HOST, short) == tune(HOST, TuningInputs())


def test_a_size_that_is_given_wins_over_what_was_measured() -> None:
    inputs = TuningInputs(wal=history(10 * MEBIBYTE), explicit={"max_wal_size": "8GB"})
    assert tune(HOST, inputs).value("max_wal_size") == "8GB"
