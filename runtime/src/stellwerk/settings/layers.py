"""Layers of settings: where each value comes from, their check, and how they become one.

Reading them is in `group_data`, `inventory` and `secret_store`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from stellwerk.settings import schema
from stellwerk.settings.errors import did_you_mean
from stellwerk.settings.root import Settings
from stellwerk.settings.schema import KeyPath, Kind, Node

ABSENT: Any = object()
"""What a layer says of a path it does not set."""
PACKAGED: Final = "default"


@dataclass(frozen=True)
class Layer:
    """Settings from one place. `lines` gives the line of a key path where it is known."""

    source: str
    values: Mapping[str, Any] = field(repr=False)
    lines: Mapping[KeyPath, int] = field(default_factory=dict, repr=False)
    secret: bool = False

    def get(self, path: KeyPath) -> Any:
        """Return what this layer says at `path`: ABSENT for nothing, None for a removal."""
        current: Any = self.values
        for key in path:
            if current is None:
                return None
            if not isinstance(current, Mapping) or key not in current:
                return ABSENT
            current = current[key]
        return current

    def where(self, path: KeyPath) -> str:
        """Return file and line of `path`, or of the nearest key above it whose line is known."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return f"{self.source}:{self.lines[path[:length]]}"
        return self.source

    def sentence(self, path: KeyPath, text: str) -> str:
        """Return a sentence about `path` that says where it stands."""
        return f"{self.where(path)}: {'.'.join(path)}: {text}"


def packaged() -> Layer:
    """Return the defaults of the settings' classes."""
    return Layer(PACKAGED, Settings().model_dump())


def checked(layer: Layer) -> tuple[Layer, list[str]]:
    """Return the layer without what cannot stand in it, and a sentence for each such thing.

    Whether a value has the right type is seen when the layers are one (see `validation`).
    """
    problems: list[str] = []
    values = _check(layer, schema.root(), layer.values, (), problems)
    return Layer(layer.source, values, layer.lines, layer.secret), problems


def merged(layers: Iterable[Layer]) -> dict[str, Any]:
    """Return the layers, lowest first, as one: keys merge, values and lists replace.

    None removes a key of the user's choice, such as a service.
    """
    result: Any = {}
    for layer in layers:
        result = _merge(schema.root(), result, layer.values)
    return dict(result)


def locate(layers: Iterable[Layer], path: KeyPath) -> str | None:
    """Return where `path`, or the nearest key above it, was set last; None for a default."""
    given = [layer for layer in layers if layer.source != PACKAGED]
    for length in range(len(path), 0, -1):
        for layer in reversed(given):
            if layer.get(path[:length]) is not ABSENT:
                return layer.where(path[:length])
    return None


def _merge(node: Node, below: Any, above: Any) -> Any:
    if node.kind not in (Kind.MODEL, Kind.MAP) or not isinstance(above, Mapping):
        return above
    result = dict(below) if isinstance(below, Mapping) else {}
    for key, value in above.items():
        child = node.child(key)
        if value is None and node.kind is Kind.MAP:
            result.pop(key, None)
        elif child is not None:
            result[key] = _merge(child, result.get(key), value)
    return result


def _check(layer: Layer, node: Node, value: Any, path: KeyPath, problems: list[str]) -> Any:
    problem = _problem(layer, node, value)
    if problem is not None:
        problems.append(layer.sentence(path, problem))
        return ABSENT
    if not isinstance(value, Mapping):
        return value
    kept = {}
    for key, below in value.items():
        if problem := _unknown_key(node, key):
            problems.append(layer.sentence((*path, str(key)), problem))
            continue
        child = node.child(key)
        if child is None or (below is None and node.kind is Kind.MAP):
            kept[key] = below
        elif (clean := _check(layer, child, below, (*path, key), problems)) is not ABSENT:
            kept[key] = clean
    return kept


def _problem(layer: Layer, node: Node, value: Any) -> str | None:
    """Return what is wrong with the kind of a value. Its text is kept out: it may be a secret."""
    if node.kind is Kind.SECRET:
        return None if layer.secret else "a secret must not be written here; put it in secrets.yaml"
    if isinstance(value, Mapping):
        return None if node.kind is not Kind.VALUE else "there are no keys below this one"
    if layer.secret and node.kind is Kind.VALUE:
        return "this is not a secret; only secrets belong here"
    if node.kind is Kind.VALUE or (value is None and node.optional):
        return None
    return f"expected keys and values in braces, not {_kind_name(value)}"


def _unknown_key(node: Node, key: object) -> str | None:
    if not isinstance(key, str):
        return "expected a key that is text"
    if node.kind is Kind.MODEL and key not in node.fields:
        return f"unknown key{did_you_mean(key, node.fields)}"
    return None


def _kind_name(value: object) -> str:
    names = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list"}
    return "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")


def history(layers: Iterable[Layer], path: KeyPath) -> Iterator[tuple[Layer, Any]]:
    """Yield the layers that say something about `path`, lowest first, with what they say."""
    for layer in layers:
        value = layer.get(path)
        if value is not ABSENT:
            yield layer, value
