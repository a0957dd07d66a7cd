"""Turns merged values into `Settings`, and pydantic's errors into sentences that name the place."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stellwerk.settings import schema
from stellwerk.settings.errors import SettingsError, did_you_mean
from stellwerk.settings.root import Settings
from stellwerk.settings.schema import KeyPath

_EXPECTED: dict[str, str] = {
    "less_than_equal": "at most {le}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "greater_than": "more than {gt}",
    "string_pattern_mismatch": "text that matches {pattern}",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "text that is not empty",
    "too_short": "at least {min_length} of them",
    "literal_error": "{expected}",
    "model_type": "keys and values",
    "dict_type": "keys and values",
    "list_type": "a list",
    "string_type": "text",
    "finite_number": "a number",
}
_EXPECTED_BY_PREFIX = {
    "int_": "a whole number",
    "float_": "a number",
    "bool_": "true or false",
    "date_": "a date such as 2024-01-15",
}


def validate(values: Mapping[str, Any], where: Callable[[KeyPath], str]) -> Settings:
    """Return the settings in `values`, or raise SettingsError with every problem.

    `where` gives the place to name for a key path, such as "group_data/redis.py:3".
    """
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        # Complete before the raise: pydantic's error holds the input, and so the secrets.
        sentences = _sentences(error.errors(include_url=False), values, where)
    raise SettingsError(sentences)


def _sentences(
    errors: list[ErrorDetails], values: Mapping[str, Any], where: Callable[[KeyPath], str]
) -> list[str]:
    # A union reports every member it tried: they are alternatives of one sentence.
    alternatives: dict[tuple[KeyPath, str], list[str]] = {}
    for error in errors:
        path, subject = _subject(error, values)
        expected = alternatives.setdefault((path, subject), [])
        if (text := _expectation(error, path)) not in expected:
            expected.append(text)
    return [
        f"{where(path)}: {subject}{' or '.join(expected)}"
        for (path, subject), expected in alternatives.items()
    ]


def _subject(error: ErrorDetails, values: Mapping[str, Any]) -> tuple[KeyPath, str]:
    """Return the key path an error is about, and the beginning of its sentence."""
    keys, items, value = _resolve(error["loc"], values)
    inside = (f"[{item}]" if isinstance(item, int) else f".{item}" for item in items)
    label = ".".join(keys) + "".join(inside)
    if error["type"] == "missing":
        missing = str(error["loc"][-1])
        node = schema.find((*keys, missing))
        return keys, f"{label}.{missing} is missing: {node.description if node else ''}".rstrip(
            ": "
        )
    if error["type"] == "extra_forbidden":
        return keys, f"{label}: "
    if error["loc"][-1] == "[key]":
        return keys, f"{label}: {keys[-1]!r} is not accepted as a name: expected "
    return keys, f"{label}: {_shown(keys, value)}expected "


def _resolve(
    location: tuple[int | str, ...], values: Any
) -> tuple[KeyPath, tuple[int | str, ...], Any]:
    """Split a location into keys of ours and what is inside their value, and return that value.

    What pydantic adds, such as the member of a union it tried, leads nowhere and is dropped.
    """
    keys: list[str] = []
    items: list[int | str] = []
    current = values
    for part in location:
        if isinstance(current, Mapping) and part in current:
            (items if items else keys).append(str(part))
        elif isinstance(current, list) and isinstance(part, int) and part < len(current):
            items.append(part)
        else:
            break
        current = current[part]
    return tuple(keys), tuple(items), current


def _shown(path: KeyPath, value: Any) -> str:
    node = schema.find(path)
    if node is None or schema.holds_secrets(node) or isinstance(value, Mapping):
        return ""
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} is not accepted: "


def _expectation(error: ErrorDetails, path: KeyPath) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return ""
    if kind == "extra_forbidden":
        return "unknown key"
    if kind == "value_error":
        return str(context["error"]).removeprefix("expected ")
    if kind == "literal_error":
        return str(context["expected"]) + _nearest_choice(error, path)
    if kind in _EXPECTED:
        return _EXPECTED[kind].format(**context)
    for prefix, text in _EXPECTED_BY_PREFIX.items():
        if kind.startswith(prefix):
            return text
    return error["msg"].removeprefix("Input should be ").removeprefix("String should ")


def _nearest_choice(error: ErrorDetails, path: KeyPath) -> str:
    value = error["input"]
    node = schema.find(path)
    if not isinstance(value, str) or node is None or schema.holds_secrets(node):
        return ""
    choices = re.findall(r"'([^']+)'", str(error.get("ctx", {}).get("expected", "")))
    end = did_you_mean(value, choices)
    return end if end.startswith("; did") else ""
