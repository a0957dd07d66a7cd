"""Keys: the pattern of a layer's keys, filled with fields that cannot run into each other.

A field is percent-encoded, so an id with `*`, `:`, `[` or a newline is one field like any other,
and two different fillings never give the same key.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import cached_property
from typing import Final
from urllib.parse import quote
from uuid import UUID

from stellwerk.caching.errors import DeclarationError, KeyFieldError

WILDCARD: Final = "*"
FieldValue = str | int | UUID | date | Enum
"""What a field of a key may be: each has one spelling."""

_FIELD = re.compile(r"\{([a-z_]+)\}")
_UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")
"""What percent-encoding leaves as it is, and what therefore cannot separate two fields."""


def escaped(value: object) -> str:
    """The spelling of a field in a key. Raises KeyFieldError for what has no one spelling."""
    kind = type(value)
    if kind is int:
        return str(value)
    if kind is str and value.isalnum() and value.isascii():  # type: ignore[attr-defined]
        return value  # type: ignore[return-value]
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool) or not isinstance(value, str | int | UUID | date):
        raise KeyFieldError(
            f"A field of a key is {value!r}: it must be text, a whole number, a UUID or a date."
        )
    text = value if isinstance(value, str) else str(value)
    if not text:
        raise KeyFieldError("A field of a key is empty: every field needs a value.")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise KeyFieldError(f"A field of a key is {text!r}, which is not valid Unicode.") from None


@dataclass(frozen=True)
class Pattern:
    """A key pattern, such as `portfolio:{id}:history:{period}`."""

    text: str

    def __post_init__(self) -> None:
        """Refuse what would give one key for two fillings."""
        if len(set(self.fields)) != len(self.fields):
            raise DeclarationError(f"The key pattern {self.text} has a field twice.")
        for between in self._parts[2:-1:2]:
            if _UNRESERVED.fullmatch(between):
                raise DeclarationError(
                    f"The key pattern {self.text} has two fields that nothing separates:"
                    " put a colon between them."
                )

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """The names of its fields, in their order."""
        return tuple(self._parts[1::2])

    @cached_property
    def head(self) -> str:
        """What stands before the first field."""
        return self._parts[0]

    def bound(self, field: str, value: str) -> "Pattern":
        """This pattern with one field filled for good."""
        return Pattern(self.text.replace(f"{{{field}}}", escaped(value)))

    def filled(self, values: Mapping[str, object]) -> str:
        """The key for these values, of which there may be more than fields.

        Raises KeyFieldError where one is missing or has no one spelling.
        """
        text = self.head
        try:
            for field, after in self.steps:
                text += escaped(values[field]) + after
            return text
        except KeyError as error:
            raise KeyFieldError(f"The key {self.text} needs the field {error}.") from None

    def spelled(self, values: Mapping[str, str]) -> str:
        """The key for fields that are escaped already."""
        return "".join(
            values[part] if index % 2 else part for index, part in enumerate(self._parts)
        )

    def holds(self, key: str) -> bool:
        """Whether the key is a filling of this pattern."""
        return self._expression.fullmatch(key) is not None

    def first_field(self, key: str) -> str | None:
        """The first field of a key of this pattern as it is spelled there; None for others."""
        found = self._expression.fullmatch(key)
        return found[1] if found and self.fields else None

    @cached_property
    def steps(self) -> tuple[tuple[str, str], ...]:
        """Each field, and the text behind it."""
        return tuple(zip(self._parts[1::2], self._parts[2::2], strict=True))

    @cached_property
    def _parts(self) -> list[str]:
        return _FIELD.split(self.text)

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile(
            "".join(
                "([A-Za-z0-9_.~%-]+)" if index % 2 else re.escape(part)
                for index, part in enumerate(self._parts)
            )
        )
