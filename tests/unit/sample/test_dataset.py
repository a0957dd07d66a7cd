"""The generated data."""

from collections import Counter, defaultdict
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stellwerk.sample.dataset import Amounts, Dataset, generate

SMALL = Amounts(users=3, assets=20, portfolios=10, trades_per_portfolio=100)


@pytest.fixture(scope="module")
def full() -> Dataset:
    return generate(1)


def test_the_amounts_are_those_of_the_specification(full: Dataset) -> None:
    assert len(full.users) == 100
    assert len(full.assets) == 500
    assert len(full.portfolios) == 1000
    assert set(Counter(trade.portfolio_id for trade in full.trades).values()) == {100}
    assert len({trade.portfolio_id for trade in full.trades}) == 1000


def test_symbols_are_unique_and_the_warmed_ones_are_among_them(full: Dataset) -> None:
    symbols = [asset.symbol for asset in full.assets]
    assert len(set(symbols)) == 500
    assert {"AAPL", "MSFT", "GOOGL", "AMZN", "TSLA"} <= set(symbols)


def test_every_user_has_portfolios(full: Dataset) -> None:
    assert {portfolio.user_id for portfolio in full.portfolios} == {u.id for u in full.users}


def test_the_same_seed_makes_the_same_rows() -> None:
    assert generate(7, SMALL) == generate(7, SMALL)
    assert generate(7, SMALL) != generate(8, SMALL)


def test_the_rows_of_seed_1_stay_as_they_are() -> None:
    """A change here needs a new FORMAT, so that hosts replace their data."""
    data = generate(1, SMALL)
    assert data.assets[0].price_eur == Decimal("481.6597")
    assert data.portfolios[0].initial_value_eur == Decimal("84676.00")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31 - 1))
def test_money_adds_up(seed: int) -> None:
    data = generate(seed, SMALL)
    prices = {asset.id: asset.price_eur for asset in data.assets}
    for portfolio in data.portfolios:
        cash, holdings = portfolio.initial_value_eur, defaultdict[int, Decimal](Decimal)
        for trade in data.trades:
            if trade.portfolio_id != portfolio.id:
                continue
            bought = trade.quantity if trade.side == "buy" else -trade.quantity
            cash -= bought * trade.price_eur
            holdings[trade.asset_id] += bought
            assert cash >= 0
            assert holdings[trade.asset_id] >= 0
            assert trade.quantity > 0
            assert trade.price_eur > 0
        value = cash + sum(quantity * prices[asset] for asset, quantity in holdings.items())
        assert abs(portfolio.current_value_eur - value) <= Decimal("0.005")


def test_trades_follow_their_portfolio_in_time_on_weekdays() -> None:
    data = generate(3, SMALL)
    created = {portfolio.id: portfolio.created_at for portfolio in data.portfolios}
    times = defaultdict(list)
    for trade in data.trades:
        assert trade.executed_at > created[trade.portfolio_id]
        assert trade.executed_at.weekday() < 5
        times[trade.portfolio_id].append(trade.executed_at)
    assert all(moments == sorted(moments) for moments in times.values())
