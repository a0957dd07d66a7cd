"""Claims about messages and how they read."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.notifications.message import SEVERITIES, Message, from_json, to_json, worst
from stellwerk.notifications.slack import document
from stellwerk.notifications.wording import MOST_LINES, subject, text_lines
from stellwerk.settings.types import Severity
from tests.unit.notifications.examples import MESSAGES, message


@given(MESSAGES)
def test_a_message_survives_the_disk(one: Message) -> None:
    assert from_json(to_json(one)) == one


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"at": 5}', "\x00", '"text"'])
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(text)


def test_the_subject_names_the_newest_of_the_most_severe() -> None:
    messages = [
        message("memory is short", severity="warning"),
        message("Redis is down", age_seconds=9),
        message("disk is full", age_seconds=5),
    ]
    assert subject(messages) == "[critical] cache-1: disk is full (and 2 more)"


def test_severities_are_those_of_the_settings() -> None:
    assert get_args(Severity) == SEVERITIES


def test_the_worst_of_nothing_is_information() -> None:
    assert worst([]) == "info"


@given(st.lists(MESSAGES, min_size=1, max_size=90))
def test_any_number_of_messages_makes_a_text_of_bounded_length(messages: list[Message]) -> None:
    lines = text_lines(messages)
    assert len(lines) <= MOST_LINES
    assert all("\n" not in line for line in [subject(messages), *lines])
    slack = document(messages)
    assert all(len(block["text"]["text"]) <= 3000 for block in slack["blocks"])


def test_of_too_many_messages_the_newest_is_told() -> None:
    messages = [message(f"number {n}", age_seconds=200 - n) for n in range(200)]
    lines = text_lines(messages)
    assert any("number 199" in line for line in lines)
    assert any("messages left out" in line for line in lines)


def test_slack_takes_nothing_of_a_message_for_a_mention_or_a_link() -> None:
    shown = json.dumps(document([message("<!channel> ``` <https://example.org|x> & co")]))
    assert "<" not in shown
    assert ">" not in shown
    assert "&lt;!channel&gt; ''' &lt;https" in shown
