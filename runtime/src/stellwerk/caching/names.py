"""The names of everything the cache keeps in Redis beside the entries themselves."""

from typing import Final

_PREFIX: Final = "stellwerk:"

STREAM: Final = f"{_PREFIX}invalidations"
COUNTER: Final = f"{_PREFIX}invalidations:count"
TOTALS: Final = f"{_PREFIX}totals"
"""What all processes counted."""
ACCOUNTS: Final = f"{_PREFIX}account:"
"""The prefix of all layers' accounts."""


def stamp(layer: str, entity: str = "") -> str:
    """Of a layer, or of the entries of it that share a first field."""
    return f"{_PREFIX}stamp:{layer}:{entity}" if entity else f"{_PREFIX}stamp:{layer}"


def guard(layer: str) -> str:
    """Of the loads under way in a layer; entries do not carry it."""
    return f"{_PREFIX}guard:{layer}"


def tag(name: str) -> str:
    """The stamp of a tag."""
    return f"{_PREFIX}tag:{name}"


def tagged(name: str) -> str:
    """The index of a tag's entries."""
    return f"{_PREFIX}tagged:{name}"


def lease(key: str) -> str:
    """Of the load of an entry."""
    return f"{_PREFIX}lease:{key}"


def wake(key: str) -> str:
    """The channel of those who wait for an entry."""
    return f"{_PREFIX}wake:{key}"


def schedule(name: str) -> str:
    """Up to which time a schedule was carried out."""
    return f"{_PREFIX}schedule:{name}"


def account(layer: str) -> str:
    """The prefix of a layer's accounts."""
    return f"{ACCOUNTS}{layer}"
