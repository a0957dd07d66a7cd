"""What a request asks for: its parameters as types, and the cache key and lifetime of its answer.
No I/O.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Final

from stellwerk.sample.configuration import MAX_DELAY_MS, Load

_LARGEST_ID = 2**63 - 1  # PostgreSQL's bigint
LARGEST_LIMIT: Final = 1000
_SYMBOL = re.compile(r"[A-Z0-9.]{1,12}")
_LOAD_PARAMETERS = frozenset({"cpu_ms", "delay_ms", "error"})


class QueryError(Exception):
    """A request's parameters are wrong; the message is one sentence for its sender."""


@dataclass(frozen=True)
class PortfolioQuery:
    """The portfolios of one user, or of all."""

    user_id: int | None = None
    limit: int = 50


@dataclass(frozen=True)
class AssetQuery:
    """One asset by its symbol, or all."""

    symbol: str | None = None


@dataclass(frozen=True)
class TradeQuery:
    """The newest trades of one portfolio, or of all."""

    portfolio_id: int | None = None
    limit: int = 100


Query = PortfolioQuery | AssetQuery | TradeQuery
Parameters = Mapping[str, str]


@dataclass(frozen=True)
class Collection:
    """One kind of answer: its name in the path and the JSON, its lifetime in the cache, how it is
    asked for.
    """

    name: str
    lifetime_seconds: int
    parameters: frozenset[str]
    parse: Callable[[Parameters], Query]


def parameters(items: Iterable[tuple[str, str]], allowed: frozenset[str]) -> dict[str, str]:
    """The parameters of a query string, each known and given once. Raises QueryError."""
    found: dict[str, str] = {}
    for name, value in items:
        if name not in allowed:
            known = ", ".join(sorted(allowed)) or "none"
            raise QueryError(f"The parameter {name!r} is unknown here; known: {known}.")
        if name in found:
            raise QueryError(f"The parameter {name!r} is given more than once.")
        found[name] = value
    return found


def load_parameters(switches_on: bool) -> frozenset[str]:
    """The parameters that set a request's own load; none unless the switches are on."""
    return _LOAD_PARAMETERS if switches_on else frozenset()


def load_of(given: Parameters, default: Load) -> Load:
    """The load of one request: what it asks for, else the default. Raises QueryError."""
    load = replace(
        default,
        cpu_ms=_milliseconds(given, "cpu_ms", default.cpu_ms),
        delay_ms=_milliseconds(given, "delay_ms", default.delay_ms),
    )
    if "error" not in given:
        return load
    if given["error"] not in ("0", "1"):
        raise QueryError(f"error is {given['error']!r}: it must be 0 or 1.")
    return replace(load, error_share=float(given["error"]))


@dataclass(frozen=True)
class Question:
    """What a service is asked."""

    service: str
    collection: Collection
    query: Query

    @property
    def key(self) -> str:
        """`api:{service}:{endpoint}:{params_hash}`, the api_response cache's key pattern
        (specification 3.2).
        """
        digest = hashlib.sha256(repr(astuple(self.query)).encode()).hexdigest()[:32]
        return f"api:{self.service}:{self.collection.name}:{digest}"


def _portfolio_query(given: Parameters) -> PortfolioQuery:
    return PortfolioQuery(_identifier(given, "user_id"), _limit(given, PortfolioQuery.limit))


def _asset_query(given: Parameters) -> AssetQuery:
    symbol = given.get("symbol")
    if symbol is None:
        return AssetQuery()
    if not _SYMBOL.fullmatch(symbol.upper()):
        raise QueryError(
            f"symbol is {symbol!r}: it must be 1 to 12 letters, digits or dots, as in AAPL."
        )
    return AssetQuery(symbol.upper())


def _trade_query(given: Parameters) -> TradeQuery:
    return TradeQuery(_identifier(given, "portfolio_id"), _limit(given, TradeQuery.limit))


def _identifier(given: Parameters, name: str) -> int | None:
    return whole(name, given[name], 1, _LARGEST_ID) if name in given else None


def _limit(given: Parameters, default: int) -> int:
    return whole("limit", given["limit"], 1, LARGEST_LIMIT) if "limit" in given else default


def whole(name: str, text: str, low: int, high: int) -> int:
    """A whole number within bounds. Raises QueryError."""
    # The length is checked first, as int() refuses thousands of digits with an error of its own.
    plain = text.isascii() and text.isdecimal() and len(text) <= len(str(high))
    if not plain or not low <= int(text) <= high:
        raise QueryError(
            f"{name} is {text[:40]!r}: it must be a whole number from {low} to {high}."
        )
    return int(text)


def _milliseconds(given: Parameters, name: str, default: float) -> float:
    if name not in given:
        return default
    try:
        value = float(given[name])
    except ValueError:
        value = -1.0
    if not 0 <= value <= MAX_DELAY_MS:
        raise QueryError(
            f"{name} is {given[name][:40]!r}: it must be milliseconds from 0 to {MAX_DELAY_MS:g}."
        )
    return value


# Lifetimes from specification 3.2; trades move more than portfolios, so theirs is the cache's
# general 60 s.
COLLECTIONS: Final = (
    Collection("portfolios", 300, frozenset({"user_id", "limit"}), _portfolio_query),
    Collection("assets", 600, frozenset({"symbol"}), _asset_query),
    Collection("trades", 60, frozenset({"portfolio_id", "limit"}), _trade_query),
)
"""Every collection; answered under /api/NAME."""
