"""Bring nginx's upstreams to the servers that the agent asks for, or leave all as it was.

The agent is not trusted: upstreams, ports and hosts are those that the deploy allows. What is asked
is tried with nginx's own check on a copy of its folder, put in place and reloaded; what came of it
is written for the agent, with the processes that may still use what was taken out.
"""

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from . import nginx_process, transaction
from .command import Failure, run, sentence_of

REQUEST = Path("/var/lib/stellwerk-agent/nginx-upstreams.json")
ALLOWED = Path("/etc/stellwerk/nginx-upstreams.json")
RESULT = Path("/run/stellwerk-nginx/result.json")
NGINX = Path("/etc/nginx")
SERVERS = NGINX / "stellwerk"

REQUEST_BYTES = 64 * 1024
HEADER = "# Written by Stellwerk's agent; what is changed here is overwritten.\n"
NO_SERVER = "server 127.0.0.1:1 down;"  # an upstream without any is refused; this one gets nothing

Server = tuple[int, str]
"""Port and address; a port is one instance in the whole cluster."""


@dataclass(frozen=True)
class Result:
    """What the agent is told, by upstream.

    `entering`: ports that nginx has yet to be reloaded for. `leaving`: by port the processes that
    ran when a server was taken out; when they have ended, no request of nginx's is left on it.
    """

    reloaded: bool = True
    error: str = ""
    entering: Mapping[str, Sequence[int]] = field(default_factory=dict)
    leaving: Mapping[str, Mapping[str, Sequence[int]]] = field(default_factory=dict)


def apply() -> int:
    """Do what the agent asks; nothing where it is so already.

    Raises:
        Failure: the request is not allowed, or nginx refused it; nginx serves on as before.
    """
    before = _last_result()
    try:
        wanted = _wanted(_request(), _document(ALLOWED))
        _bring_about({name: text_of(servers) for name, servers in wanted.items()}, before)
    except (Failure, OSError) as error:
        said = str(error) if isinstance(error, Failure) else sentence_of(error)
        _tell(replace(_last_result(), error=said))
        raise
    return 0


def text_of(servers: Iterable[Server]) -> str:
    """What nginx includes into an upstream. One server alone is asked whatever it answered."""
    ordered = sorted(servers)
    if not ordered:
        return f"{HEADER}{NO_SERVER}\n"
    passive_check = " max_fails=1 fail_timeout=5s" if len(ordered) > 1 else ""
    rows = [f"server {_endpoint(server)}{passive_check};\n" for server in ordered]
    return HEADER + "".join(rows)


def _bring_about(texts: Mapping[str, str], before: Result) -> None:
    present = {name: _path(name).read_text() for name in texts}
    changed = {name: text for name, text in texts.items() if present[name] != text}
    if not changed and before.reloaded:
        _tell(replace(before, error=""))
        return
    _try(changed)
    workers = nginx_process.workers()
    going = Result(
        reloaded=False,
        entering={name: _new_ports(present[name], text) for name, text in changed.items()},
        leaving=_leaving(present, texts, before, workers),
    )
    _tell(going)
    _put(changed)
    try:
        nginx_process.reload(workers)
    except Failure:
        _put({name: present[name] for name in changed})
        _tell(before)
        raise
    _tell(replace(going, reloaded=True, entering={}))


def _request() -> dict[str, Any]:
    """What the agent wrote. A link of its own making leads nowhere, and size is bounded."""
    descriptor = os.open(REQUEST, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Failure(f"{REQUEST} is no file")
        content = stream.read(REQUEST_BYTES + 1)
    if len(content) > REQUEST_BYTES:
        raise Failure(f"{REQUEST} is longer than {REQUEST_BYTES} bytes")
    try:
        return dict(json.loads(content))
    except (ValueError, TypeError, RecursionError):
        raise Failure(f"{REQUEST} is not what an agent of this release writes") from None


def _document(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise Failure(f"{path} is not what a deploy writes; run the deploy again") from error


def _wanted(request: Mapping[str, Any], allowed: Mapping[str, Any]) -> dict[str, list[Server]]:
    """The servers by upstream. Raises Failure where the deploy does not allow them."""
    upstreams = request.get("upstreams")
    if not isinstance(upstreams, dict):
        raise Failure(f"{REQUEST} names no upstreams")
    found = {}
    for name, servers in upstreams.items():
        if name not in allowed["upstreams"]:
            raise Failure(f"no upstream {name!r} of nginx's is the agent's; run the deploy again")
        if not isinstance(servers, list):
            raise Failure(f"the servers of {name} are no list")
        first, last = allowed["upstreams"][name]
        there = set(_servers(_path(name).read_text()))
        known = [server for server in there if first <= server[0] <= last]
        addresses = set(allowed["addresses"])
        ports = range(first, last + 1)
        found[name] = [_server(name, one, ports, addresses, known) for one in servers]
        if len({port for port, _ in found[name]}) != len(found[name]):
            raise Failure(f"a server of {name} is named twice")
    return found


def _server(
    upstream: str, asked: Any, ports: range, addresses: set[str], present: list[Server]
) -> Server:
    """A server on a host of the cluster, or one that is there already, as hosts leave clusters."""
    match asked:
        case [int(port), str(address)] if port in ports and (
            address in addresses or (port, address) in present
        ):
            return port, address
    raise Failure(f"{asked!r} is no server of {upstream} on a host that the last deploy here knew")


def _servers(text: str) -> Iterable[Server]:
    """The servers in a file of ours."""
    for line in text.splitlines():
        words = line.rstrip(";").split()
        if words[:1] == ["server"] and "down" not in words:
            address, _, port = words[1].rpartition(":")
            yield int(port), address.strip("[]")


def _endpoint(server: Server) -> str:
    port, address = server
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _new_ports(old: str, new: str) -> list[int]:
    there = set(_servers(old))
    return sorted(server[0] for server in _servers(new) if server not in there)


def _path(upstream: str) -> Path:
    return SERVERS / f"{upstream}.servers"


def _try(texts: Mapping[str, str]) -> None:
    """Have nginx judge a copy of its folder with the new files in it."""
    with tempfile.TemporaryDirectory() as folder:
        candidate = Path(folder) / "nginx"
        shutil.copytree(NGINX, candidate, symlinks=True)
        for name, text in texts.items():
            (candidate / _path(name).relative_to(NGINX)).write_text(text)
        done = run(["nginx", "-t", "-q", "-c", str(candidate / "nginx.conf")])
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).replace(str(candidate), str(NGINX))
            raise Failure("refused by nginx, so it serves on as before", said)


def _put(texts: Mapping[str, str]) -> None:
    owner = (os.geteuid(), os.getegid())
    for name, text in texts.items():
        path = _path(name)
        transaction.fill(path, text.encode(), owner, 0o644).replace(path)


def _leaving(
    present: Mapping[str, str], texts: Mapping[str, str], before: Result, workers: Sequence[int]
) -> dict[str, dict[str, list[int]]]:
    """By upstream and port the processes that may still use a server that is not wanted now."""
    found: dict[str, dict[str, list[int]]] = {}
    for name, text in texts.items():
        wanted = {str(port) for port, _ in _servers(text)}
        gone = {str(port): list(workers) for port, _ in _servers(present[name])}
        for port, pids in before.leaving.get(name, {}).items():
            gone.setdefault(port, [pid for pid in pids if pid in workers])
        found[name] = {port: pids for port, pids in gone.items() if port not in wanted and pids}
    return found


def _last_result() -> Result:
    try:
        return Result(**json.loads(RESULT.read_text()))
    except (OSError, ValueError, TypeError):
        return Result()


def _tell(result: Result) -> None:
    owner = (os.geteuid(), os.getegid())
    content = json.dumps(asdict(result), indent=1).encode()
    transaction.fill(RESULT, content, owner, 0o644).replace(RESULT)
