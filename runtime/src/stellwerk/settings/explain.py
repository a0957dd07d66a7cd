"""Says what a setting of a host is, what it means, and which layers had a say in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from stellwerk.settings import layers, schema
from stellwerk.settings.errors import SettingsError, did_you_mean
from stellwerk.settings.hosts import ClusterHost
from stellwerk.settings.schema import REQUIRED, KeyPath, Kind, Node
from stellwerk.settings.types import MASK, Secret


@dataclass(frozen=True)
class Step:
    """What one layer says: `where` is its file and line."""

    where: str
    value: str


@dataclass(frozen=True)
class Explanation:
    """A setting as it is in force, and the layers that set it, lowest first."""

    key: str
    value: str
    description: str
    steps: tuple[Step, ...]

    def text(self) -> str:
        """Return the explanation for a terminal."""
        heading = f"{self.key}: {self.value}"
        if "\n" in self.value:
            heading = f"{self.key}:\n" + "\n".join(f"  {row}" for row in self.value.splitlines())
        *overridden, last = self.steps or (Step(layers.PACKAGED, self.value),)
        rows = [heading, self.description, f"set by    {last.where}"]
        if overridden:
            rows[-1] += f": {last.value}"
        rows += [f"overrode  {step.where}: {step.value}" for step in reversed(overridden)]
        return "\n".join(row for row in rows if row)


def explain(host: ClusterHost, key: str) -> Explanation:
    """Explain the setting with this dotted key; SettingsError names the nearest key."""
    path = schema.split(key)
    node = _known(path)
    document = host.settings.model_dump(mode="json")
    value = _value(host, document, path)
    steps = [
        Step(layer.where(path), _inline(node, said))
        for layer, said in layers.history(host.layers, path)
    ]
    default = schema.default_of(path)
    if not any(step.where == layers.PACKAGED for step in steps) and default is not REQUIRED:
        steps.insert(0, Step(layers.PACKAGED, _inline(node, _document(default))))
    return Explanation(".".join(path), _block(value), node.description, tuple(steps))


def _known(path: KeyPath) -> Node:
    node = schema.root()
    for length, key in enumerate(path):
        child = node.child(key)
        if child is None:
            above = f"{'.'.join(path[:length])}." if length else ""
            hint = did_you_mean(key, node.fields)
            raise SettingsError([f"{above}{key}: unknown key{hint}"])
        node = child
    return node


def _value(host: ClusterHost, document: Mapping[str, Any], path: KeyPath) -> Any:
    current: Any = document
    for length, key in enumerate(path):
        if not isinstance(current, Mapping) or key not in current:
            hint = did_you_mean(key, current if isinstance(current, Mapping) else ())
            raise SettingsError([f"{'.'.join(path[: length + 1])}: not set on {host.name}{hint}"])
        current = current[key]
    return current


def _document(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def _masked(node: Node | None, value: Any) -> Any:
    """Return what a layer says, in the form that is printed and without secrets."""
    if isinstance(value, Mapping):
        return {key: _masked(node.child(key) if node else None, v) for key, v in value.items()}
    if isinstance(value, Secret) or (node is not None and node.kind is Kind.SECRET):
        given = value.given if isinstance(value, Secret) else value is not None
        return MASK if given else ""
    return getattr(value, "text", value)


def _inline(node: Node, value: Any) -> str:
    if value is None and not node.optional:
        return "removed"
    return _yaml(_masked(node, value), flow=True)


def _block(value: Any) -> str:
    return _yaml(value, flow=False)


def _yaml(value: Any, flow: bool) -> str:
    text = yaml.safe_dump(
        value, sort_keys=False, default_flow_style=flow, width=10**6, allow_unicode=True
    )
    return text.removesuffix("...\n").strip()
