"""Facts of hosts that do not exist: bare ones, and ones that did everything they were told."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from deploys.engine.release import release_for

GIGABYTE = 1024**3
PREFIX = "/opt/stellwerk"
SECTIONS = (
    "run",
    "packages",
    "stamps",
    "files",
    "folders",
    "units",
    "redis",
    "sentinel",
    "passwords",
    "postgresql",
    "pins",
    "health_paths",
    "programs",
)

Facts = dict[str, Any]

# PostgreSQL as Debian installs it.
FRESH_POSTGRESQL: Facts = {
    "version": 150018,
    "database": "postgres",
    "roles": [],
    "databases": [{"name": "postgres", "owner": "postgres", "grants": []}],
    "extensions": ["plpgsql"],
    "schemas": [{"name": "public", "owner": "pg_database_owner"}],
    "default_privileges": [],
    "settings": [],
    "file_settings": [],
    "hba_errors": [],
}


def role(name: str, verifier: str) -> Facts:
    """A role that somebody else made."""
    return {
        "name": name,
        "attributes": ["LOGIN", "INHERIT"],
        "connection_limit": -1,
        "verifier": verifier,
        "settings": [],
        "memberships": [],
        "sessions": 0,
    }


_READING = ("verify", "look", "hold", "lease", "release-run", "query")


@dataclass(frozen=True)
class Sent:
    """A command that went to a host, and what it was given on standard input."""

    host: str
    command: str
    stdin: str

    @property
    def reads(self) -> bool:
        """Whether it leaves the host as it is: facts, locks and the checks at the end."""
        facts = self.command.startswith(('if [ "$(id -u)"', "set -e; t=$(mktemp -d)"))
        return facts or self.command.rpartition("/host ")[2] in _READING

    @property
    def tool(self) -> str:
        """The host tool that is called to change something; empty for all other commands."""
        program, _, name = self.command.partition("/host ")
        return name if program.endswith("/lib/stellwerk") and not self.reads else ""


def system(**changed: Any) -> Facts:
    """A Debian 12 machine that is large enough for every group."""
    return {
        "id": "debian",
        "version": "12",
        "codename": "bookworm",
        "architecture": "x86_64",
        "python": "3.11",
        "memory_bytes": 8 * GIGABYTE,
        "cpus": 4,
        "disk_free_bytes": {"/": 50 * GIGABYTE},
        "apt_locked": False,
        **changed,
    }


def bare(**changed: Any) -> Facts:
    """A host with nothing but Debian. The release lies unpacked, so that no test builds one."""
    name = release_for("3.11", "x86_64", PREFIX).name
    release = {"current": "", "releases": [name]}
    return {
        "system": system(**changed),
        **{section: {} for section in SECTIONS},
        "release": release,
    }


def obedient(sent: Iterable[Sent]) -> Facts:
    """A bare host after it did what it was told."""
    facts = bare()
    for one in sent:
        if one.tool:
            _STEPS[one.tool](facts, json.loads(one.stdin))
    return facts


def _packages(facts: Facts, document: Facts) -> None:
    facts["packages"] = dict.fromkeys(document["packages"], "1")


def _install(facts: Facts, document: Facts) -> None:
    for config in document["configs"]:
        unit = config["activate"]["unit"]
        contents = {file["path"]: base64.b64decode(file["content"]) for file in config["files"]}
        facts["stamps"][config["name"]] = {
            "digest": config["digest"],
            "files": [file["path"] for file in config["files"] if not file["seed"]],
            "directories": [folder["path"] for folder in config["directories"]],
            "units": [unit] if unit else [],
        }
        for folder in config["directories"]:
            facts["folders"][folder["path"]] = {
                key: folder[key] for key in ("mode", "owner", "group")
            }
        for file in config["files"]:
            facts["files"][file["path"]] = {
                "sha256": hashlib.sha256(contents[file["path"]]).hexdigest(),
                **{key: file[key] for key in ("mode", "owner", "group")},
            }
        if unit:
            facts["units"][unit] = {"ActiveState": "active"}
        for path, content in contents.items():
            if path.startswith("/etc/redis/redis-"):
                _start_redis(facts, content.decode())
            if path.startswith("/etc/redis/sentinel-"):
                _start_sentinel(facts, content.decode())


def _start_redis(facts: Facts, text: str) -> None:
    rows = (row.partition(" ") for row in text.splitlines() if not row.startswith("#"))
    config = {name: value.strip('"') for name, _, value in rows}
    config["masterauth"] = hashlib.sha256(config["masterauth"].encode()).hexdigest()
    replication = {"role": "master"}
    if "replicaof" in config:
        host, port = config["replicaof"].split()
        replication = {"role": "slave", "master_host": host, "master_port": port}
    facts["redis"][config["port"]] = {
        "config": config,
        "replication": replication,
        "keys": 0,
        "parameters": [],
    }


def _start_sentinel(facts: Facts, text: str) -> None:
    watched: dict[str, dict[str, str]] = {}
    port = ""
    for words in (row.split() for row in text.splitlines()):
        match words:
            case ["port", number]:
                port = number
            case ["sentinel", "monitor", name, host, redis_port, quorum]:
                watched[name] = {"ip": host, "port": redis_port, "quorum": quorum}
            case ["sentinel", option, name, value] if name in watched:
                watched[name][option] = value
    facts["sentinel"][port] = {
        "id": f"the Sentinel on port {port}",
        "masters": watched,
        "known": {},
        "accepts": re.findall(r"^user default .*#(\w+)", text, re.MULTILINE),
        "tells": hashlib.sha256(_value(text, "sentinel sentinel-pass").encode()).hexdigest(),
    }


def _value(text: str, directive: str) -> str:
    found = re.search(rf'^{directive} "(.*)"$', text, re.MULTILINE)
    return found[1] if found else ""


def _release(facts: Facts, document: Facts) -> None:
    facts["release"] = {"current": document["name"], "releases": [document["name"]]}


def _program(facts: Facts, document: Facts) -> None:
    service = document["prefix"].rpartition("/")[2]
    facts["programs"].setdefault(service, []).append(document["name"])


def _leave(_facts: Facts, _document: Facts) -> None:
    """What changes nothing that the facts of these tests show."""


_STEPS = {
    "packages": _packages,
    "install": _install,
    "release": _release,
    "program": _program,
    "redis": _leave,
    "postgresql": _leave,
}
