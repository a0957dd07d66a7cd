"""Colour, where the reader has a terminal that shows it; and text of others made harmless."""

import os
from enum import Enum
from typing import Final, TextIO

_PLAIN: Final = "\x1b[0m"


class Tone(Enum):
    """What a piece of text means; the value is how terminals are told."""

    NONE = ""
    STRONG = "\x1b[1m"
    DIM = "\x1b[2m"
    GOOD = "\x1b[32m"
    WEAK = "\x1b[33m"
    BAD = "\x1b[31m"


class Paint:
    """Puts text in the colour of a tone, or leaves it as it is."""

    def __init__(self, coloured: bool) -> None:
        self._coloured = coloured

    def __call__(self, text: str, tone: Tone) -> str:
        if not self._coloured or tone is Tone.NONE or not text.strip():
            return text
        return f"{tone.value}{text}{_PLAIN}"


def paint_for(stream: TextIO) -> Paint:
    """Colour for a terminal, unless NO_COLOR is set or the terminal has none."""
    capable = os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")
    return Paint(stream.isatty() and capable)


def printable(text: str) -> str:
    """A line of what a program said, without what could steer the terminal."""
    return "".join(c if c.isprintable() else " " for c in text.rstrip())


def one_line(text: str) -> str:
    """All of a text in one line, made harmless."""
    return " ".join(printable(text).split())
