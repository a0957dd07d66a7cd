"""Turns `--data a.b.c=value` into a layer."""

import json
from collections.abc import Mapping
from typing import Any

from stellwerk.settings import schema
from stellwerk.settings.layers import Layer

SOURCE = "--data"


def layer(overrides: Mapping[str, Any]) -> Layer:
    """Return the layer that dotted keys with values, parsed or as text, stand for."""
    values: dict[str, Any] = {}
    for key, value in overrides.items():
        current = values
        *above, last = schema.split(key)
        for part in above:
            below = current.get(part)
            current[part] = below if isinstance(below, dict) else {}
            current = current[part]
        current[last] = _parsed(value)
    return Layer(SOURCE, values)


def _parsed(value: Any) -> Any:
    """Parse lists, mappings and null; the settings' types read numbers and truth from text."""
    if isinstance(value, str) and (value[:1] in ("[", "{") or value == "null"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
