"""Names and texts become SQL that means exactly them; libpq's own functions are the yardstick."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql

from stellwerk.database.quoting import QuotingError, quote_identifier, quote_literal

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))


@given(texts.filter(lambda name: 0 < len(name.encode()) <= 63))
def test_identifiers_are_quoted_as_libpq_does(name: str) -> None:
    assert quote_identifier(name) == sql.Identifier(name).as_string(None)


@given(texts)
def test_literals_are_quoted_as_libpq_does(text: str) -> None:
    assert quote_literal(text) == sql.Literal(text).as_string(None).strip()


@pytest.mark.parametrize("name", ["", "a\x00b", "x" * 64, "é" * 32, "\ud800"])
def test_names_postgresql_cannot_hold_are_refused(name: str) -> None:
    with pytest.raises(QuotingError):
        quote_identifier(name)


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_texts_postgresql_cannot_hold_are_refused(text: str) -> None:
    with pytest.raises(QuotingError):
        quote_literal(text)
