"""Patterns that name many keys at once, and what they cover of a layer.

Only `*` is special: it stands for any text up to the next colon, and at the end for everything
that follows.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from stellwerk.caching.keys import WILDCARD, Pattern

_ANY_VALUE = "\0"
"""Stands for every value of a field: in a glob, only a wildcard can match it."""
_SOME_VALUE = "%2A"
"""A value of a field that no fixed part of a key has."""
_FIELD_TEXT = re.compile(r"[A-Za-z0-9_.~%-]+")


class Extent(Enum):
    """How much of a layer a glob covers."""

    NOTHING = "nothing"
    KEY = "one key"
    ENTITY = "all keys of one first field"
    LAYER = "all keys"
    PART = "some keys, which must be looked for"


@dataclass(frozen=True)
class Coverage:
    """What a glob covers of one layer; `value` is the key or the first field, where there is one.

    The first field is spelled as in a key.
    """

    extent: Extent
    value: str = ""


def coverage(glob: str, pattern: Pattern, others: Sequence[Pattern] = ()) -> Coverage:
    """What `glob` covers of the keys of `pattern`, without those that are keys of `others`."""
    stem = glob.partition(WILDCARD)[0][: len(pattern.head)]
    if not pattern.head.startswith(stem):
        return Coverage(Extent.NOTHING)
    if any(other.holds(glob.replace(WILDCARD, _SOME_VALUE)) for other in others):
        return Coverage(Extent.NOTHING)
    if WILDCARD not in glob:
        return Coverage(Extent.KEY, glob) if pattern.holds(glob) else Coverage(Extent.NOTHING)
    anything = dict.fromkeys(pattern.fields, _ANY_VALUE)
    if matches(glob, pattern.spelled(anything)):
        return Coverage(Extent.LAYER)
    first = _FIELD_TEXT.match(glob, len(pattern.head)) if glob.startswith(pattern.head) else None
    if first and pattern.fields and not glob.startswith(WILDCARD, first.end()):
        entity = anything | {pattern.fields[0]: first[0]}
        if matches(glob, pattern.spelled(entity)):
            return Coverage(Extent.ENTITY, first[0])
    met = _may_meet(glob, pattern.spelled(anything))
    return Coverage(Extent.PART if met else Extent.NOTHING)


def matches(glob: str, key: str) -> bool:
    """Whether the glob names this key."""
    stem = glob.removesuffix(WILDCARD)
    if WILDCARD not in stem:
        # The usual ones, all of an id, are each new: an expression takes 0.2 ms to compile.
        return key == glob if stem == glob else key.startswith(stem)
    return _expression(glob).fullmatch(key) is not None


def for_redis(glob: str) -> str:
    """The glob as SCAN wants it, with what is special only there escaped."""
    return re.sub(r"([\[\]?\\^])", r"\\\1", glob)


@lru_cache(maxsize=1024)
def _expression(glob: str) -> re.Pattern[str]:
    stem = glob.removesuffix(WILDCARD)
    end = ".*" if stem != glob else ""
    middle = "[^:]*".join(re.escape(part) for part in stem.split(WILDCARD))
    return re.compile(middle + end, re.DOTALL)


def _may_meet(glob: str, shape: str) -> bool:
    """Whether some filling of the shape, in which _ANY_VALUE stands for any field, is named."""
    reachable = _past_fields(shape, {0})
    for index, character in enumerate(glob):
        if character == WILDCARD:
            if index == len(glob) - 1:
                return True
            reachable = {
                position
                for at in reachable
                for position in range(at, (shape + ":").index(":", at) + 1)
            }
        else:
            reachable = {
                after
                for at in reachable
                if at < len(shape)
                for after in _steps(shape, at, character)
            }
        reachable = _past_fields(shape, reachable)
        if not reachable:
            return False
    return len(shape) in reachable


def _steps(shape: str, at: int, character: str) -> tuple[int, ...]:
    if shape[at] == _ANY_VALUE:
        return (at,) if _FIELD_TEXT.fullmatch(character) else ()
    return (at + 1,) if shape[at] == character else ()


def _past_fields(shape: str, reachable: set[int]) -> set[int]:
    """The positions, and those behind a field that may have ended there."""
    return reachable | {at + 1 for at in reachable if at < len(shape) and shape[at] == _ANY_VALUE}
