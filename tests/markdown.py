"""Parts of the documentation that are written from code, each between two marks of its page."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heading, ("---",) * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def part_in(page: str, name: str) -> str:
    """The part of this name as it stands in a page."""
    return _around(page, name)[1].strip()


def put_into(page: Path, name: str, part: str) -> None:
    """Replace the part of this name in a page."""
    before, _, after = _around(page.read_text(), name)
    page.write_text(f"{before}\n{part}\n{after}")


def _around(page: str, name: str) -> tuple[str, str, str]:
    """The page up to the first mark, the part, and the rest. LookupError if there is none."""
    marked = rf"(.*<!-- {name}: written by [\w/.]+ -->)(.*)(<!-- end of {name} -->.*)"
    found = re.fullmatch(marked, page, re.DOTALL)
    if found is None:
        raise LookupError(f"the page has no marks of {name}")
    before, part, after = found.groups()
    return before, part, after
