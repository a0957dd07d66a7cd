"""What a run is about to do to a host, as data: shown by a plan, recorded by the host. No effects.

Every operation decides on the same facts for a plan and for a run, so both say the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from deploys.engine.resources import Activation, ConfigSet, Facts, RedisRequest, Restart

_SYSTEMCTL_VERBS = {"start": "start", "restart": "restart", "try-restart": "restart"}


class Verb(StrEnum):
    """What happens to a unit."""

    START = "start"
    RELOAD = "reload"
    RESTART = "restart"
    STOP = "stop"


@dataclass(frozen=True)
class Effect:
    """A unit is not left alone."""

    verb: Verb
    unit: str

    def __str__(self) -> str:
        return f"{self.verb} {self.unit}"


@dataclass(frozen=True)
class Change:
    """One component of a host is not as wanted, and is brought there.

    `details`: what differs, a line each. `config`: the files it is about, if it has any.
    """

    component: str
    reason: str
    effects: tuple[Effect, ...] = ()
    details: tuple[str, ...] = ()
    config: ConfigSet | None = None

    @property
    def sentence(self) -> str:
        """What is done to what, for people."""
        return f"{self.component}: {self.reason}"

    def record(self) -> dict[str, Any]:
        """What the host writes down of it; no content of any file."""
        return {
            "component": self.component,
            "reason": self.reason,
            "details": list(self.details),
            "units": [str(effect) for effect in self.effects],
        }


@dataclass(frozen=True)
class Later:
    """What can only be decided when earlier parts of the run are done, and why."""

    component: str
    sentence: str


@dataclass(frozen=True)
class Left:
    """What is not as declared and stays so until somebody decides it."""

    component: str
    sentence: str


def config_change(config: ConfigSet, reason: str, facts: Facts) -> Change:
    """The change that brings a configuration into force."""
    activation = config.activation
    effects = tuple(effects_of(activation, facts))
    details = tuple(_about_restart(activation.restart)) if activation.restart else ()
    return Change(config.name, reason, effects, details, config)


def _about_restart(restart: Restart) -> Iterator[str]:
    if restart.needed_for:
        waits = "" if restart.allowed else ", which waits until that is allowed"
        yield f"takes a restart{waits}: {', '.join(restart.needed_for)}"
    if restart.perhaps_for:
        names = ", ".join(restart.perhaps_for)
        yield f"whether these take a restart is known when they were read: {names}"


def redis_change(request: RedisRequest, facts: Facts) -> Change:
    """The change that a request to a Redis or Sentinel is about."""
    verb = _REDIS_VERBS.get(request.tool)
    effects = (Effect(verb, request.document["unit"]),) if verb else ()
    details = tuple(_about_redis(request.document, facts))
    return Change(request.component, request.reason, effects, details)


_REDIS_VERBS = {"restart-redis": Verb.RESTART, "remove-redis": Verb.STOP}


def _about_redis(document: Mapping[str, Any], facts: Facts) -> Iterator[str]:
    port = str(document["port"])
    server = facts.get("redis", {}).get(port, {})
    present = server.get("config", {})
    for name, value in {**document.get("settings", {}), **document.get("directives", {})}.items():
        yield _from_to(name, present.get(name), value)
    for name in document.get("to_default", ()):
        yield _from_to(name, present.get(name), "as Redis has it by default")
    masters = facts.get("sentinel", {}).get(port, {}).get("masters", {})
    for command in document.get("commands", ()):
        match command:
            case ("SENTINEL", "SET", master, name, value):
                yield _from_to(name, masters.get(master, {}).get(name), value)
    if document.get("replicas") and server.get("replication", {}).get("role") == "master":
        yield "it is the master: a replica takes over before"


def _from_to(name: str, present: str | None, wanted: "str | Mapping[str, str]") -> str:
    if not isinstance(wanted, str) or any(word in name for word in _SECRET_WORDS):
        return f"{name}: differs (secret)"
    return f"{name}: {present or '(empty)'} -> {wanted or '(empty)'}"


_SECRET_WORDS = ("pass", "auth", "secret")  # in the names of directives


def effects_of(activation: Activation, facts: Facts) -> Iterator[Effect]:
    """What an activation does to units, as they are now."""
    found: dict[str, Verb] = {}
    for command in activation.commands:
        for effect in _of_command(command, facts):
            found[effect.unit] = effect.verb
    found |= {unit: Verb.RELOAD for unit in activation.reloads if _is_active(unit, facts)}
    unit = activation.unit
    if unit and not _is_active(unit, facts):
        found[unit] = Verb.START
    elif unit and activation.how != "start":
        found[unit] = Verb(activation.how)
    restart = activation.restart
    if restart and restart.allowed and restart.needed_for and _is_active(restart.unit, facts):
        found[restart.unit] = Verb.RESTART
    for name, verb in found.items():
        yield Effect(verb, name)


def _of_command(command: Sequence[str], facts: Facts) -> Iterator[Effect]:
    match command:
        case ("systemctl", verb, *_, unit) if verb in _SYSTEMCTL_VERBS:
            if verb != "try-restart" or _is_active(unit, facts):
                yield Effect(Verb(_SYSTEMCTL_VERBS[verb]), unit)


def _is_active(unit: str, facts: Facts) -> bool:
    state = facts.get("units", {}).get(unit, {})
    return bool(state.get("ActiveState") == "active")
