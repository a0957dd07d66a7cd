"""The declared layers, as the settings of caches and their layers make them. No I/O here."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from stellwerk.caching import names
from stellwerk.caching.errors import DeclarationError, KeyFieldError, UnknownLayerError
from stellwerk.caching.hashing import digest
from stellwerk.caching.keys import Pattern, escaped
from stellwerk.settings.caching import Cache, Caching, Layer

_RESERVED = frozenset({"load", "tags", "value", "save", "self"})
_HASH_SUFFIX = "_hash"


class Location(NamedTuple):
    """Where an entry is: its key, and its first field where entries share one ("" otherwise)."""

    key: str
    entity: str = ""


@dataclass(frozen=True)
class Lifetime:
    """How long an entry is used, in seconds."""

    ttl: float
    refresh_share: float | None
    """The share of it, 0 to 1, after which an entry is refreshed; None: never."""
    stale: float
    jitter: float
    """The share of the lifetime, 0 to 1, by which one may end early."""
    absent_ttl: float

    def of(self, value: object) -> float:
        """The lifetime of the entry for this value, None standing for "there is none"."""
        return self.absent_ttl if value is None else self.ttl


@dataclass(frozen=True)
class Declaration:
    """A layer: what its keys look like and how its entries are kept."""

    name: str
    pattern: Pattern
    strategy: str
    lifetime: Lifetime
    budget: int | None
    compressed: bool
    encrypted: bool
    vary_by: tuple[str, ...]
    local_seconds: int
    local_entries: int
    siblings: tuple[Pattern, ...] = ()
    """Patterns of layers whose keys this one's pattern would match too, and must not make."""

    def locate(self, fields: Mapping[str, object]) -> Location:
        """Where the entry of these fields is.

        Raises KeyFieldError for a missing, unknown or ambiguous field, and UnsupportedValueError
        for one that is to be hashed and cannot be.
        """
        known = fields if self._hash_field is None else self._hashed(fields)
        pattern = self.pattern
        if len(known) != len(pattern.fields):
            unknown = ", ".join(sorted(set(known) - set(pattern.fields))) or "none"
            raise KeyFieldError(
                f"The layer {self.name} has keys {pattern.text}: unknown fields given: {unknown},"
                f" missing: {', '.join(sorted(set(pattern.fields) - set(known))) or 'none'}."
            )
        key = pattern.filled(known)
        for sibling in self.siblings:
            if sibling.holds(key):
                raise KeyFieldError(
                    f"The key {key} belongs to another layer, with keys {sibling.text}: use that."
                )
        first = self.entity_field
        return Location(key, "" if first is None else escaped(known[first]))

    @cached_property
    def stamp(self) -> str:
        """The name of the stamp that all entries stand under."""
        return names.stamp(self.name)

    @cached_property
    def guard(self) -> str:
        """The name of the guard of the loads under way."""
        return names.guard(self.name)

    @cached_property
    def entity_field(self) -> str | None:
        """The field that several entries share, where there is one."""
        fields = self.pattern.fields
        return fields[0] if len(fields) > 1 else None

    @property
    def plain_fields(self) -> tuple[str, ...]:
        """The fields that a caller has to give: all but the hash of further ones."""
        return self.pattern.fields[:-1] if self._hash_field else self.pattern.fields

    @property
    def has_hash(self) -> bool:
        """Whether the last field is a hash of further ones."""
        return self._hash_field is not None

    @cached_property
    def _hash_field(self) -> str | None:
        last = self.pattern.fields[-1:]
        return last[0] if last and last[0].endswith(_HASH_SUFFIX) else None

    def _hashed(self, fields: Mapping[str, object]) -> dict[str, object]:
        """The fields of the pattern; all others are told apart by the hash of them."""
        *plain, hash_field = self.pattern.fields
        if hash_field in fields:
            return dict(fields)
        inputs = {name: value for name, value in fields.items() if name not in plain}
        if self.vary_by and set(inputs) != set(self.vary_by):
            raise KeyFieldError(
                f"The layer {self.name} varies by {', '.join(self.vary_by)};"
                f" given: {', '.join(sorted(inputs)) or 'none of them'}."
            )
        known = {name: fields[name] for name in plain if name in fields}
        return known | {hash_field: digest(inputs)}


class Layers:
    """All declared layers by name: `portfolio.summary`, or `portfolio` for a cache's own keys."""

    def __init__(self, declarations: Mapping[str, Declaration]) -> None:
        self._declarations = dict(declarations)

    def __getitem__(self, name: str) -> Declaration:
        """The layer of this name. Raises UnknownLayerError."""
        try:
            return self._declarations[name]
        except KeyError:
            known = ", ".join(self._declarations) or "none"
            raise UnknownLayerError(
                f"No layer {name} is declared in caching.caches; declared: {known}."
            ) from None

    @property
    def all(self) -> tuple[Declaration, ...]:
        """Every layer, in the order of the settings."""
        return tuple(self._declarations.values())


def declared(settings: Caching) -> Layers:
    """The layers of these settings. Raises DeclarationError where two could share a key."""
    found: dict[str, Declaration] = {}
    for cache_name, cache in settings.caches.items():
        own = Pattern(cache.key_pattern)
        named = {
            f"{cache_name}.{name}": _pattern(cache_name, name, cache, layer)
            for name, layer in cache.layers.items()
        }
        overlapping = tuple(pattern for pattern in named.values() if _may_share(own, pattern))
        found[cache_name] = _declaration(cache_name, own, cache, None, overlapping)
        for (full_name, pattern), layer in zip(named.items(), cache.layers.values(), strict=True):
            found[full_name] = _declaration(full_name, pattern, cache, layer)
    _refuse_shared_keys(found)
    return Layers(found)


def _pattern(cache_name: str, name: str, cache: Cache, layer: Layer) -> Pattern:
    if layer.key_pattern is not None:
        return Pattern(layer.key_pattern)
    own = Pattern(cache.key_pattern)
    if cache.layer_field not in own.fields:
        raise DeclarationError(
            f"The layer {cache_name}.{name} has no key_pattern: give it one, or name the field of"
            f" {own.text} that holds the layer's name as the cache's layer_field."
        )
    return own.bound(cache.layer_field, name)


def _declaration(
    name: str,
    pattern: Pattern,
    cache: Cache,
    layer: Layer | None,
    siblings: tuple[Pattern, ...] = (),
) -> Declaration:
    misnamed = _RESERVED.intersection(pattern.fields)
    if misnamed:
        raise DeclarationError(
            f"The layer {name} has a field named {min(misnamed)}, which means something else in"
            " calls: give it another name."
        )
    ttl = layer.ttl_seconds if layer else cache.ttl_seconds
    refresh = cache.refresh_ahead_percent
    return Declaration(
        name=name,
        pattern=pattern,
        strategy=cache.strategy,
        lifetime=Lifetime(
            ttl=ttl,
            refresh_share=None if refresh is None else refresh / 100,
            stale=cache.serve_stale_seconds,
            jitter=cache.jitter_percent / 100,
            absent_ttl=min(ttl, cache.absent_ttl_seconds or ttl),
        ),
        budget=int(layer.memory) if layer and layer.memory is not None else None,
        compressed=cache.compressed,
        encrypted=cache.encrypted,
        vary_by=tuple(layer.vary_by) if layer else (),
        local_seconds=layer.local_seconds if layer else 0,
        local_entries=layer.local_entries if layer else 1,
        siblings=siblings,
    )


def _refuse_shared_keys(layers: Mapping[str, Declaration]) -> None:
    declared_before: list[Declaration] = []
    for layer in layers.values():
        for other in declared_before:
            if layer.pattern not in other.siblings and _may_share(layer.pattern, other.pattern):
                raise DeclarationError(
                    f"The layers {other.name} and {layer.name} could share a key:"
                    f" {other.pattern.text} and {layer.pattern.text} must differ in fixed text."
                )
        declared_before.append(layer)


def _may_share(one: Pattern, other: Pattern) -> bool:
    """Whether some key is a filling of both; fields hold no separator, so segments compare."""
    segments = one.text.split(":"), other.text.split(":")
    return len(segments[0]) == len(segments[1]) and all(
        "{" in left or "{" in right or left == right for left, right in zip(*segments, strict=True)
    )
