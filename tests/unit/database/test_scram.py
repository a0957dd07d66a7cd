"""Verifiers are those of the RFCs, recognise their password, and give none away."""

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.database.scram import PasswordError, make_verifier, verifier_matches

SALT = bytes(range(16))
passwords = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40)


def test_the_server_key_signs_the_example_of_rfc_7677() -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    exchange = (
        "n=user,r=rOprNGfwEbeRWgbNEkqO,"
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    server_key = base64.b64decode(make_verifier("pencil", salt).rpartition(":")[2])
    signature = hmac.digest(server_key, exchange.encode(), "sha256")
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@given(passwords, passwords, st.binary(min_size=1, max_size=32), st.integers(1, 64))
def test_a_verifier_matches_its_own_password_only(
    password: str, other: str, salt: bytes, iterations: int
) -> None:
    verifier = make_verifier(password, salt, iterations)
    assert verifier_matches(verifier, password)
    assert verifier_matches(verifier, other) is (other == password)


@given(st.text())
def test_what_is_no_verifier_matches_nothing(text: str) -> None:
    assert not verifier_matches(text, "password")


@pytest.mark.parametrize(
    "verifier",
    [
        "md5a1b2c3d4e5f60718293a4b5c6d7e8f90",
        "SCRAM-SHA-256$4096:===$AAAA:AAAA",
        "SCRAM-SHA-256$0:AAAA$AAAA:AAAA",
        make_verifier("password", SALT) + "A",
    ],
)
def test_a_damaged_or_older_verifier_matches_nothing(verifier: str) -> None:
    assert not verifier_matches(verifier, "password")


@pytest.mark.parametrize("password", ["", "pässword", "line\nfeed", "\x7f"])
def test_a_password_clients_could_read_differently_is_refused_unseen(password: str) -> None:
    with pytest.raises(PasswordError) as refused:
        make_verifier(password, SALT)
    assert not password or password not in str(refused.value)
