"""The policies that settings make. Pure."""

from stellwerk.scaling.limits import Size
from stellwerk.scaling.model import CPU, Policy
from stellwerk.settings.root import Settings
from stellwerk.settings.scaling_policy import ServicePolicy


def policies(settings: Settings) -> dict[str, Policy]:
    """The policy of each service that has one."""
    scaling = settings.scaling
    return {
        name: Policy(
            service=name,
            minimum=settings.services[name].min_instances,
            maximum=settings.services[name].max_instances,
            rules=rules,
            emergency=scaling.emergency,
            idle=scaling.idle,
            schedule=scaling.schedule,
            events=scaling.predictive.events if scaling.predictive.enabled else {},
            event_lead_seconds=60.0 * scaling.predictive.prescale.lead_minutes,
        )
        for name, rules in scaling.services.items()
    }


def sizes(settings: Settings) -> dict[str, Size]:
    """What an instance of each service may use."""
    return {
        name: Size(float(service.cpu_percent), int(service.memory))
        for name, service in settings.services.items()
    }


def cpu_share(rules: ServicePolicy) -> float | None:
    """The CPU in percent that an instance is to have at most; None where no rule says so."""
    if rules.cpu_percent:
        return rules.cpu_percent.up_above
    target = rules.targets.get(CPU)
    return target.value if target else None
