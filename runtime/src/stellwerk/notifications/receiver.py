"""What every way of telling people offers, and how it fails."""

from collections.abc import Sequence
from typing import Protocol

from stellwerk.notifications.message import Message


class DeliveryError(Exception):
    """The receiver did not take what it was sent; the message is one sentence without secrets.

    `retry_after`: seconds the receiver asked to wait before the next try.
    """

    def __init__(self, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class Receiver(Protocol):
    """A way to people."""

    @property
    def name(self) -> str:
        """Names its queue on disk, such as "slack"."""

    async def deliver(self, messages: Sequence[Message]) -> None:
        """Hand over all messages as one, the oldest first. Raises DeliveryError."""
