"""SCRAM-SHA-256 verifiers as PostgreSQL stores them (RFC 5802, RFC 7677), made and checked here.

With them SQL never carries a password, and an unchanged password is recognised.
"""

import base64
import binascii
import hashlib
import hmac
import re
from typing import Final

DEFAULT_ITERATIONS: Final = 4096
"""What RFC 7677 asks for at least, and PostgreSQL's own default."""

_VERIFIER: Final = re.compile(
    r"SCRAM-SHA-256\$(?P<iterations>[1-9]\d{0,6}):(?P<salt>[A-Za-z0-9+/=]+)"
    r"\$(?P<stored>[A-Za-z0-9+/=]+):(?P<server>[A-Za-z0-9+/=]+)"
)


class PasswordError(ValueError):
    """A password that cannot be turned into a verifier; the message never contains it."""


def make_verifier(password: str, salt: bytes, iterations: int = DEFAULT_ITERATIONS) -> str:
    """The text PostgreSQL stores for `password`.

    Raises `PasswordError` unless it consists of printable ASCII characters: for these SASLprep
    changes nothing, so every client computes the same.
    """
    if not password or not all(" " <= character <= "~" for character in password):
        raise PasswordError(
            "A PostgreSQL password must be non-empty printable ASCII, as clients normalise other "
            "characters differently: generate another one."
        )
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored_key = hashlib.sha256(_keyed(salted, b"Client Key")).digest()
    server_key = _keyed(salted, b"Server Key")
    return f"SCRAM-SHA-256${iterations}:{_base64(salt)}${_base64(stored_key)}:{_base64(server_key)}"


def verifier_matches(verifier: str, password: str) -> bool:
    """Whether `verifier` is a SCRAM-SHA-256 verifier of `password`; md5 hashes never are.

    Raises `PasswordError` as `make_verifier` does.
    """
    match = _VERIFIER.fullmatch(verifier)
    if match is None:
        return False
    try:
        salt = base64.b64decode(match["salt"], validate=True)
    except binascii.Error:
        return False
    expected = make_verifier(password, salt, int(match["iterations"]))
    return hmac.compare_digest(expected, verifier)


def _keyed(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
