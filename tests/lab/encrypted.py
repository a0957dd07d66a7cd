"""A cluster with TLS between its hosts from the start: one with everything, and one with instances
and Prometheus.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.lab.platform import Node, Platform

SERVING = Node("safe-1", "198.18.0.71", ("balancers", "apps", "caches", "sentinels", "databases"))
WATCHING = Node("watch-1", "198.18.0.72", ("apps", "monitors"), release="trixie")
INTERVAL = 2
WITHOUT_PROMETHEUS = 'monitoring["prometheus"]["enabled"] = False\n'
_SETTINGS = f"""
monitoring["interval_seconds"] = {INTERVAL}
monitoring["alerts"] = {{"down_seconds": {INTERVAL}, "recovery_seconds": {INTERVAL}}}
monitoring["prometheus"] = {{"enabled": True}}
"""


@contextmanager
def encrypted_cluster(name: str, folder: Path, *, swapped: bool = False) -> Iterator[Platform]:
    """The cluster after one complete run. Debian 12 serves and 13 watches, or the other way round
    where they are swapped.
    """
    nodes = (SERVING, WATCHING)
    if swapped:
        nodes = (
            replace(SERVING, release=WATCHING.release),
            replace(WATCHING, release=SERVING.release),
        )
    platform = Platform(name, nodes, folder)
    (folder / "group_data" / "tls.py").write_text("tls = {'enabled': True}\n")
    declare_monitoring(platform)
    platform.lab.up()
    platform.lab.reset("bare")
    platform.deploy()
    yield platform
    platform.lab.down()


def declare_monitoring(platform: Platform, more: str = "") -> None:
    """Declare Prometheus with times that are short, and something more."""
    shipped = (platform.project / "group_data" / "monitoring.py").read_text()
    (platform.folder / "group_data" / "monitoring.py").write_text(shipped + _SETTINGS + more)
