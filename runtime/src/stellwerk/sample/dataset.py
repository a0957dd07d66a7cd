"""The generated data: users, assets, portfolios and trades that fit together. Pure, and the same
for the same seed.

A portfolio starts as cash, its trades turn it into holdings and back, and its current value is what
is left of the cash plus the holdings at today's prices.
"""

import itertools
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from random import Random
from typing import Final, NamedTuple

FORMAT: Final = 1
"""Raised when the same seed makes other rows than before, so that old data is replaced."""

# The day of the baselines (specification 1.1). Fixed, as the data must not depend on when it is
# made.
_LAST_DAY = datetime(2024, 1, 15, tzinfo=UTC)
_DAYS_OF_HISTORY = 365
_MARKET_OPENS = timedelta(hours=8)
_MARKET_SECONDS = int(timedelta(hours=8, minutes=30).total_seconds())

_KNOWN_COMPANIES = (
    ("AAPL", "Apple Inc."),
    ("MSFT", "Microsoft Corporation"),
    ("GOOGL", "Alphabet Inc."),
    ("AMZN", "Amazon.com Inc."),
    ("TSLA", "Tesla Inc."),
)
_SYMBOL_STRIDE = 7  # spreads the invented symbols over the alphabet; 26³ / 7 are more than enough
_SELL_SHARE = 0.35
_LARGEST_BUY = 0.01  # of the initial value, so that a hundred of them cannot overdraw the cash
# Sums are whole numbers: prices in 1/10 000 EUR, quantities in 1/10 000 of a share, and so money in
# 10⁻⁸ EUR.
_UNIT = 10_000
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class Amounts:
    """How many rows; the defaults are those of specification 1.4."""

    users: int = 100
    assets: int = 500
    portfolios: int = 1000
    trades_per_portfolio: int = 100


class User(NamedTuple):
    """A row of sample.users."""

    id: int
    name: str
    created_at: datetime


class Asset(NamedTuple):
    """A row of sample.assets."""

    id: int
    symbol: str
    name: str
    price_eur: Decimal


class Portfolio(NamedTuple):
    """A row of sample.portfolios."""

    id: int
    user_id: int
    name: str
    initial_value_eur: Decimal
    current_value_eur: Decimal
    created_at: datetime


class Trade(NamedTuple):
    """A row of sample.trades."""

    id: int
    portfolio_id: int
    asset_id: int
    side: str
    quantity: Decimal
    price_eur: Decimal
    executed_at: datetime


@dataclass(frozen=True)
class Dataset:
    """All rows, in the order in which foreign keys allow them to be written."""

    users: Sequence[User]
    assets: Sequence[Asset]
    portfolios: Sequence[Portfolio]
    trades: Sequence[Trade]


def generate(seed: int, amounts: Amounts = Amounts()) -> Dataset:
    """The rows of a seed. Money adds up exactly; the same on every Python, as only Random.random()
    is used.
    """
    courses = _courses(_random(seed, "assets"), amounts.assets)
    random = _random(seed, "portfolios")
    portfolios: list[Portfolio] = []
    trades: list[Trade] = []
    for identifier in range(1, amounts.portfolios + 1):
        initial = (10_000 + int(random.random() * 490_000)) * _UNIT * _UNIT
        depot = _Depot(cash=initial)
        trades += _trades(random, courses, depot, identifier, amounts.trades_per_portfolio)
        portfolios.append(
            Portfolio(
                id=identifier,
                user_id=1 + (identifier - 1) % amounts.users,
                name=f"Portfolio {identifier}",
                initial_value_eur=_euros(initial),
                current_value_eur=_euros(depot.value(courses)),
                created_at=_LAST_DAY - timedelta(days=_DAYS_OF_HISTORY),
            )
        )
    return Dataset(
        users=tuple(_users(amounts.users)),
        assets=tuple(course.asset for course in courses),
        portfolios=portfolios,
        trades=[trade._replace(id=number) for number, trade in enumerate(trades, 1)],
    )


@dataclass(frozen=True)
class _Course:
    """An asset and its price from the first to the last day, on a straight line with some noise."""

    asset: Asset
    first_price: int
    last_price: int

    def price(self, elapsed: float, noise: float) -> int:
        straight = self.first_price + (self.last_price - self.first_price) * elapsed
        return max(1, round(straight * (0.98 + 0.04 * noise)))


@dataclass
class _Depot:
    """What a portfolio consists of while its trades run. Holdings are quantities by the asset's
    place.
    """

    cash: int
    holdings: dict[int, int] = field(default_factory=dict)

    def buy(self, place: int, price: int, money: int) -> int:
        quantity = max(1, money // price)
        self.cash -= quantity * price
        self.holdings[place] = self.holdings.get(place, 0) + quantity
        return quantity

    def sell(self, place: int, price: int, share: float) -> int:
        held = self.holdings.pop(place)
        quantity = max(1, round(held * share))
        self.cash += quantity * price
        if quantity < held:
            self.holdings[place] = held - quantity
        return quantity

    def value(self, courses: Sequence[_Course]) -> int:
        held = sum(
            quantity * courses[place].last_price for place, quantity in self.holdings.items()
        )
        return self.cash + held


def _random(seed: int, purpose: str) -> Random:
    return Random(f"{seed}:{purpose}")  # noqa: S311 - invented trades, not secrets


def _users(count: int) -> Iterator[User]:
    since = _LAST_DAY - timedelta(days=2 * _DAYS_OF_HISTORY)
    for identifier in range(1, count + 1):
        yield User(identifier, f"Sample user {identifier}", since + timedelta(hours=identifier))


def _courses(random: Random, count: int) -> list[_Course]:
    invented = itertools.islice(
        itertools.product(string.ascii_uppercase, repeat=3), 0, None, _SYMBOL_STRIDE
    )
    companies = itertools.chain(
        _KNOWN_COMPANIES,
        ((symbol, f"Sample company {symbol}") for symbol in map("".join, invented)),
    )
    courses = []
    for identifier, (symbol, name) in enumerate(itertools.islice(companies, count), 1):
        last_price = round((5 + 495 * random.random()) * _UNIT)
        first_price = round(last_price * (0.7 + 0.6 * random.random()))
        asset = Asset(identifier, symbol, name, Decimal(last_price) / _UNIT)
        courses.append(_Course(asset, first_price, last_price))
    return courses


def _trades(
    random: Random, courses: Sequence[_Course], depot: _Depot, portfolio: int, count: int
) -> Iterator[Trade]:
    """The trades of one portfolio in the order of time; their numbers are given later."""
    initial = depot.cash
    for elapsed in sorted(random.random() for _ in range(count)):
        selling = bool(depot.holdings) and random.random() < _SELL_SHARE
        choice, part, noise = random.random(), random.random(), random.random()
        place = _chosen(tuple(depot.holdings), choice) if selling else int(choice * len(courses))
        price = courses[place].price(elapsed, noise)
        if selling:
            quantity = depot.sell(place, price, 0.25 + 0.75 * part)
        else:
            quantity = depot.buy(place, price, int(initial * _LARGEST_BUY * (0.1 + 0.9 * part)))
        yield Trade(
            id=0,
            portfolio_id=portfolio,
            asset_id=courses[place].asset.id,
            side="sell" if selling else "buy",
            quantity=Decimal(quantity) / _UNIT,
            price_eur=Decimal(price) / _UNIT,
            executed_at=_moment(elapsed),
        )


def _chosen(places: Sequence[int], choice: float) -> int:
    return places[int(choice * len(places))]


def _moment(elapsed: float) -> datetime:
    """The time in the year of history, on a weekday while the market is open."""
    weekday = elapsed * len(_WEEKDAYS)
    seconds = int((weekday % 1) * _MARKET_SECONDS)
    return _WEEKDAYS[int(weekday)] + _MARKET_OPENS + timedelta(seconds=seconds)


def _weekdays() -> tuple[datetime, ...]:
    days = (_LAST_DAY - timedelta(days=back) for back in range(_DAYS_OF_HISTORY - 1, 0, -1))
    return tuple(day for day in days if day.weekday() < 5)


_WEEKDAYS = _weekdays()


def _euros(money: int) -> Decimal:
    return (Decimal(money) / (_UNIT * _UNIT)).quantize(_CENT, ROUND_HALF_EVEN)
