"""Which balancers refuse connections. Asked only of those whose agent is lost: one that refuses
sends requests to nobody, and nobody has to wait for it.
"""

import asyncio
import contextlib
import errno
from typing import Final

from stellwerk.instances.availability import Cluster
from stellwerk.instances.configuration import AgentConfiguration, Balancer, ServiceFigures
from stellwerk.instances.model import Role

_SECONDS: Final = 4.0  # the kernel takes 3 s to find that a host of its network is not there


async def refusing(
    cluster: Cluster, configuration: AgentConfiguration
) -> frozenset[tuple[str, str]]:
    """The lost balancer hosts, with the services they do not serve, as (host, service)."""
    lost = [one for one in configuration.balancers if cluster.lost(one.name, Role.BALANCERS)]
    asked = [
        (balancer, figures)
        for balancer in lost
        for figures in configuration.services.values()
        if figures.balancer is not None
    ]
    answers = await asyncio.gather(*(_refuses(*one) for one in asked))
    return frozenset(
        (balancer.name, figures.name)
        for (balancer, figures), refused in zip(asked, answers, strict=True)
        if refused
    )


async def _refuses(balancer: Balancer, figures: ServiceFigures) -> bool:
    """Whether nobody listens there, or nobody is there. Silence is not taken for that: a firewall
    may keep this host from a balancer that serves others."""
    port = balancer.nginx_port if figures.balancer == "nginx" else figures.listen_port
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection(balancer.address, port)
    except TimeoutError:
        return False
    except OSError as error:
        return error.errno in (errno.ECONNREFUSED, errno.EHOSTUNREACH)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return False
