"""The Lua scripts, which Redis runs one at a time and as a whole. Their texts are in lua/."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha1
from importlib.resources import files
from typing import Final


@dataclass(frozen=True)
class Script:
    """A script; Redis knows it by its digest once it was loaded."""

    source: str

    @cached_property
    def digest(self) -> str:
        """What EVALSHA takes."""
        return sha1(self.source.encode(), usedforsecurity=False).hexdigest()


def _text(name: str) -> str:
    return (files("stellwerk.caching") / "lua" / f"{name}.lua").read_text("utf-8")


_COMMON: Final = _text("common")

LEASE: Final = Script(_COMMON + _text("lease"))
STORE: Final = Script(_COMMON + _text("store"))
WRITE: Final = Script(_COMMON + _text("write"))
INVALIDATE: Final = Script(_COMMON + _text("invalidate"))
RECLAIM: Final = Script(_COMMON + _text("reclaim"))
CONFIRM: Final = Script(_COMMON + _text("confirm"))
RENEW: Final = Script(_text("renew"))
RELEASE: Final = Script(_text("release"))
RATE: Final = Script(_text("rate"))
ADD: Final = Script(_text("add"))

SCRIPTS: Final = (LEASE, STORE, WRITE, INVALIDATE, RECLAIM, CONFIRM, RENEW, RELEASE, RATE, ADD)
