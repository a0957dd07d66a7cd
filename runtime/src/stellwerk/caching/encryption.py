"""Encrypted values: AES-256-GCM, with the name of the key in front, so that keys can change.

The Redis key is authenticated along: a value that was moved to another key does not open.
"""

import binascii
import os
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stellwerk.caching.errors import DeclarationError, UnreadableError
from stellwerk.settings.caching import Encryption
from stellwerk.settings.types import Secret

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class Keyring:
    """The key that new values are sealed with, and those that older ones open with."""

    def __init__(self, present: str, keys: Mapping[str, bytes]) -> None:
        self._present = present
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """The value encrypted and bound to `context`."""
        nonce = os.urandom(_NONCE_BYTES)
        name = self._present.encode()
        sealed = self._ciphers[self._present].encrypt(nonce, plain, context)
        return bytes([len(name)]) + name + nonce + sealed

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """The plain value. Raises UnreadableError: altered, of another context or key."""
        name_end = 1 + (sealed[0] if sealed else 0)
        nonce_end = name_end + _NONCE_BYTES
        cipher = self._ciphers.get(sealed[1:name_end].decode("ascii", "replace"))
        if cipher is None:
            raise UnreadableError("unknown key")
        try:
            return cipher.decrypt(sealed[name_end:nonce_end], sealed[nonce_end:], context)
        except (InvalidTag, ValueError):
            raise UnreadableError("altered") from None


def keyring(settings: Encryption) -> Keyring:
    """The keys of the settings.

    Raises DeclarationError where the present one is missing or one is not a key.
    """
    if not settings.key.given:
        raise DeclarationError(
            "A cache is encrypted but caching.encryption.key is not given: set it in the secrets."
        )
    secrets = {settings.key_id: settings.key, **settings.previous_keys}
    return Keyring(settings.key_id, {name: _key(name, secret) for name, secret in secrets.items()})


def _key(name: str, secret: Secret) -> bytes:
    try:
        text = secret.get_secret_value().rstrip("=")
        key = urlsafe_b64decode(text + "=" * (-len(text) % 4))  # one that is generated has none
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise DeclarationError(
            f"The encryption key {name} of the cache is not {_KEY_BYTES} bytes in URL-safe base64."
        )
    return key
