"""Changed passwords of PostgreSQL: who may still use those of before. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from deploys.components import postgresql
from deploys.components.declaration import EMPTY, snapshot_of
from deploys.components.generations import Generation
from deploys.engine.resources import Facts
from stellwerk.instances.model import Instance
from stellwerk.settings import Settings

SESSION_END_SECONDS = 5.0  # PostgreSQL ends the sessions of a process that is gone well within this


@dataclass(frozen=True)
class Use:
    """Who uses a password, for people, and the seconds within which that ends by itself: 0 if it
    does not.
    """

    by: str
    ends_within: float = 0.0


def uses(
    settings: Settings, answer: Facts, generations: Mapping[str, Generation], hosts: Iterable[str]
) -> Mapping[str, Sequence[Use]]:
    """The logins of passwords of before, each with who uses it or may do so any moment.

    + answer: what PostgreSQL says
    + generations: those that instances are to run, by service
    + hosts: those that may have passwords of before in their files
    """
    former = postgresql.former(settings, answer)
    if not former:
        return {}
    instances = (snapshot_of(answer) or EMPTY).instances.values()
    holders = [*map(Use, hosts), *_instances(settings, instances, generations)]
    return {
        login: [*holders, *([Use(f"{count} sessions", SESSION_END_SECONDS)] if count else [])]
        for login, count in former.items()
    }


def longest(found: Mapping[str, Sequence[Use]]) -> float:
    """Seconds until all that ends by itself has ended."""
    return max((one.ends_within for uses in found.values() for one in uses), default=0.0)


def _instances(
    settings: Settings, instances: Iterable[Instance], generations: Mapping[str, Generation]
) -> Iterator[Use]:
    """Instances that were started before the present generation, with what was the password."""
    for one in sorted(instances, key=lambda one: one.key):
        generation = generations.get(one.key.service)
        if generation is not None and one.generation == generation.digest:
            continue
        service = settings.services.get(one.key.service)
        leaves = service is not None and one.leaves_for_good
        seconds = service.drain_timeout_seconds + service.stop_timeout_seconds if service else 0
        yield Use(f"{one.key} on {one.host}", seconds + SESSION_END_SECONDS if leaves else 0.0)
