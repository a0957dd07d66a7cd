"""The page that `make try` ends with: what runs where, a live answer, and how to go on."""

import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from stellwerk.settings.cluster import Cluster, ClusterHost, load_cluster
from tests.lab.errors import LabError
from tests.lab.lab import REPOSITORY, Lab

OURS = "aktienanalyse-*.service redis-*.service postgresql@*.service haproxy.service nginx.service"
LIST_UNITS = (
    f"systemctl list-units --plain --no-legend --type=service --state=active {OURS} | cut -d' ' -f1"
)


def main() -> int:
    """Print the page of the default lab; exit 1 where a host or the balancer does not answer."""
    cluster = load_cluster(
        inventory=REPOSITORY / "inventory",
        group_data=[REPOSITORY / "group_data"],
        generate_secrets=False,
    )
    lab = Lab(inventory=REPOSITORY / "inventory")
    url = f"http://{cluster.group('balancers')[0].address}"
    try:
        units = _units(lab, cluster.hosts.values())
        answer = _answer(lab, f"{url}/api/assets?symbol=AAPL")
    except (LabError, subprocess.CalledProcessError, OSError, ValueError) as error:
        print(f"The platform does not answer: {error}", file=sys.stderr)
        return 1
    print(page(cluster, units, url, answer))
    return 0


def page(
    cluster: Cluster, units: Sequence[Sequence[str]], url: str, answer: dict[str, object]
) -> str:
    """The page's text. `units` are the running units of each host, in the cluster's order."""
    rows = [
        (one.name, one.address, ", ".join(running))
        for one, running in zip(cluster.hosts.values(), units, strict=True)
    ]
    width = max(len(name) for name, _, _ in rows)
    hosts = "\n".join(f"  {name:{width}}  {address:12}  {runs}" for name, address, runs in rows)
    first = next(iter(cluster.hosts))
    asked = f"curl -s '{url}/api/assets?symbol=AAPL'"
    return f"""
The platform runs, and every part of it was verified.

What runs where
{hosts}

Ask it (the lab's network is its own, so from inside it)
  .venv/bin/python -m tests.lab net -- {asked}
  answered just now: {json.dumps(answer)[:160]}

Look inside
  .venv/bin/python -m tests.lab exec {first} -- bash           a shell on a host
  .venv/bin/python -m tests.lab exec app-1 -- journalctl -n 20 -u 'aktienanalyse-*'
  .venv/bin/stellwerk settings explain db-1 redis.maxmemory    where a value comes from

Change something
  edit a file in group_data/, then: .venv/bin/pyinfra inventory deploys/all.py
  A run that has nothing to do changes nothing.

Go on with your own hosts (Debian 12 or 13, reached by SSH)
  put them into `inventory`, then: .venv/bin/pyinfra inventory deploys/all.py

Done? make lab-down
"""


def _units(lab: Lab, hosts: Iterable[ClusterHost]) -> list[list[str]]:
    with ThreadPoolExecutor() as pool:
        answers = pool.map(lambda one: lab.run(one.name, LIST_UNITS).stdout.split(), hosts)
        return [[unit.removesuffix(".service") for unit in units] for units in answers]


def _answer(lab: Lab, url: str) -> dict[str, object]:
    command = lab.net_command(["curl", "--silent", "--show-error", "--fail", url])
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


if __name__ == "__main__":
    sys.exit(main())
