"""Keeps secrets out of what a plan shows: the cluster's own, and lines that may hold others."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import BaseModel, SecretStr

from stellwerk.settings.cluster import Cluster

HIDDEN = "(a line that may hold a secret)"
_SUSPICIOUS = re.compile(r"passw|secret|token|auth\b|authorization|api.?key", re.IGNORECASE)
_SHORTEST = 4  # what is shorter is found in any text


@dataclass(frozen=True)
class Masking:
    """Hides lines that hold one of `secrets`, or a word that goes with one."""

    secrets: frozenset[str]

    def line(self, text: str) -> str:
        """The line as it may be shown."""
        if _SUSPICIOUS.search(text) or any(secret in text for secret in self.secrets):
            return HIDDEN
        return text

    def sentence(self, text: str) -> str:
        """The sentence with the secrets struck out."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def masking_of(cluster: Cluster) -> Masking:
    """Hides every secret of the settings, and the environment of services that have credentials."""
    found: set[str] = set()
    for host in cluster.hosts.values():
        found.update(_secrets(host.settings))
        for service in host.settings.services.values():
            if service.credentials:
                found.update(service.environment.values())
    return Masking(frozenset(one for one in found if len(one) >= _SHORTEST))


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield from value.get_secret_value().splitlines()
    elif isinstance(value, BaseModel):
        yield from _in_all(getattr(value, name) for name in type(value).model_fields)
    elif isinstance(value, dict):
        yield from _in_all(value.values())
    elif isinstance(value, list | tuple):
        yield from _in_all(value)


def _in_all(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        yield from _secrets(value)
