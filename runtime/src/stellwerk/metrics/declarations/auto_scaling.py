"""Metrics of the scaler. All but the first two are of the cluster: the one that leads has them.

The names of spec 2.2 are kept, with their units.
"""

from typing import Final

from stellwerk.metrics.model import Kind, Metric, Source
from stellwerk.metrics.units import Unit

_SERVICE: Final = ("scaled_service",)  # all series have a label `service` already

AVAILABILITY: Final = Metric(
    Source.AUTO_SCALING, "availability", Unit.FLAG, "1 while this host's scaler runs, otherwise 0."
)
LEADS: Final = Metric(
    Source.AUTO_SCALING,
    "leads",
    Unit.FLAG,
    "1 for the scaler that judges, 0 for one that stands by.",
)
DECISIONS: Final = Metric(
    Source.AUTO_SCALING,
    "decisions_per_hour",
    Unit.PER_HOUR,
    "Judgements of services, whether they changed anything or not.",
    Kind.COUNTER,
)
CHANGES: Final = Metric(
    Source.AUTO_SCALING,
    "changes_per_hour",
    Unit.PER_HOUR,
    "Decisions that changed the number of a service's instances.",
    Kind.COUNTER,
    labels=_SERVICE,
)
ACTIVE: Final = Metric(
    Source.AUTO_SCALING,
    "active_instances_total",
    Unit.NUMBER,
    "Instances of all services that are healthy and in rotation.",
)
UTILIZATION: Final = Metric(
    Source.AUTO_SCALING,
    "resource_utilization_percent",
    Unit.PERCENT,
    "What all wanted instances may use, of the limit over all services.",
    labels=("resource",),
)
DESIRED: Final = Metric(
    Source.AUTO_SCALING,
    "desired_instances",
    Unit.NUMBER,
    "Instances a service is to have.",
    labels=_SERVICE,
)
SERVING: Final = Metric(
    Source.AUTO_SCALING,
    "serving_instances",
    Unit.NUMBER,
    "Instances of a service that are healthy and in rotation.",
    labels=_SERVICE,
)
MINIMUM: Final = Metric(
    Source.AUTO_SCALING,
    "minimum_instances",
    Unit.NUMBER,
    "Instances a service has at least, as its settings say.",
    labels=_SERVICE,
)
MAXIMUM: Final = Metric(
    Source.AUTO_SCALING,
    "maximum_instances",
    Unit.NUMBER,
    "Instances a service has at most but in an emergency, as its settings say.",
    labels=_SERVICE,
)
EMERGENCY: Final = Metric(
    Source.AUTO_SCALING,
    "emergency",
    Unit.FLAG,
    "1 while a service is in an emergency, otherwise 0.",
    labels=_SERVICE,
)

METRICS: Final = (
    AVAILABILITY,
    LEADS,
    DECISIONS,
    CHANGES,
    ACTIVE,
    UTILIZATION,
    DESIRED,
    SERVING,
    MINIMUM,
    MAXIMUM,
    EMERGENCY,
)
