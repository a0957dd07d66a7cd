"""A plan shows what differs in files that everybody may read, and of others only that it does."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.engine.changes import Change
from deploys.engine.resources import ConfigSet, Facts, File
from deploys.seeing.differences import SECRET, file_differences, paths_to_read
from deploys.seeing.masking import HIDDEN, Masking
from deploys.seeing.model import FileDifference

PATH = "/etc/sample.conf"
MASKING = Masking(frozenset({"planted"}))


def change(*files: File) -> Change:
    return Change("sample", "why", config=ConfigSet("sample", files=files))


def facts(*files: File) -> Facts:
    return {"files": {file.path: file.as_fact() for file in files}, "stamps": {"sample": {}}}


def seen(wanted: File, present: File, content: str | None = None) -> FileDifference:
    contents = {PATH: None if content is None else base64.b64encode(content.encode()).decode()}
    (difference,) = file_differences(change(wanted), facts(present), contents, MASKING)
    return difference


def test_lines_that_differ_are_shown() -> None:
    old, new = "a\nb\nc\nd\ne\n", "a\nb\nC\nd\ne\n"
    assert seen(File(PATH, new), File(PATH, old), old).lines == ("...", " b", "-c", "+C", " d")


def test_a_line_that_looks_like_a_file_name_is_shown_too() -> None:
    assert seen(File(PATH, "++ b\n"), File(PATH, "-- a\n"), "-- a\n").lines == (
        "...",
        "--- a",
        "+++ b",
    )


@pytest.mark.parametrize("old", ["x planted y\n", "password=old\n"])
def test_a_line_with_a_secret_is_hidden_on_both_sides(old: str) -> None:
    lines = seen(File(PATH, "auth planted\n"), File(PATH, old), old).lines
    assert lines == ("...", f"-{HIDDEN}", f"+{HIDDEN}")


@given(st.sampled_from([0o600, 0o640, 0o660, 0o400]), st.text(min_size=1))
def test_a_file_that_not_everybody_may_read_is_neither_read_nor_shown(
    mode: int, content: str
) -> None:
    wanted, present = File(PATH, content, mode), File(PATH, f"{content}!", mode)
    assert list(paths_to_read(change(wanted), facts(present))) == []
    assert seen(wanted, present, content) == FileDifference(PATH, note=SECRET)


def test_a_file_may_be_shown_although_not_everybody_may_read_it() -> None:
    wanted, present = (File(PATH, text, 0o640, shown=True) for text in ("new\n", "old\n"))
    assert list(paths_to_read(change(wanted), facts(present))) == [PATH]
    assert seen(wanted, present, "old\n").lines == ("...", "-old", "+new")


@pytest.mark.parametrize(
    ("wanted", "present", "note"),
    [
        (File(PATH, "x"), None, "new"),
        (File(PATH, "x", 0o600), None, "new (secret)"),
        (File(PATH, "x", 0o600), File(PATH, "x", 0o644), "other mode or owner"),
        (File(PATH, "x"), File(PATH, "x", owner="redis"), "other mode or owner"),
        (File(PATH, "x"), File(PATH, "y"), "differs"),
    ],
)
def test_what_cannot_be_shown_by_lines_is_said(
    wanted: File, present: File | None, note: str
) -> None:
    known: dict[str, Any] = {"files": {}, "stamps": {}}
    if present:
        known["files"][PATH] = present.as_fact()
    (difference,) = file_differences(change(wanted), known, {}, MASKING)
    assert difference == FileDifference(PATH, note=note)


def test_a_seed_that_is_its_daemons_is_no_difference() -> None:
    seed = File(PATH, "new", seed=True)
    assert file_differences(change(seed), facts(), {}, MASKING) == ()
