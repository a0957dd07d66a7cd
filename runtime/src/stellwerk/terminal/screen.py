"""Lines that change in place on a terminal; elsewhere they are written when something has moved."""

import shutil
import textwrap
from collections.abc import Sequence
from typing import Final, TextIO

_CLEAR_BELOW: Final = "\r\x1b[J"
_NO_WRAP: Final = "\x1b[?7l"  # so that a line too long is cut by the terminal and stays one line
_WRAP: Final = "\x1b[?7h"


def width() -> int:
    """Letters in a line of the terminal; 80 where there is none."""
    return shutil.get_terminal_size().columns


class Screen:
    """Shows one text after the other on a stream, each in place of the one before."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = 0
        self._moved: object = None
        self.is_terminal = stream.isatty()

    def show(self, lines: Sequence[str], moved: object = None) -> None:
        """Show the lines. Where the stream is no terminal they are written only if `moved` is
        another than the last time, so that a log does not fill with what is only older.
        """
        if self.is_terminal:
            self._replace(lines)
        elif moved is None or moved != self._moved:
            self._write("".join(f"{line}\n" for line in lines))
        self._moved = moved

    def wrapped(self, text: str, indent: str = "") -> list[str]:
        """A text in lines that the terminal has room for, all but the first indented; where the
        stream is no terminal it is one line.
        """
        if not self.is_terminal:
            return [text]
        return textwrap.wrap(text, width(), subsequent_indent=indent)

    def clear(self) -> None:
        """Take away what is shown, on a terminal."""
        if self.is_terminal:
            self._replace(())

    def _replace(self, lines: Sequence[str]) -> None:
        room = max(1, shutil.get_terminal_size().lines - 1)
        if len(lines) > room:
            hidden = len(lines) - room + 1
            lines = [*lines[: room - 1], f"… and {hidden} more lines"]
        back = f"\x1b[{self._shown}A" if self._shown else ""
        body = "".join(f"{line}\n" for line in lines)
        self._write(f"{back}{_CLEAR_BELOW}{_NO_WRAP}{body}{_WRAP}")
        self._shown = len(lines)

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
