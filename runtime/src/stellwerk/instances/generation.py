"""How generations are named to people: by their first digits, as far as these name one."""

from collections.abc import Collection
from typing import Final

_SHORT: Final = 8


class GenerationError(Exception):
    """No generation, or more than one, is called so; the message is one sentence."""


def short(generation: str) -> str:
    """The first digits, which tell generations of a service apart."""
    return generation[:_SHORT]


def named(text: str, generations: Collection[str]) -> str:
    """The generation that begins with `text`. Raises GenerationError."""
    found = sorted(one for one in generations if text and one.startswith(text))
    if len(found) == 1 or text in found:
        return text if text in found else found[0]
    if found:
        raise GenerationError(
            f"{text}: begins more than one generation: {', '.join(map(short, found))}"
        )
    known = ", ".join(map(short, generations))
    raise GenerationError(f"{text}: no such generation{f'; known are {known}' if known else ''}")
