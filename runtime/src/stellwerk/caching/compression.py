"""Smaller values: lz4 or zstd above a size, and only where it helps."""

import struct
from dataclasses import dataclass
from enum import IntEnum
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

import lz4.block

from stellwerk.caching.errors import DeclarationError, UnreadableError
from stellwerk.settings.caching import Compression

_WORTH_IT: Final = 0.9
"""A compressed value must be at most this share of the plain one."""
_LENGTH = struct.Struct("<I")
_MAX_BYTES: Final = 512 * 1024**2
"""What Redis takes as one value; a length above it cannot be true."""

_lz4: Any = lz4.block
_zstandard: Any = import_module("zstandard") if find_spec("zstandard") else None
"""Optional: 5 MB of wheel that only a layer with this compression needs."""


class Algorithm(IntEnum):
    """How a stored value is compressed; the numbers are in stored values."""

    NONE = 0
    LZ4 = 1
    ZSTD = 2


@dataclass(frozen=True)
class Compressor:
    """Compresses values above a size in bytes."""

    algorithm: Algorithm
    above: int

    def compress(self, data: bytes) -> tuple[Algorithm, bytes]:
        """The smaller form, and which it is."""
        if self.algorithm is Algorithm.NONE or len(data) <= self.above:
            return Algorithm.NONE, data
        smaller = _compressed(self.algorithm, data)
        if len(smaller) > _WORTH_IT * len(data):
            return Algorithm.NONE, data
        return self.algorithm, smaller


def compressor(settings: Compression, *, wanted: bool) -> Compressor:
    """What compresses the values of a layer. Raises DeclarationError where it is not installed."""
    algorithm = Algorithm[settings.algorithm.upper()] if wanted else Algorithm.NONE
    if algorithm is Algorithm.ZSTD and _zstandard is None:
        raise DeclarationError(
            "caching.compression.algorithm is zstd, which is not installed: install stellwerk[zstd]"
            " beside the program, or take lz4."
        )
    return Compressor(algorithm, settings.above)


def decompressed(algorithm: Algorithm, data: bytes) -> bytes:
    """The plain form. Raises UnreadableError."""
    if algorithm is Algorithm.NONE:
        return data
    try:
        if algorithm is Algorithm.ZSTD:
            return _zstd_decompressed(data)
        (length,) = _LENGTH.unpack_from(data)
        if length > _MAX_BYTES:
            raise UnreadableError("malformed")
        plain: bytes = _lz4.decompress(data)
    except (ValueError, struct.error, _lz4.LZ4BlockError, MemoryError):
        raise UnreadableError("malformed") from None
    return plain


def _zstd_decompressed(data: bytes) -> bytes:
    if _zstandard is None:
        raise UnreadableError("foreign")
    try:
        if not 0 <= _zstandard.frame_content_size(data) <= _MAX_BYTES:
            raise UnreadableError("malformed")
        plain: bytes = _zstandard.ZstdDecompressor().decompress(data)
    except _zstandard.ZstdError:
        raise UnreadableError("malformed") from None
    return plain


def _compressed(algorithm: Algorithm, data: bytes) -> bytes:
    if algorithm is Algorithm.ZSTD:
        packed: bytes = _zstandard.ZstdCompressor(level=3).compress(data)
        return packed
    smaller: bytes = _lz4.compress(data)
    return smaller
