"""What a deploy wants on a host, as data, and how it differs from what is there. No effects."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import SecretStr

Check = Mapping[str, Any]
Facts = Mapping[str, Any]
Command = tuple[str, ...]
NOT_AT_BOOT = ("disabled", "masked", "masked-runtime")  # UnitFileState of units gone after a reboot


@dataclass(frozen=True)
class File:
    """A file as it should be; its content may be a secret and is never shown but by a plan.

    `seed`: written once, then owned by the daemon that rewrites it. `shown`: whether a plan may
    show what differs; None: if everybody on the host may read it.
    """

    path: str
    content: str = field(repr=False)
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    seed: bool = False
    shown: bool | None = None

    @property
    def is_secret(self) -> bool:
        """Whether no output may show any of its content."""
        readable = bool(self.mode & 0o004)
        return not (readable if self.shown is None else self.shown)

    def document(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "content": base64.b64encode(self.content.encode()).decode(),
            "mode": self.mode,
            "owner": self.owner,
            "group": self.group,
            "seed": self.seed,
        }

    def as_fact(self) -> dict[str, Any]:
        """What the host reports when the file is as it should be."""
        digest = hashlib.sha256(self.content.encode()).hexdigest()
        return {"sha256": digest, "mode": self.mode, "owner": self.owner, "group": self.group}


@dataclass(frozen=True)
class Directory:
    path: str
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"

    def document(self) -> dict[str, Any]:
        return {"path": self.path, **self.as_fact()}

    def as_fact(self) -> dict[str, Any]:
        """What the host reports when the folder is as it should be."""
        return {"mode": self.mode, "owner": self.owner, "group": self.group}


@dataclass(frozen=True)
class Activation:
    """How a new configuration becomes the one in force.

    To a plan `reloads` says which units the commands reload, and `restart` what is known of a
    restart that they decide on.
    """

    unit: str | None = None
    how: Literal["reload", "restart", "start"] = "reload"
    commands: tuple[Command, ...] = ()
    daemon_reload: bool = False
    reloads: tuple[str, ...] = ()
    restart: "Restart | None" = None

    def document(self) -> dict[str, Any]:
        return {
            "unit": self.unit,
            "how": self.how,
            "commands": [list(command) for command in self.commands],
            "daemon_reload": self.daemon_reload,
        }


@dataclass(frozen=True)
class Restart:
    """Settings that take a restart of a unit, and those of which that is not known yet."""

    unit: str
    needed_for: tuple[str, ...]
    perhaps_for: tuple[str, ...]
    allowed: bool


@dataclass(frozen=True)
class ConfigSet:
    """Files that go live together: checked as one tree, activated and health checked once (C2).

    `check`: commands on the candidate; `{root}` is where its tree stands. `tree`: an existing
    folder that is part of the candidate, such as /etc/nginx. `lasting`: folders in which files of
    before are kept when they are no part of it any more, until its own commands remove them.
    """

    name: str
    files: tuple[File, ...]
    directories: tuple[Directory, ...] = ()
    absent: tuple[str, ...] = ()
    check: tuple[Command, ...] = ()
    tree: str | None = None
    activation: Activation = Activation()
    health: tuple[Check, ...] = ()
    health_seconds: float = 30
    lasting: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Names what should be active: another digest on the host means work is left to do."""
        wanted = {
            "files": [
                {"path": file.path, "seed": True} if file.seed else file.document()
                for file in self.files
            ],
            "directories": [folder.document() for folder in self.directories],
            "absent": self.absent,
            "unit": self.activation.unit,
        }
        return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()

    def document(self) -> dict[str, Any]:
        """The request to the host: everything it needs, secrets included."""
        return {
            "name": self.name,
            "digest": self.digest,
            "files": [file.document() for file in self.files],
            "directories": [folder.document() for folder in self.directories],
            "absent": list(self.absent),
            "check": [list(command) for command in self.check],
            "tree": self.tree,
            "activate": self.activation.document(),
            "health": [dict(check) for check in self.health],
            "health_seconds": self.health_seconds,
            "lasting": list(self.lasting),
        }


def why_install(config: ConfigSet, facts: Facts) -> str:
    """Why a configuration must be installed, as a few words; empty when it is active as wanted."""
    stamp = facts.get("stamps", {}).get(config.name)
    if stamp is None:
        return "not installed yet"
    for file in config.files:
        present = facts.get("files", {}).get(file.path)
        if not file.seed and present != file.as_fact():
            is_new = present is None and file.path not in stamp.get("files", (file.path,))
            return f"{file.path} {'is new' if is_new else _how_it_differs(file, present)}"
    for folder in config.directories:
        # Stamps of before did not name folders, so that nothing is known of these.
        known = facts.get("folders", {})
        if folder.path in known and known[folder.path] != folder.as_fact():
            return f"{folder.path} {_how_it_differs(folder, known[folder.path])}"
    if stamp["digest"] != config.digest:
        return "not active yet"
    return _why_start(config.activation.unit, facts)


def _how_it_differs(wanted: File | Directory, present: Mapping[str, Any] | None) -> str:
    if present is None:
        return "is missing"
    fact = wanted.as_fact()
    if "link" in present or fact.get("sha256") != present.get("sha256"):
        return "differs"
    if fact["mode"] != present["mode"]:
        return f"has mode {present['mode']:04o}, not {fact['mode']:04o}"
    return f"belongs to {present['owner']}:{present['group']}, not {fact['owner']}:{fact['group']}"


def _why_start(unit: str | None, facts: Facts) -> str:
    if not unit:
        return ""
    state = facts.get("units", {}).get(unit, {})
    if state.get("ActiveState") != "active":
        return f"{unit} is not active"
    if state.get("UnitFileState") in NOT_AT_BOOT:
        return f"{unit} is {state['UnitFileState']}"
    return ""


@dataclass(frozen=True)
class RedisRequest:
    """What a host's tool is to do with one of its Redis servers or Sentinels, and why."""

    tool: Literal["redis", "restart-redis", "remove-redis", "forget"]
    component: str
    reason: str
    document: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Secret:
    """A credential on the host, by its file's name."""

    name: str

    def document(self) -> dict[str, str]:
        return {"secret": self.name}


def digest_of(*parts: object) -> str:
    """A short name for a combination of values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def secret_digest(secret: SecretStr) -> str:
    """How a password is compared without being shown; also how Redis keeps it."""
    return hashlib.sha256(secret.get_secret_value().encode()).hexdigest()


def lines(*rows: str | Sequence[str]) -> str:
    """Text from rows, one a line, closed by a newline; sequences are flattened."""
    flat: list[str] = []
    for row in rows:
        flat.extend([row] if isinstance(row, str) else row)
    return "\n".join(flat) + "\n"
