"""Reading what the kernel says of itself in files, such as those of /proc: many, small and often.

Without what Python's file objects bring along, which costs several times as much as the kernel.
"""

import os
from typing import Final

_READ_BYTES: Final = 8192
_SHORT: Final = 2048  # the kernel gives half a page at least as long as there is more


def read(path: str) -> bytes:
    """All of a file of the kernel. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        whole = part = os.read(descriptor, _READ_BYTES)
        while len(part) > _SHORT:
            part = os.read(descriptor, _READ_BYTES)
            whole += part
        return whole
    finally:
        os.close(descriptor)
