"""The page of edits tells what the rows of the matrix say."""

from pathlib import Path

from tests.lab.edits import Edit
from tests.lab.edits_page import (
    EFFECTS,
    FIGURES,
    NOTHING,
    PAGE,
    effect,
    effects,
)
from tests.lab.steps import STEPS
from tests.markdown import part_in, put_into


def test_the_page_has_a_row_for_every_edit_and_says_what_it_reaches() -> None:
    """To be mended by `python -m tests.lab.edits_page`."""
    assert part_in(PAGE.read_text(), EFFECTS) == effects()


def test_every_edit_has_a_name_of_its_own() -> None:
    names = [edit.name for step in STEPS.values() for edit in step]
    assert len(names) == len(set(names))


def test_an_effect_names_units_once_whatever_hosts_they_are_on() -> None:
    agents = frozenset({"app-1 agent.service", "app-2 agent.service"})
    edit = Edit("all", restarts=agents, reloads=frozenset({"lb-1 haproxy.service"}))
    assert effect(edit) == "reloads `haproxy`; restarts `agent`"
    assert effect(Edit("none")) == NOTHING
    assert effect(Edit("shop", rolls=frozenset({"shop"}), counts={"shop": 3, "gone": 0})) == (
        "rolls shop; all instances of gone are stopped; shop has 3 instances"
    )


def test_a_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text())
    put_into(page, FIGURES, "| none |")
    put_into(page, FIGURES, "| new |")
    assert part_in(page.read_text(), FIGURES) == "| new |"
    assert part_in(page.read_text(), EFFECTS) == effects()
