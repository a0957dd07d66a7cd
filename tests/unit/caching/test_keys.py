"""Keys and layers: one key for each filling, and patterns that cover what they say."""

import re
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.caching.errors import DeclarationError, KeyFieldError, UnknownLayerError
from stellwerk.caching.globs import Extent, coverage, for_redis, matches
from stellwerk.caching.keys import Pattern, escaped
from stellwerk.caching.layers import declared
from tests.unit.caching.shipped import caching, shipped

AWKWARD = st.text(alphabet=st.sampled_from(list("a%*:[]?\\\n{}2A~-_é")), min_size=1, max_size=6)


@given(AWKWARD, AWKWARD, AWKWARD, AWKWARD)
def test_two_fillings_never_give_the_same_key(a: str, b: str, c: str, d: str) -> None:
    pattern = Pattern("portfolio:{id}:history:{period}")
    one = pattern.filled({"id": a, "period": b})
    other = pattern.filled({"id": c, "period": d})
    assert (one == other) == ((a, b) == (c, d))


@given(AWKWARD, AWKWARD)
def test_an_id_of_any_characters_cannot_widen_a_pattern(own: str, other: str) -> None:
    glob = Pattern("portfolio:{id}:*").filled({"id": own})
    key = Pattern("portfolio:{id}:summary").filled({"id": other})
    assert matches(glob, key) == (own == other)


@pytest.mark.parametrize("value", [True, 1.0, None, b"x", "", ["a"], "\ud800"])
def test_a_field_without_one_spelling_is_refused(value: object) -> None:
    with pytest.raises(KeyFieldError):
        escaped(value)


def test_numbers_dates_and_ids_are_spelled_as_usual() -> None:
    assert escaped(42) == "42"
    assert escaped(date(2024, 1, 15)) == "2024-01-15"
    assert escaped(UUID(int=1)) == "00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize("text", ["a:{x}{y}", "a:{x}_{y}", "a:{x}-b-{y}", "a:{x}:{x}"])
def test_a_pattern_whose_fields_could_run_together_is_refused(text: str) -> None:
    with pytest.raises(DeclarationError):
        Pattern(text)


@pytest.mark.parametrize(
    ("glob", "layer", "extent", "value"),
    [
        ("portfolio:42:*", "portfolio.history", Extent.ENTITY, "42"),
        ("portfolio:*:summary", "portfolio.summary", Extent.LAYER, ""),
        ("portfolio:*:summary", "portfolio.details", Extent.NOTHING, ""),
        ("portfolio:*:summary", "portfolio.history", Extent.NOTHING, ""),
        ("portfolio:*:summary", "portfolio", Extent.NOTHING, ""),
        ("market:*:intraday:*", "market_data.intraday", Extent.LAYER, ""),
        ("market:*:intraday:*", "market_data", Extent.NOTHING, ""),
        ("market:*:intraday:*", "market_data.real_time_prices", Extent.NOTHING, ""),
        ("calc:*", "calculation.tax_calculations", Extent.LAYER, ""),
        ("api:*", "api_response./api/assets", Extent.LAYER, ""),
        ("user:7:*", "session.preferences", Extent.ENTITY, "7"),
        ("user:7:prefs", "session.preferences", Extent.KEY, "user:7:prefs"),
        ("portfolio:4*:history:1y", "portfolio.history", Extent.PART, ""),
        ("portfolio:42*", "portfolio.history", Extent.PART, ""),
        ("*", "session", Extent.LAYER, ""),
    ],
)
def test_patterns_cover_what_they_say(glob: str, layer: str, extent: Extent, value: str) -> None:
    declaration = declared(shipped())[layer]
    found = coverage(glob, declaration.pattern, declaration.siblings)
    assert (found.extent, found.value) == (extent, value)


GLOBS = st.lists(st.sampled_from(["a", "b", "1", ":", "*"]), min_size=1, max_size=8).map("".join)
SHAPES = st.sampled_from(["a:{x}", "a:{x}:b", "a:{x}:b:{y}", "{x}:a", "a:b{x}:{y}", "ab"])
FIELDS = st.text(alphabet="ab1", min_size=1, max_size=3)


@given(GLOBS, SHAPES, FIELDS, FIELDS)
def test_coverage_never_misses_a_key_that_a_pattern_names(
    glob: str, shape: str, x: str, y: str
) -> None:
    pattern = Pattern(shape)
    key = pattern.filled({"x": x, "y": y})
    found = coverage(glob, pattern)
    match found.extent:
        case Extent.NOTHING:
            assert not matches(glob, key)
        case Extent.LAYER:
            assert matches(glob, key)
        case Extent.KEY:
            assert matches(glob, key) == (key == found.value)
        case Extent.ENTITY:
            assert matches(glob, key) == (pattern.first_field(key) == found.value)


def test_what_is_special_only_to_redis_is_escaped() -> None:
    assert for_redis("a[b]?c\\*") == r"a\[b\]\?c\\*"


def test_every_shipped_layer_has_a_key_of_its_own() -> None:
    layers = declared(shipped())
    one = layers["calculation.risk_assessment"].locate({"portfolio": 1, "horizon": 5})
    other = layers["calculation.tax_calculations"].locate({"portfolio": 1, "horizon": 5})
    assert one.key != other.key
    assert re.fullmatch(r"calc:risk_assessment:[0-9a-f]{32}", one.key)


def test_a_key_of_another_layer_is_refused() -> None:
    with pytest.raises(KeyFieldError, match="belongs to another layer"):
        declared(shipped())["portfolio"].locate({"portfolio_id": 42, "data_type": "summary"})


@pytest.mark.parametrize("fields", [{}, {"id": 1}, {"id": 1, "period": 2, "more": 3}, {"di": 1}])
def test_a_missing_or_unknown_field_is_an_error(fields: dict[str, Any]) -> None:
    with pytest.raises(KeyFieldError, match=r"portfolio\.history"):
        declared(shipped())["portfolio.history"].locate(fields)


def test_an_unknown_layer_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(UnknownLayerError, match=r"portfolio\.summary"):
        declared(shipped())["portfolio.sumary"]


def test_a_response_varies_by_what_is_declared_in_any_order() -> None:
    layer = declared(shipped())["api_response./api/portfolios"]
    one = layer.locate({"service": "core", "user_id": 1, "date_range": "7d"})
    assert one == layer.locate({"date_range": "7d", "user_id": 1, "service": "core"})
    with pytest.raises(KeyFieldError, match="varies by user_id, date_range"):
        layer.locate({"service": "core", "user_id": 1})


def test_layers_that_could_share_a_key_are_refused() -> None:
    shared = {"layers": {name: {"ttl_seconds": 1, "key_pattern": f"a:{{{name}}}"} for name in "xy"}}
    with pytest.raises(DeclarationError, match="could share a key"):
        declared(caching(**shared))


def test_a_layer_without_keys_needs_a_field_for_its_name() -> None:
    with pytest.raises(DeclarationError, match="layer_field"):
        declared(caching(layers={"x": {"ttl_seconds": 1}}))
