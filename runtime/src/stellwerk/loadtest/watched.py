"""What a run watches, from the options to sources that can be asked."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp

from stellwerk.loadtest import hosts
from stellwerk.loadtest.health_source import HealthSource
from stellwerk.loadtest.host_source import HostSource
from stellwerk.loadtest.source import Project
from stellwerk.loadtest.watch import Source
from stellwerk.settings.errors import SettingsError

THIS_MACHINE: Final = "this machine"


@dataclass(frozen=True)
class Watched:
    """What a run watches.

    + hosts: the commands of the cluster's hosts by their names
    + no_hosts: why there are none of these; empty where there are some
    + hosts_required: whether they were asked for by name, so that each has to answer
    + local: whether this machine is watched as well
    """

    hosts: Mapping[str, Sequence[str]]
    no_hosts: str = ""
    hosts_required: bool = False
    urls: tuple[str, ...] = ()
    local: bool = False

    @asynccontextmanager
    async def opened(self, authority_file: str | None) -> AsyncIterator[list[Source]]:
        """The sources. Raises OSError where the file of authorities cannot be read."""
        context = ssl.create_default_context(cafile=authority_file) if authority_file else None
        commands = {**self.hosts, **({THIS_MACHINE: hosts.HERE} if self.local else {})}
        asked = [HostSource(name, command) for name, command in commands.items()]
        async with aiohttp.ClientSession() as session:
            try:
                yield [*asked, *(HealthSource(session, url, context) for url in self.urls)]
            finally:
                await asyncio.gather(*(source.close() for source in asked))

    def required(self, source: Source) -> bool:
        """Whether there is to be no run where this source does not answer before it."""
        return self.hosts_required or source.name not in self.hosts


def choose(
    project: Project, names: Sequence[str], *, no_hosts: bool, urls: Sequence[str], local: bool
) -> Watched:
    """What to watch: the hosts and groups of these names, or all hosts where there is an inventory.

    + names: as given with --watch-hosts, with commas or without

    Raises SettingsError where hosts were named and are not to be found.
    """
    wanted = [name for part in names for name in part.split(",") if name]
    if wanted and no_hosts:
        raise SettingsError(["--watch-hosts and --no-watch-hosts: give one of them"])
    commands: dict[str, list[str]] = {}
    reason = "--no-watch-hosts was given" if no_hosts else ""
    if not no_hosts:
        try:
            found = hosts.chosen(project.cluster, wanted)
            commands = {host.name: hosts.command(host) for host in found}
        except SettingsError as error:
            if wanted:
                raise
            reason = error.sentences[0]
    return Watched(commands, reason, bool(wanted), tuple(urls), local)
