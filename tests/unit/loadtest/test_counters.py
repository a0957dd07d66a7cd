"""What the kernel's counters stand for."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.loadtest.counters import Counters
from stellwerk.loadtest.hosts import HERE

MEMORY = "MemTotal: 2000 kB MemAvailable: 500 kB"
ticks = st.lists(st.integers(0, 2**63), min_size=5, max_size=10)


def counters(*times: int) -> Counters:
    """Counters with these processor times: user nice system idle iowait irq softirq steal ..."""
    parsed = Counters.parse(f"cpu {' '.join(map(str, times))} {MEMORY}")
    assert parsed is not None
    return parsed


def test_this_machine_answers_with_its_counters_and_the_number_of_the_question() -> None:
    said = subprocess.run(HERE, input="7\n8\n", capture_output=True, text=True).stdout
    numbers, texts = zip(*(line.split(" ", 1) for line in said.splitlines()), strict=True)
    assert numbers == ("7", "8")
    for text in texts:
        parsed = Counters.parse(text)
        assert parsed is not None
        assert 0 < parsed.memory_percent < 100


@pytest.mark.parametrize(
    ("after", "percent"),
    [
        ((50, 0, 0, 50, 0, 0, 0, 0, 0, 0), 50),
        ((0, 10, 20, 70, 0, 0, 0, 0, 0, 0), 30),
        ((0, 0, 0, 25, 75, 0, 0, 0, 0, 0), 0),  # waiting for a disk is not busy
        ((0, 0, 0, 50, 0, 10, 15, 25, 0, 0), 50),  # interrupts and what others took are
        ((50, 0, 0, 50, 0, 0, 0, 0, 50, 0), 50),  # a guest's time is user time already
    ],
)
def test_cpu_is_what_was_neither_idle_nor_waiting_for_a_disk(
    after: tuple[int, ...], percent: float
) -> None:
    base = (1000,) * 10
    before = counters(*base)
    assert (
        counters(*(a + b for a, b in zip(base, after, strict=True))).cpu_percent(before) == percent
    )


def test_no_time_between_two_readings_is_no_figure() -> None:
    assert counters(1, 2, 3, 4, 5).cpu_percent(counters(1, 2, 3, 4, 5)) is None


def test_counters_that_went_back_are_no_figure_as_after_a_reboot() -> None:
    assert counters(1, 1, 1, 1, 1).cpu_percent(counters(9, 9, 9, 9, 9)) is None


@given(ticks, ticks)
def test_cpu_is_a_percentage_whatever_the_kernel_counts(
    before: list[int], after: list[int]
) -> None:
    percent = counters(*after).cpu_percent(counters(*before))
    assert percent is None or 0 <= percent <= 100


def test_memory_is_what_programs_cannot_have() -> None:
    assert counters(1, 1, 1, 1, 1).memory_percent == 75


@given(st.text())
def test_anything_else_is_no_answer(text: str) -> None:
    assert Counters.parse(text) is None


@pytest.mark.parametrize(
    "text", ["", "cpu 1 2 3 4 5", f"cpu 1 2 {MEMORY}", f"cpu 1 2 3 4 5 {MEMORY} x"]
)
def test_a_part_of_an_answer_is_no_answer(text: str) -> None:
    assert Counters.parse(text) is None
