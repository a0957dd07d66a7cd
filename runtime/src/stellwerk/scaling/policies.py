"""The policies that settings make. Pure."""

from stellwerk.scaling.limits import Size
from stellwerk.scaling.model import Policy
from stellwerk.settings.root import Settings


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
        )
        for name, rules in scaling.services.items()
    }


def sizes(settings: Settings) -> dict[str, Size]:
    """What an instance of each service may use."""
    return {
        name: Size(float(service.cpu_percent), int(service.memory))
        for name, service in settings.services.items()
    }
