"""Messages to test with."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from stellwerk.notifications.message import SEVERITIES, Message
from stellwerk.settings.types import Severity

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def message(
    headline: str = "Redis is down",
    *,
    severity: Severity = "critical",
    lines: tuple[str, ...] = ("connection refused",),
    age_seconds: float = 0,
) -> Message:
    return Message(NOW - timedelta(seconds=age_seconds), "cache-1", severity, headline, lines)


MESSAGES = st.builds(
    Message,
    at=st.datetimes(
        min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1), timezones=st.just(UTC)
    ),
    source=st.sampled_from(["db-1", "cache-1"]),
    severity=st.sampled_from(SEVERITIES),
    headline=st.text(max_size=80),
    lines=st.lists(st.text(max_size=80), max_size=5).map(tuple),
)
