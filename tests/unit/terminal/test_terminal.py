"""Figures, columns and lines that change in place."""

import io
import os
import shutil
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.terminal.columns import Cell, Column, laid_out, shortened
from stellwerk.terminal.figures import age, bar, percent, plural, size
from stellwerk.terminal.paint import Paint, Tone, one_line, paint_for, printable
from stellwerk.terminal.screen import Screen


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def lines_of_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def resize(lines: int) -> None:
        monkeypatch.setattr(shutil, "get_terminal_size", lambda: os.terminal_size((80, lines)))

    resize(24)
    return resize


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (86400 * 20, "20d")],
)
def test_an_age_is_in_the_largest_unit_that_is_reached(seconds: float, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "-"), (0, "0 B"), (2048, "2.0 kB"), (210 * 1024**2, "210 MB"), (3 * 2**29, "1.5 GB")],
)
def test_a_size_has_a_unit(count: int | None, text: str) -> None:
    assert size(count) == text


def test_figures_that_are_unknown_are_no_zeros() -> None:
    assert percent(None) == "-"
    assert percent(0.2) == "0 %"


def test_counts_agree_with_their_nouns() -> None:
    assert (plural(1, "host"), plural(2, "host")) == ("1 host", "2 hosts")


@given(st.floats(0, 1), st.integers(1, 60))
def test_a_bar_is_full_only_when_all_is_done(share: float, width: int) -> None:
    assert len(bar(share, width)) == width
    assert ("░" not in bar(share, width)) == (share == 1)


@given(st.lists(st.text(max_size=90), min_size=1, max_size=5), st.integers(30, 200))
def test_a_table_gives_room_away_where_it_may(texts: list[str], width: int) -> None:
    columns = [Column("NAME", least=5), Column("N", right=True)]
    rows = [[Cell(text), Cell("12")] for text in texts]
    lines = laid_out(columns, rows, width, Paint(False))
    assert len(lines) == len(texts) + 1
    assert max(map(len, lines)) <= width


@given(st.text("abcdef ", max_size=90).map(str.strip), st.integers(40, 100))
def test_a_sentence_that_does_not_fit_goes_on_below_itself(text: str, width: int) -> None:
    columns = [Column("HOST"), Column("ALERT", least=20, wrapped=True)]
    heading, *lines = laid_out(columns, [[Cell("app-1"), Cell(text)]], width, Paint(False))
    start = heading.index("ALERT")
    assert "".join(line[start:] for line in lines).replace(" ", "") == text.replace(" ", "")
    assert {line[:start].strip() for line in lines[1:]} <= {""}
    assert max(map(len, lines)) <= width


def test_what_is_cut_ends_in_a_mark() -> None:
    assert shortened("app-1.example", 6) == "app-1…"


@given(st.text())
def test_what_a_program_said_cannot_steer_the_terminal(text: str) -> None:
    assert printable(text).isprintable()
    assert one_line(text).isprintable()


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert paint_for(Terminal())("good", Tone.GOOD) == "\x1b[32mgood\x1b[0m"
    assert paint_for(io.StringIO())("good", Tone.GOOD) == "good"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint_for(Terminal())("good", Tone.GOOD) == "good"


@pytest.mark.usefixtures("lines_of_terminal")
def test_a_terminal_shows_each_text_in_place_of_the_one_before() -> None:
    terminal = Terminal()
    screen = Screen(terminal)
    screen.show(["one", "two"])
    screen.show(["three"])
    assert terminal.getvalue().endswith("\x1b[2A\r\x1b[J\x1b[?7lthree\n\x1b[?7h")


def test_a_text_higher_than_the_terminal_says_what_is_missing(
    lines_of_terminal: Callable[[int], None],
) -> None:
    lines_of_terminal(4)
    terminal = Terminal()
    Screen(terminal).show([str(number) for number in range(9)])
    assert "0\n1\n… and 7 more lines\n" in terminal.getvalue()


@pytest.mark.usefixtures("lines_of_terminal")
def test_a_long_text_is_wrapped_for_a_terminal_and_one_line_elsewhere() -> None:
    text = "The ledger is away. " * 6
    first, *rest = Screen(Terminal()).wrapped(text.rstrip(), indent="  ")
    assert all(len(line) <= 80 for line in (first, *rest))
    assert all(line.startswith("  ") for line in rest)
    assert Screen(io.StringIO()).wrapped(text) == [text]


def test_a_log_gets_only_what_has_moved() -> None:
    stream = io.StringIO()
    screen = Screen(stream)
    for line, moved in [("1 s", "a"), ("2 s", "a"), ("3 s", "b")]:
        screen.show([line], moved)
    screen.clear()
    assert stream.getvalue() == "1 s\n3 s\n"
