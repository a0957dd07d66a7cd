"""The settings as a tree of keys: what may stand where, described, with its default.

Derived from the classes, so that checks, provenance and secrets need no list of their own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from stellwerk.settings.root import Settings
from stellwerk.settings.types import Secret

KeyPath = tuple[str, ...]
"""The keys that lead from the top of the settings to a value."""


class Kind(Enum):
    """What a key holds."""

    MODEL = auto()  # the keys its class declares
    MAP = auto()  # keys of the user's choice
    VALUE = auto()  # a single value or a list
    SECRET = auto()  # what is never shown


class _Required:
    def __repr__(self) -> str:
        return "required"


REQUIRED: Final = _Required()


@dataclass(frozen=True)
class Node:
    """One key of the settings."""

    kind: Kind
    description: str = ""
    optional: bool = False
    default: Any = REQUIRED
    fields: Mapping[str, "Node"] = field(default_factory=dict)
    values: "Node | None" = None

    def child(self, key: str) -> "Node | None":
        """Return what `key` below this one holds; None where there is no such key."""
        return self.values if self.kind is Kind.MAP else self.fields.get(key)


@cache
def root() -> Node:
    """Return the tree of all settings."""
    return _node(Settings)


def find(path: KeyPath) -> Node | None:
    """Return the key that `path` leads to; None where there is none."""
    node: Node | None = root()
    for key in path:
        node = node.child(key) if node else None
    return node


def split(text: str) -> KeyPath:
    """Return the path that dotted `text` stands for. Keys of plain values may contain dots."""
    keys = text.split(".")
    node: Node | None = root()
    for number, key in enumerate(keys):
        if node and node.kind is Kind.MAP and node.values and not _has_keys(node.values):
            return (*keys[:number], ".".join(keys[number:]))
        node = node.child(key) if node else None
    return tuple(keys)


def default_of(path: KeyPath) -> Any:
    """Return the packaged default at `path`; REQUIRED where there is none."""
    current: Any = Settings()
    node = root()
    for key in path:
        child = node.child(key)
        if child is None:
            return REQUIRED
        if isinstance(current, BaseModel):
            current = getattr(current, key)
        elif isinstance(current, Mapping):
            current = current.get(key, REQUIRED)
        else:
            current = child.default
        node = child
    return current


def secret_paths() -> Iterator[KeyPath]:
    """Yield the paths of the secrets every cluster has: those that are generated if not given."""
    yield from _secret_paths(root(), ())


def holds_secrets(node: Node) -> bool:
    """Return whether a secret may stand at or below this key."""
    if node.kind is Kind.SECRET:
        return True
    below = node.fields.values() if node.values is None else [node.values]
    return any(holds_secrets(child) for child in below)


def _secret_paths(node: Node, path: KeyPath) -> Iterator[KeyPath]:
    if node.kind is Kind.SECRET and not node.optional:
        yield path
    for key, child in node.fields.items():
        yield from _secret_paths(child, (*path, key))


def _has_keys(node: Node) -> bool:
    return node.kind in (Kind.MODEL, Kind.MAP)


def _node(annotation: Any, info: FieldInfo | None = None) -> Node:
    annotation, optional = _unwrap(annotation)
    default = info.get_default(call_default_factory=True) if info else REQUIRED
    described: dict[str, Any] = {
        "description": (info.description if info else None) or "",
        "optional": optional,
        "default": REQUIRED if default is PydanticUndefined else default,
    }
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {
            name: _node(below.annotation, below) for name, below in annotation.model_fields.items()
        }
        return Node(Kind.MODEL, fields=fields, **described)
    if get_origin(annotation) is dict:
        return Node(Kind.MAP, values=_node(get_args(annotation)[1]), **described)
    return Node(Kind.SECRET if annotation is Secret else Kind.VALUE, **described)


def _unwrap(annotation: Any) -> tuple[Any, bool]:
    """Return the annotation without what surrounds it, and whether None is accepted."""
    if get_origin(annotation) is Annotated:
        return _unwrap(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        members = get_args(annotation)
        others = [member for member in members if member is not NoneType]
        inner = _unwrap(others[0])[0] if len(others) == 1 else annotation
        return inner, len(others) < len(members)
    return annotation, False
