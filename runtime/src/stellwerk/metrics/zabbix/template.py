"""The host template for Zabbix 6.0 and later: items, discoveries and triggers of all metrics. Pure.

It is generated from the metrics and the settings, so that its thresholds are those of the alerts.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from stellwerk.metrics.alerts.rules import lasting_seconds
from stellwerk.metrics.model import Bound, Metric, Source, Status, Thresholds
from stellwerk.metrics.registry import METRICS, Registry, metric
from stellwerk.metrics.zabbix import items
from stellwerk.metrics.zabbix.items import Family
from stellwerk.settings.root import Settings

_VERSION: Final = "6.0"
_GROUP: Final = "Templates/Stellwerk"  # those that Zabbix brings have identities of their own
_FORGET_AFTER: Final = "1d"
_HISTORY: Final = "7d"
_TRENDS: Final = "365d"
_PRIORITIES: Final = {Status.WARNING: "WARNING", Status.CRITICAL: "HIGH"}
# Zabbix puts k and M before these, which percentages and times do not take.
_UNITS: Final = {"B": "B", "B/s": "Bps", "MB": "!MB", "ms": "!ms", "%": "%"}


def template(settings: Settings) -> dict[str, Any]:
    """The template, ready for YAML, for Zabbix' "Import"."""
    name = settings.scaling.export.zabbix.template
    registry = Registry(settings)
    plain, discovered = _by_family()
    return {
        "zabbix_export": {
            "version": _VERSION,
            "groups": [{"uuid": _uuid("group", _GROUP), "name": _GROUP}],
            "templates": [
                {
                    "uuid": _uuid(name, "template"),
                    "template": name,
                    "name": name,
                    "groups": [{"name": _GROUP}],
                    "items": [_item(name, registry, settings, one) for one in plain],
                    "discovery_rules": [
                        _discovery(name, registry, settings, about, metrics)
                        for about, metrics in discovered.items()
                    ],
                }
            ],
        }
    }


def _by_family() -> tuple[list[Metric], dict[Family, list[Metric]]]:
    plain: list[Metric] = []
    discovered: dict[Family, list[Metric]] = {}
    for one in METRICS:
        about = items.family(one)
        if not items.is_sent(one):
            continue
        if about.parameters:
            discovered.setdefault(about, []).append(one)
        else:
            plain.append(one)
    own = metric(f"{Source.OWN.value}.number")
    discovered[items.family(own)] = [own]
    return plain, discovered


def _discovery(
    name: str, registry: Registry, settings: Settings, about: Family, metrics: list[Metric]
) -> dict[str, Any]:
    return {
        "uuid": _uuid(name, about.discovery_key),
        "name": f"Discovery of {about.name}",
        "type": "TRAP",
        "key": about.discovery_key,
        "delay": "0",
        "lifetime": _FORGET_AFTER,
        "item_prototypes": [
            _item(name, registry, settings, one, prototype=True) for one in metrics
        ],
    }


def _item(
    name: str, registry: Registry, settings: Settings, one: Metric, *, prototype: bool = False
) -> dict[str, Any]:
    key = items.prototype_key(one)
    is_own = one.source is Source.OWN
    title = items.macro("name") if is_own else f"{one.source.value}: {one.name}"
    about = " ".join(
        items.macro(parameter)
        for parameter in items.family(one).parameters
        if not (is_own and parameter == "name")
    )
    item: dict[str, Any] = {
        "uuid": _uuid(name, key),
        "name": f"{title} {about}".rstrip(),
        "type": "TRAP",
        "key": key,
        "delay": "0",
        "history": _HISTORY,
        "trends": _TRENDS,
        "value_type": "FLOAT",
        "description": one.help,
    }
    if one.unit.symbol:
        item["units"] = _UNITS.get(one.unit.symbol, one.unit.symbol)
    if is_own:
        return item
    triggers = list(_triggers(name, registry, settings, one, str(item["name"])))
    if triggers:
        item["trigger_prototypes" if prototype else "triggers"] = triggers
    return item


def _triggers(
    name: str, registry: Registry, settings: Settings, one: Metric, title: str
) -> Iterator[dict[str, Any]]:
    if one.key in settings.monitoring.alerts.disabled:
        return
    thresholds = _thresholds(registry, one)
    seconds = lasting_seconds(one, settings.monitoring.alerts)
    made: list[dict[str, Any]] = []
    for status, limit in (
        (Status.CRITICAL, thresholds.critical),
        (Status.WARNING, thresholds.warning),
    ):
        if limit is None:
            continue
        side = ">=" if thresholds.bound is Bound.UPPER else "<="
        over = "min" if thresholds.bound is Bound.UPPER else "max"
        of = f"/{name}/{items.prototype_key(one)}"
        # Zabbix takes no period of no length.
        value = f"{over}({of},{seconds:.0f}s)" if seconds else f"last({of})"
        expression = f"{value}{side}{limit:g}"
        trigger: dict[str, Any] = {
            "uuid": _uuid(name, f"{one.key} {status.value}"),
            "expression": expression,
            "name": f"{title} {side} {limit:g} {one.unit.symbol}".rstrip(),
            "priority": _PRIORITIES[status],
        }
        if made:  # what is critical is not said to be a warning as well
            worse = made[0]
            trigger["dependencies"] = [{"name": worse["name"], "expression": worse["expression"]}]
        made.append(trigger)
    yield from made


def _thresholds(registry: Registry, one: Metric) -> Thresholds:
    labels = dict.fromkeys(one.labels, "any")
    return registry.thresholds(one.series(**labels))


def _uuid(*parts: str) -> str:
    """The same for the same thing, so that a new import changes what is there; of version 4, as
    Zabbix takes no other.
    """
    digits = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    return f"{digits[:12]}4{digits[13:16]}8{digits[17:]}"
