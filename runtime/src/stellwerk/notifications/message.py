"""What people are told. Pure; how it looks in mail or Slack is in `wording`."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:  # daemons tell people without the library that validates settings
    from stellwerk.settings.types import Severity

SEVERITIES: Final[tuple["Severity", ...]] = ("info", "warning", "high", "critical")
"""All severities, the mildest first."""


@dataclass(frozen=True)
class Message:
    """Something to tell: a headline of one line, and more lines below it.

    `source` says who tells: a host, or a daemon of the cluster.
    """

    at: datetime
    source: str
    severity: "Severity"
    headline: str
    lines: tuple[str, ...] = ()


def worst(severities: "Iterable[Severity]") -> "Severity":
    """The most severe; "info" of none."""
    return max(severities, key=SEVERITIES.index, default="info")


def to_json(message: Message) -> str:
    """The message as one line of JSON, which `from_json` reads back."""
    return json.dumps(
        {
            "at": message.at.astimezone(UTC).isoformat(),
            "source": message.source,
            "severity": message.severity,
            "headline": message.headline,
            "lines": message.lines,
        }
    )


def from_json(text: str) -> Message:
    """Raises ValueError where the text is no message."""
    values: Any = json.loads(text)
    try:
        severity, lines = values["severity"], values["lines"]
        at = datetime.fromisoformat(values["at"])
        if severity not in SEVERITIES or not _are_texts([*lines, values["headline"]]):
            raise ValueError("is no message")
        return Message(at, str(values["source"]), severity, values["headline"], tuple(lines))
    except (KeyError, TypeError) as error:
        raise ValueError(f"is no message: {error}") from None


def _are_texts(values: Sequence[object]) -> bool:
    return all(isinstance(value, str) for value in values)
