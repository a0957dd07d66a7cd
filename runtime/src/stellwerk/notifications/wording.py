"""How messages read: one subject for several, and all of them as text of a bounded length. Pure."""

from collections.abc import Sequence
from datetime import UTC
from typing import Final

from stellwerk.notifications.message import Message, worst

MOST_LINES: Final = 60
"""Lines of one text. Who was away for a day is told how much there was, not all of it."""


def subject(messages: Sequence[Message]) -> str:
    """One line for all: the newest of the most severe, and how many there are besides it."""
    severity = worst(message.severity for message in messages)
    chosen = [message for message in messages if message.severity == severity][-1]
    others = len(messages) - 1
    more = f" (and {others} more)" if others else ""
    return f"[{severity}] {chosen.source}: {_one_line(chosen.headline)}{more}"


def text_lines(messages: Sequence[Message]) -> list[str]:
    """The messages, the oldest first, each under a line with its time; at most `MOST_LINES`."""
    found: list[str] = []
    for number, message in enumerate(messages):
        block = _block(message)
        # The last message is the newest, and the one that must not be left out.
        room = MOST_LINES - len(found) - (len(_block(messages[-1])) + 1)
        if number < len(messages) - 1 and len(block) > room:
            left_out = len(messages) - number - 1
            found.append(f"... {left_out} messages left out ...")
            found += _block(messages[-1])
            break
        found += block
    if len(found) > MOST_LINES:
        cut = len(found) - MOST_LINES + 1
        found = [*found[: MOST_LINES - 1], f"... and {cut} more lines"]
    return found


def _block(message: Message) -> list[str]:
    moment = message.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    head = f"{moment} {message.source}: {_one_line(message.headline)}"
    return [head, *(f"  {_one_line(line)}" for line in message.lines)]


def _one_line(text: str) -> str:
    return " ".join(text.split())
