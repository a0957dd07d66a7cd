"""Who on this host uses which password of Redis and Sentinel, told by digests.

A unit gets them by LoadCredential= under a name that begins with `redis.` or `sentinel.`: systemd
keeps beside it what it was started with, so that a unit that still has to be restarted is seen.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import redis, redis_users
from .paths import CREDENTIALS

PATTERNS = ("redis.*", "sentinel.*")
UNITS = Path("/run/credentials")


def state() -> dict[str, Any]:
    """`accepted` by the Redis servers per user, and `used`: by a file or a unit, per digest."""
    used: dict[str, list[str]] = {}
    for path, holder in _holders():
        try:
            digest = redis.secret_digest(path.read_text().rstrip("\r\n"))
        except (OSError, UnicodeDecodeError):
            continue  # a unit that stops takes its credentials with it
        used.setdefault(digest, []).append(holder)
    return {"accepted": redis_users.accepted(), "used": used}


def _holders() -> Iterator[tuple[Path, str]]:
    """Each password's file, with whom it stands for: a unit, or a file that is read when needed."""
    for pattern in PATTERNS:
        for path in sorted(CREDENTIALS.glob(pattern)):
            yield path, str(path)
        for path in sorted(UNITS.glob(f"*/{pattern}")):
            yield path, path.parent.name
