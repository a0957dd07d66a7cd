"""Values come back exactly as they were, or not at all."""

import enum
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.caching import compression
from stellwerk.caching.codec import codec_for
from stellwerk.caching.compression import Algorithm, Compressor, compressor, decompressed
from stellwerk.caching.encryption import Keyring, keyring
from stellwerk.caching.envelope import Entry, Sealer
from stellwerk.caching.errors import (
    DeclarationError,
    KeyFieldError,
    UnreadableError,
    UnsupportedValueError,
)
from stellwerk.settings.caching import Compression, Encryption
from tests.unit.caching.shipped import KEY


class Kind(enum.Enum):
    STOCK = "stock"


class Level(enum.IntEnum):
    HIGH = 3


class Position(msgspec.Struct, frozen=True):
    symbol: str
    value: Decimal
    bought: datetime
    kind: Kind


class Renamed(msgspec.Struct, frozen=True):
    symbol: str
    worth: Decimal


@dataclass
class Summary:
    positions: list[Position]
    on: date


BERLIN = ZoneInfo("Europe/Berlin")
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC))
    | st.datetimes(timezones=st.just(timezone(timedelta(hours=5, minutes=30))))
    | st.datetimes(timezones=st.just(BERLIN), allow_imaginary=False)
    | st.sampled_from([Kind.STOCK, Level.HIGH])
)
HASHABLE = st.integers() | st.text() | st.uuids() | st.dates()
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(HASHABLE, inner, max_size=4)
        | st.sets(HASHABLE, max_size=4)
        | st.frozensets(HASHABLE, max_size=4)
    ),
    max_leaves=12,
)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal in value and in the type of every part."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return {repr(key) for key in one} == {repr(key) for key in other} and all(
            same(item, other[key]) for key, item in one.items()
        )
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, set | frozenset):
        return {repr(item) for item in one} == {repr(item) for item in other}
    return repr(one) == repr(other)


@given(VALUES)
def test_a_value_of_free_form_comes_back_exactly(value: Any) -> None:
    codec = codec_for(None)
    assert same(codec.decode(codec.encode(value)), value)


@given(VALUES)
def test_copies_are_the_value_as_it_was_and_share_nothing_that_can_be_changed(value: Any) -> None:
    codec = codec_for(None)
    as_it_was = codec.decode(codec.encode(value))
    copied = codec.copier(value)
    spoil(value)
    for _ in range(2):
        copy = copied()
        assert same(copy, as_it_was)
        spoil(copy)


def spoil(value: Any) -> None:
    """Change everything in a value that can be changed."""
    if isinstance(value, dict):
        for item in value.values():
            spoil(item)
        value.clear()
    elif isinstance(value, list | tuple):
        for item in value:
            spoil(item)
    if isinstance(value, list):
        value.append("spoilt")
    if isinstance(value, set):
        value.add("spoilt")


def test_copies_of_a_typed_value_are_of_its_type_whatever_was_loaded() -> None:
    loaded = {"symbol": "AAPL", "worth": "1.10"}
    assert codec_for(Renamed).copier(loaded)() == Renamed("AAPL", Decimal("1.10"))


@pytest.mark.parametrize("value", [object(), {"x": object()}, Summary([], date.today()), 1j])
def test_a_value_that_would_not_come_back_is_refused(value: Any) -> None:
    with pytest.raises(UnsupportedValueError, match="would not come back"):
        codec_for(None).encode(value)


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(UnsupportedValueError, match="cannot be stored"):
        codec_for(None).encode("\ud800")


@pytest.mark.parametrize("tags", [("",), ("x" * 256,), tuple(map(str, range(201)))])
def test_tags_that_cannot_be_stored_are_refused(tags: tuple[str, ...]) -> None:
    with pytest.raises(KeyFieldError):
        sealer().seal("key", Entry(1, 2, 3, tags=tags))


def test_a_typed_value_comes_back_as_its_type() -> None:
    codec = codec_for(Summary)
    position = Position("AAPL", Decimal("1.10"), datetime(2024, 1, 15, tzinfo=UTC), Kind.STOCK)
    value = Summary([position], date(2024, 1, 15))
    assert same(codec.decode(codec.encode(value)).positions[0].value, Decimal("1.10"))
    assert codec.decode(codec.encode(value)) == value
    assert codec.decode(codec.encode(None)) is None


def test_types_of_different_fields_have_different_schemas() -> None:
    schemas = {codec_for(kind).schema for kind in (Position, Renamed, Summary, int, None)}
    assert len(schemas) == 5


def sealer(
    kind: Any = None, algorithm: Algorithm = Algorithm.LZ4, keys: Keyring | None = None
) -> Sealer:
    return Sealer(codec_for(kind), Compressor(algorithm, 64), keys)


def ring(present: str, **keys: int) -> Keyring:
    return Keyring(present, {name: bytes([number] * 32) for name, number in keys.items()})


VALUE = {"symbols": ["AAPL", "MSFT"] * 50, "total": Decimal("12.50")}
ENTRY = Entry(VALUE, made=1_700_000_000_000, lifetime=60_000, write_id=b"12345678", tags=("eu",))
SEALERS = [
    sealer(),
    sealer(algorithm=Algorithm.NONE),
    sealer(algorithm=Algorithm.ZSTD),
    sealer(keys=ring("a", a=1)),
]


@pytest.mark.parametrize("sealer", SEALERS)
def test_an_entry_comes_back_with_its_times_and_tags(sealer: Sealer) -> None:
    assert sealer.open("k", sealer.seal("k", ENTRY)) == ENTRY


@pytest.mark.parametrize("sealer", SEALERS)
def test_a_truncated_value_is_unreadable_wherever_it_ends(sealer: Sealer) -> None:
    data = sealer.seal("k", ENTRY)
    for end in range(len(data)):
        with pytest.raises(UnreadableError):
            sealer.open("k", data[:end])


@pytest.mark.parametrize("sealer", SEALERS)
def test_a_flipped_bit_is_noticed_wherever_it_is(sealer: Sealer) -> None:
    data = sealer.seal("k", ENTRY)
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        with pytest.raises(UnreadableError):
            sealer.open("k", bytes(flipped))


@pytest.mark.parametrize("sealer", SEALERS)
def test_a_value_moved_to_another_key_is_refused(sealer: Sealer) -> None:
    with pytest.raises(UnreadableError):
        sealer.open("user:2:prefs", sealer.seal("user:1:prefs", ENTRY))


@given(st.binary(max_size=200))
def test_foreign_bytes_are_unreadable(data: bytes) -> None:
    for each in SEALERS:
        with pytest.raises(UnreadableError):
            each.open("k", data)


@pytest.mark.parametrize(
    ("writer", "reader"),
    [
        (sealer(), sealer(Position)),
        (sealer(Renamed), sealer(Position)),
        (sealer(), sealer(keys=ring("a", a=1))),
        (sealer(keys=ring("a", a=1)), sealer()),
    ],
)
def test_a_value_of_another_form_is_foreign(writer: Sealer, reader: Sealer) -> None:
    with pytest.raises(UnreadableError, match="foreign"):
        reader.open("k", writer.seal("k", Entry(None, 1, 1)))


def test_values_of_a_previous_key_are_read_until_it_is_dropped() -> None:
    data = sealer(keys=ring("old", old=1)).seal("k", ENTRY)
    rotated = sealer(keys=ring("new", new=2, old=1))
    assert rotated.open("k", data) == ENTRY
    with pytest.raises(UnreadableError):
        sealer(keys=ring("old", old=1)).open("k", rotated.seal("k", ENTRY))
    with pytest.raises(UnreadableError, match="unknown key"):
        sealer(keys=ring("new", new=2)).open("k", data)


def test_an_encrypted_value_shows_nothing_of_itself() -> None:
    assert b"AAPL" not in sealer(algorithm=Algorithm.NONE, keys=ring("a", a=1)).seal("k", ENTRY)


@pytest.mark.parametrize("settings", [{}, {"key": "too-short"}, {"key": "!" * 44}])
def test_a_missing_or_wrong_encryption_key_is_said(settings: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match="encryption"):
        keyring(Encryption.model_validate(settings))


def test_a_key_of_the_settings_is_used() -> None:
    keys = keyring(Encryption.model_validate({"key": KEY}))
    assert keys.open(keys.seal(b"value", b"k"), b"k") == b"value"


@pytest.mark.parametrize("algorithm", ["lz4", "zstd"])
def test_only_large_values_that_shrink_are_compressed(algorithm: Any) -> None:
    made = compressor(Compression(algorithm=algorithm), wanted=True)
    used, smaller = made.compress(b"abcd" * 1000)
    assert used.name == algorithm.upper()
    assert len(smaller) < 400
    assert decompressed(used, smaller) == b"abcd" * 1000
    assert made.compress(b"a" * 1024) == (Algorithm.NONE, b"a" * 1024)
    noise = b"".join(uuid.uuid4().bytes for _ in range(100))
    assert made.compress(noise) == (Algorithm.NONE, noise)


def test_a_compression_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_zstandard", None)
    with pytest.raises(DeclarationError, match=r"install stellwerk\[zstd\]"):
        compressor(Compression(algorithm="zstd"), wanted=True)
    with pytest.raises(UnreadableError):
        decompressed(Algorithm.ZSTD, b"whatever")


def test_a_layer_that_is_not_compressed_stays_plain() -> None:
    assert compressor(Compression(), wanted=False).compress(b"a" * 9000)[0] is Algorithm.NONE


@pytest.mark.parametrize("make", [lambda data: data[:-1], lambda data: b"\xff\xff\xff\xff" + data])
def test_a_broken_compressed_body_is_unreadable(make: Callable[[bytes], bytes]) -> None:
    _, smaller = Compressor(Algorithm.LZ4, 0).compress(b"abcd" * 1000)
    with pytest.raises(UnreadableError):
        decompressed(Algorithm.LZ4, make(smaller))


def test_times_that_occur_twice_stay_apart() -> None:
    codec = codec_for(None)
    for fold in (0, 1):
        moment = datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=fold)
        back = codec.decode(codec.encode(moment))
        assert (back.fold, back.utcoffset()) == (fold, moment.utcoffset())
        assert codec.decode(codec.encode(time(2, 30, fold=fold))).fold == fold
