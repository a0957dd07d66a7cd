"""The one error of the settings: every problem found, each as a sentence a person can act on."""

from collections.abc import Iterable
from difflib import get_close_matches


class SettingsError(Exception):
    """Settings that cannot be used. `sentences` holds all problems, never a secret's value."""

    def __init__(self, sentences: Iterable[str]) -> None:
        self.sentences = tuple(dict.fromkeys(sentences))
        super().__init__("\n".join(self.sentences))


def nearest(name: str, candidates: Iterable[str], cutoff: float = 0.6) -> str | None:
    """Return the candidate most like `name`, or None where none is close (difflib's ratio)."""
    matches = get_close_matches(name, list(candidates), n=1, cutoff=cutoff)
    return matches[0] if matches else None


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """Return the end of an "unknown ..." sentence: the nearest name, or all of a short list."""
    known = list(candidates)
    match = nearest(name, known)
    if match is not None:
        return f"; did you mean {match}?"
    return f"; known are {', '.join(known)}" if 0 < len(known) <= 20 else ""
