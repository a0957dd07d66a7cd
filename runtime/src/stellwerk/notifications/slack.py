"""Slack, by an incoming webhook."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from stellwerk.notifications.message import Message, worst
from stellwerk.notifications.receiver import DeliveryError
from stellwerk.notifications.web import post_json
from stellwerk.notifications.wording import subject, text_lines

if TYPE_CHECKING:
    from stellwerk.settings.types import Severity

_TOO_MANY_REQUESTS: Final = 429
_MOST_LETTERS: Final = 2900  # a section of Slack's takes 3000
_SIGNS: Final[Mapping["Severity", str]] = {
    "info": ":information_source:",
    "warning": ":warning:",
    "high": ":red_circle:",
    "critical": ":rotating_light:",
}


class Slack:
    """The channel behind a webhook, whose URL is as secret as a password."""

    name: Final = "slack"

    def __init__(self, webhook: str) -> None:
        self._webhook = webhook

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Post one message to the channel. Raises DeliveryError."""
        try:
            status, headers = await post_json(self._webhook, document(messages))
        except OSError as error:
            raise DeliveryError(f"Slack cannot be reached: {error}") from None
        wait = headers.get("retry-after", "")
        if not 200 <= status < 300:
            asked = float(wait) if status == _TOO_MANY_REQUESTS and wait.isdecimal() else None
            raise DeliveryError(f"Slack refused the message with status {status}", asked)


def document(messages: Sequence[Message]) -> dict[str, Any]:
    """What is posted: the subject, which notifications show, and the text below it."""
    sign = _SIGNS[worst(message.severity for message in messages)]
    title = f"{sign} *{_escaped(subject(messages))}*"
    body = _shortened("\n".join(_escaped(line) for line in text_lines(messages)))
    return {
        "text": f"{sign} {_escaped(subject(messages))}",
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": _shortened(title)}},
            {"type": "section", "text": {"type": "mrkdwn", "text": f"```{body}```"}},
        ],
    }


def _escaped(text: str) -> str:
    """Slack takes these for the beginning of links and mentions, backticks for the end of code."""
    for letter, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("`", "'")):
        text = text.replace(letter, name)
    return text


def _shortened(text: str) -> str:
    if len(text) <= _MOST_LETTERS:
        return text
    whole_lines = text[:_MOST_LETTERS].rpartition("\n")[0] or text[:_MOST_LETTERS]
    return f"{whole_lines}\n..."
