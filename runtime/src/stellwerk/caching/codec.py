"""Values to MessagePack and back: by a layer's type where it names one, else by extension types.

Never pickle: reading a value runs no code of whoever wrote it.
"""

from functools import partial
from hashlib import blake2b
from typing import Any, Final, Protocol

import msgspec

from stellwerk.caching.copying import Copier, container_copier
from stellwerk.caching.errors import UnreadableError, UnsupportedValueError
from stellwerk.caching.extensions import prepared, restored

SCHEMA_BYTES: Final = 4
_UNSTORABLE = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
_PARSING = (ValueError, TypeError, LookupError, RecursionError, msgspec.MsgspecError)


class Codec(Protocol):
    """Turns values into bytes and back."""

    @property
    def schema(self) -> bytes:
        """What tells this form of values from others, SCHEMA_BYTES long."""

    def encode(self, value: Any) -> bytes:
        """The bytes. Raises UnsupportedValueError."""

    def decode(self, data: bytes) -> Any:
        """The value. Raises UnreadableError."""

    def copier(self, value: Any) -> Copier:
        """What makes copies of the value as it is now, such as would be decoded.

        Raises UnsupportedValueError.
        """


class _Decoding:
    """Reads what `_decoder` reads."""

    _decoder: msgspec.msgpack.Decoder[Any]

    def decode(self, data: bytes) -> Any:
        """The value. Raises UnreadableError."""
        try:
            return self._decoder.decode(data)
        except _PARSING:
            raise UnreadableError("malformed") from None


class FreeForm(_Decoding):
    """Any nesting of plain values, Decimal, dates and times, UUID, Enum, tuples and sets."""

    schema: Final = b"\0free"[:SCHEMA_BYTES]

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(ext_hook=restored)

    def encode(self, value: Any) -> bytes:
        """The bytes. Raises UnsupportedValueError."""
        try:
            return self._encoder.encode(prepared(value))
        except _UNSTORABLE as error:
            raise _unsupported(value, error) from error

    def copier(self, value: Any) -> Copier:
        """What makes copies of the value as it is now. Raises UnsupportedValueError."""
        return container_copier(value) or partial(self.decode, self.encode(value))


class Typed(_Decoding):
    """Values of one type, or None: a msgspec Struct, a dataclass, a list of these and so on.

    Read back as that type exactly; a change of the type makes older values unreadable, hence
    misses.
    """

    def __init__(self, kind: Any) -> None:
        self._encoder = msgspec.msgpack.Encoder(decimal_format="string")
        self._decoder = msgspec.msgpack.Decoder(kind | None)
        self.schema = _schema(kind)

    def encode(self, value: Any) -> bytes:
        """The bytes. Raises UnsupportedValueError."""
        try:
            return self._encoder.encode(value)
        except _UNSTORABLE as error:
            raise _unsupported(value, error) from error

    def copier(self, value: Any) -> Copier:
        """What makes copies of the value as it is now. Raises UnsupportedValueError."""
        # Always decoded: a loader may have returned what only becomes the type by that.
        return partial(self.decode, self.encode(value))


def codec_for(kind: Any | None) -> Codec:
    """The codec of a layer whose values are of type `kind`; None: of free form."""
    return FreeForm() if kind is None else Typed(kind)


def _unsupported(value: Any, error: Exception) -> UnsupportedValueError:
    return UnsupportedValueError(
        f"A value of type {type(value).__name__} cannot be stored: {error}."
    )


def _schema(kind: Any) -> bytes:
    try:
        described = msgspec.json.encode(msgspec.json.schema(kind), order="deterministic")
    except (TypeError, ValueError) as error:
        raise UnsupportedValueError(f"{kind} cannot be the type of a layer: {error}.") from error
    return blake2b(described, digest_size=SCHEMA_BYTES).digest()
