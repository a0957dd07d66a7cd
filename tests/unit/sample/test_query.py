"""What a query string asks for, and where its answer is kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.sample.configuration import Load
from stellwerk.sample.query import (
    COLLECTIONS,
    AssetQuery,
    PortfolioQuery,
    QueryError,
    Question,
    TradeQuery,
    load_of,
    load_parameters,
    parameters,
)

PORTFOLIOS, ASSETS, TRADES = COLLECTIONS


def test_parameters_become_queries() -> None:
    assert PORTFOLIOS.parse({"user_id": "7", "limit": "3"}) == PortfolioQuery(7, 3)
    assert ASSETS.parse({"symbol": "aapl"}) == AssetQuery("AAPL")
    assert TRADES.parse({"portfolio_id": "9"}) == TradeQuery(9, 100)


def test_no_parameters_ask_for_all() -> None:
    assert PORTFOLIOS.parse({}) == PortfolioQuery(None, 50)
    assert ASSETS.parse({}) == AssetQuery(None)
    assert TRADES.parse({}) == TradeQuery(None, 100)


def test_answers_live_as_long_as_the_specification_says() -> None:
    assert [collection.lifetime_seconds for collection in COLLECTIONS] == [300, 600, 60]


@pytest.mark.parametrize("text", ["0", "-1", "1.0", "", "٣", "x", "1001", "9" * 5000])
def test_a_limit_outside_its_bounds_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match="limit is"):
        PORTFOLIOS.parse({"limit": text})


@given(st.text())
def test_an_identifier_is_a_positive_bigint_or_refused(text: str) -> None:
    try:
        query = TRADES.parse({"portfolio_id": text})
    except QueryError:
        return
    assert isinstance(query, TradeQuery)
    assert query.portfolio_id is not None
    assert 1 <= query.portfolio_id < 2**63


@given(st.text())
def test_a_symbol_is_plain_or_refused(text: str) -> None:
    try:
        query = ASSETS.parse({"symbol": text})
    except QueryError:
        return
    assert isinstance(query, AssetQuery)
    assert query.symbol is not None
    assert query.symbol.replace(".", "a").isascii()
    assert query.symbol.replace(".", "a").isalnum()


def test_unknown_and_repeated_parameters_are_refused() -> None:
    allowed = frozenset({"limit"})
    assert parameters([("limit", "1")], allowed) == {"limit": "1"}
    with pytest.raises(QueryError, match="'limits' is unknown here; known: limit"):
        parameters([("limits", "1")], allowed)
    with pytest.raises(QueryError, match="more than once"):
        parameters([("limit", "1"), ("limit", "2")], allowed)


def test_a_request_sets_its_load_only_where_the_switches_are_on() -> None:
    assert load_parameters(switches_on=False) == frozenset()
    assert load_parameters(switches_on=True) == {"cpu_ms", "delay_ms", "error"}


def test_a_request_overrides_the_default_load() -> None:
    default = Load(cpu_ms=5, delay_ms=6, error_share=0.1)
    assert load_of({}, default) == default
    assert load_of({"cpu_ms": "1.5", "error": "1"}, default) == Load(1.5, 6, 1.0)


@pytest.mark.parametrize("given_load", [{"cpu_ms": "inf"}, {"delay_ms": "-1"}, {"error": "yes"}])
def test_a_wrong_load_is_refused(given_load: dict[str, str]) -> None:
    with pytest.raises(QueryError):
        load_of(given_load, Load())


def test_different_queries_have_different_keys() -> None:
    keys = {
        Question(service, collection, query).key
        for service in ("core", "broker")
        for collection, query in (
            (PORTFOLIOS, PortfolioQuery(1)),
            (PORTFOLIOS, PortfolioQuery(2)),
            (PORTFOLIOS, PortfolioQuery(1, 2)),
            (TRADES, TradeQuery(1)),
            (ASSETS, AssetQuery("AAPL")),
            (ASSETS, AssetQuery()),
        )
    }
    assert len(keys) == 12
    assert all(key.startswith(("api:core:", "api:broker:")) for key in keys)
