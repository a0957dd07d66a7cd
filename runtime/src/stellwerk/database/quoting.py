"""The one place where names and texts become part of SQL."""

from typing import Final

_IDENTIFIER_BYTES: Final = 63  # NAMEDATALEN - 1: PostgreSQL silently cuts what is longer


class QuotingError(ValueError):
    """A name or text that PostgreSQL cannot hold."""


def quote_identifier(name: str) -> str:
    """Return `name` as a quoted SQL identifier.

    Raises `QuotingError` for an empty name, one over 63 bytes, or one with a NUL byte.
    """
    if not name or "\x00" in name or len(_encoded(name)) > _IDENTIFIER_BYTES:
        raise QuotingError(
            f"{name!r} cannot name anything in PostgreSQL: use 1 to {_IDENTIFIER_BYTES} bytes "
            "without NUL."
        )
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """Return `text` as a quoted SQL literal, whatever standard_conforming_strings says.

    Raises `QuotingError` for a NUL byte, which PostgreSQL's text cannot hold.
    """
    if "\x00" in text:
        raise QuotingError("PostgreSQL's text cannot hold a NUL byte: remove it.")
    _encoded(text)
    quoted = "'" + text.replace("'", "''") + "'"
    if "\\" in quoted:
        return "E" + quoted.replace("\\", "\\\\")
    return quoted


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise QuotingError(
            f"{text!r} is no valid Unicode text: remove the lone surrogate."
        ) from error
