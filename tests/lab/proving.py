"""The proof that edits reach exactly what they concern: applied under load, and judged.

What a run may reload, restart and roll is what all edits that it applies together may.
"""

from collections.abc import Iterator
from pathlib import Path

from tests.lab.clients import Noticed, clients
from tests.lab.editing import Applied, Editor
from tests.lab.edits import Edit


def prove(editor: Editor, folder: Path, rate: int, edits: tuple[Edit, ...]) -> None:
    """Apply edits in one run: only what they name happens, no client notices, and all is done."""
    applied, noticed, again = under_load(editor, folder, rate, edits)
    print(f"{applied}, {noticed}")
    assert_expected(applied, edits)
    assert {edit.name: found for edit in edits if (found := editor.not_in_force(edit))} == {}
    assert noticed.failures == {}, editor.explain()
    assert noticed.lost_writes == frozenset()
    if not any(edit.fails_over for edit in edits):
        assert noticed.failed_writes == 0, noticed.redis_errors
    assert again == 0, editor.said


def under_load(
    editor: Editor, folder: Path, rate: int, edits: tuple[Edit, ...]
) -> tuple[Applied, Noticed, int]:
    """Apply edits and run once more while clients ask: the third is how much was left to do."""
    with clients(editor.platform, folder, rate) as noticed:
        applied = editor.apply(*edits)
        again = editor.run_again()
    return applied, noticed, again


def assert_expected(applied: Applied, edits: tuple[Edit, ...]) -> None:
    """What happened is what the edits together ask for, and nothing else."""
    assert applied.restarts == union(edit.restarts for edit in edits)
    assert applied.stops == union(edit.stops for edit in edits)
    assert applied.reloads == union(edit.reloads for edit in edits)
    assert applied.rolls == union(edit.rolls for edit in edits)
    assert applied.counts == {name: n for edit in edits for name, n in edit.counts.items()}
    for edit in edits:
        assert edit.says in applied.output, applied.output


def union(sets: Iterator[frozenset[str]]) -> frozenset[str]:
    """All members of some sets."""
    return frozenset().union(*sets)
