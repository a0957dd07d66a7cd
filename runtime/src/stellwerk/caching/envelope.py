"""The form of a stored value: what it is, when it was made, and whether it is whole.

    write id 8 | magic 2 | form 1 | flags 1 | schema 4 | made 8 | lifetime 8 | tags | body | CRC 4

Integers are little-endian; `made` is milliseconds of the server's clock, `lifetime` milliseconds.
The checksum, over the Redis key too, is replaced by the cipher's own in an encrypted one. The
stamps in front of an envelope are the business of `stored`.
"""

import os
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from zlib import crc32

import msgspec

from stellwerk.caching.codec import Codec
from stellwerk.caching.compression import Algorithm, Compressor, decompressed
from stellwerk.caching.encryption import Keyring
from stellwerk.caching.errors import KeyFieldError, UnreadableError

WRITE_ID_BYTES: Final = 8
_MAGIC: Final = b"sw"
_FORM: Final = 1
_KIND = struct.Struct("<2sBB4s")
_HEAD = struct.Struct(f"<{WRITE_ID_BYTES}s{_KIND.size}sQQB")
_CHECKSUM = struct.Struct("<I")
_CHECKSUM_BYTES: Final = _CHECKSUM.size
_HEAD_BYTES: Final = _HEAD.size
_unpack_head = _HEAD.unpack_from
_CHECKED: Final = 0x2144DF1C
"""The CRC-32 of whatever has its own CRC-32 at the end."""
_TAG_BYTES_MAX: Final = 255
_TAGS_MAX: Final = 200
"""Stamps in front of an entry are counted in a byte, and others are there too."""

_PLAIN: Final = Algorithm.NONE
"""By this name as reading it from the Enum takes 0.15 µs (Python 3.11), of some 3 to open one."""
_ENCRYPTED: Final = 4
"""Flag of an encrypted body; the two bits below are its Algorithm."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A value as it was read. Times in milliseconds of the server's clock."""

    value: Any
    made: int
    lifetime: int
    write_id: bytes = b""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sealer:
    """Makes and opens the envelopes of one layer."""

    codec: Codec
    compressor: Compressor
    keyring: Keyring | None = None

    def seal(self, key: str, entry: Entry) -> bytes:
        """The envelope of an entry at `key`.

        Raises UnsupportedValueError, and KeyFieldError for tags too long or too many.
        """
        if len(entry.tags) > _TAGS_MAX:
            raise KeyFieldError(f"An entry has {len(entry.tags)} tags: {_TAGS_MAX} are possible.")
        algorithm, body = self.compressor.compress(self.codec.encode(entry.value))
        write_id, kind = entry.write_id or os.urandom(WRITE_ID_BYTES), self._kind(algorithm)
        head = _HEAD.pack(write_id, kind, entry.made, entry.lifetime, len(entry.tags))
        head += b"".join(map(_packed_tag, entry.tags))
        if self.keyring:
            return head + self.keyring.seal(body, key.encode() + b"\0" + head)
        content = head + body
        return content + _CHECKSUM.pack(crc32(content, crc32(key.encode())))

    def open(self, key: str, data: bytes) -> Entry:
        """The entry of an envelope.

        Raises UnreadableError where it is not a whole one of this layer and key.
        """
        if len(data) < _HEAD_BYTES:
            raise UnreadableError("truncated")
        write_id, kind, made, lifetime, tag_count = _unpack_head(data)
        algorithm = self._algorithms.get(kind)
        if algorithm is None:
            raise UnreadableError("foreign")
        if self.keyring is None and crc32(data, crc32(key.encode())) != _CHECKED:
            raise UnreadableError("altered")
        tags: tuple[str, ...] = ()
        start = _HEAD_BYTES
        if tag_count:
            tags, start = _tags(data, tag_count)
        if self.keyring is None:
            body = data[start:-_CHECKSUM_BYTES]
        else:
            body = self.keyring.open(data[start:], key.encode() + b"\0" + data[:start])
        if algorithm is not _PLAIN:
            body = decompressed(algorithm, body)
        return Entry(self.codec.decode(body), made, lifetime, write_id, tags)

    def _kind(self, algorithm: Algorithm) -> bytes:
        flags = int(algorithm) | (_ENCRYPTED if self.keyring else 0)
        return _KIND.pack(_MAGIC, _FORM, flags, self.codec.schema)

    @cached_property
    def _algorithms(self) -> dict[bytes, Algorithm]:
        """The compressions that can be read, by the kind of envelope that says so."""
        return {self._kind(algorithm): algorithm for algorithm in Algorithm}


def _packed_tag(tag: str) -> bytes:
    name = tag.encode()
    if not 0 < len(name) <= _TAG_BYTES_MAX:
        raise KeyFieldError(
            f"The tag {tag!r} is not 1 to {_TAG_BYTES_MAX} bytes long: choose another."
        )
    return bytes([len(name)]) + name


def _tags(data: bytes, count: int) -> tuple[tuple[str, ...], int]:
    """The names of the tags and where the body begins."""
    names, at = [], _HEAD.size
    try:
        for _ in range(count):
            names.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
    except (IndexError, UnicodeDecodeError):
        raise UnreadableError("truncated") from None
    return tuple(names), at
