"""What series are called in Zabbix: items, and discoveries of those that hosts have or have not.

Pure. A metric of the host itself is an item; one with labels or of a service is discovered.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from stellwerk.metrics.model import Kind, Metric, Series, Source

_PREFIX: Final = "stellwerk"
_SPECIAL: Final = set(',]" ')


@dataclass(frozen=True, slots=True)
class Family:
    """Metrics whose series are told apart by the same things, such as service and instance."""

    name: str
    parameters: tuple[str, ...]
    """Names of what stands in brackets behind the key of an item; none for a single item."""

    @property
    def discovery_key(self) -> str:
        """The item by which Zabbix learns which of them there are."""
        return f"{_PREFIX}.discovery[{self.name}]"


_OWN: Final = Family("own", ("service", "instance", "name"))


def family(metric: Metric) -> Family:
    """The family of a metric."""
    if metric.source is Source.OWN:
        return _OWN
    service = ("service",) if metric.source.is_of_services else ()
    parameters = (*service, *metric.labels)
    return Family(".".join((metric.source.value, *parameters)), parameters)


def is_sent(metric: Metric) -> bool:
    """Whether Zabbix gets it: what is one number."""
    return metric.kind is not Kind.DISTRIBUTION


def item_key(series: Series) -> str:
    """The key of the item of a series."""
    return _with_parameters(
        series.metric, [_quoted(value) for value in _arguments(series).values()]
    )


def prototype_key(metric: Metric) -> str:
    """The key of all items of a metric, with Zabbix' macros for what tells them apart."""
    return _with_parameters(metric, [macro(name) for name in family(metric).parameters])


def macro(parameter: str) -> str:
    """What a discovery calls a parameter: "{#INSTANCE}"."""
    return f"{{#{parameter.upper()}}}"


def discoveries(series: Iterable[Series]) -> dict[Family, str]:
    """By family the value of its discovery: which series there are."""
    found: dict[Family, dict[tuple[str, ...], dict[str, str]]] = {}
    for one in series:
        about = family(one.metric)
        if about.parameters and is_sent(one.metric):
            arguments = _arguments(one)
            found.setdefault(about, {})[tuple(arguments.values())] = {
                macro(name): value for name, value in arguments.items()
            }
    return {about: json.dumps([rows[key] for key in sorted(rows)]) for about, rows in found.items()}


def _arguments(series: Series) -> dict[str, str]:
    known = {**dict(series.labels), "service": series.service, "name": series.metric.name}
    return {name: known[name] for name in family(series.metric).parameters}


def _with_parameters(metric: Metric, parameters: list[str]) -> str:
    key = f"{_PREFIX}.{_OWN.name if metric.source is Source.OWN else metric.key}"
    return f"{key}[{','.join(parameters)}]" if parameters else key


def _quoted(text: str) -> str:
    """A parameter as Zabbix reads it back, also with a comma or bracket in it."""
    if text and not _SPECIAL & set(text):
        return text
    return '"' + text.replace('"', '\\"') + '"'
