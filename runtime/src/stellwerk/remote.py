"""Runs a command of ours on a host of the cluster, for an operator on the control machine: over
SSH, with the terminal passed through and the exit code kept.
"""

import getpass
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from stellwerk.settings.cluster import Cluster, ClusterHost, load_cluster
from stellwerk.settings.errors import SettingsError
from stellwerk.ssh import LOCAL, ssh_words

OPERATOR_VARIABLE: Final = "STELLWERK_OPERATOR"
"""Environment variable by which the host learns who asked."""
_GROUPS: Final = ("monitors", "databases")
"""Whose hosts may change the ledger, the first that answers is asked."""
_AT_A_TIME: Final = 16
_ANSWER_SECONDS: Final = 30
_INTERRUPTED: Final = 130
_NOT_FOUND: Final = 127
_SSH_FAILED: Final = 255


class RemoteError(Exception):
    """The command cannot be run on any host; the message is one sentence."""


def run_on_cluster(inventory: Path, words: Sequence[str]) -> int:
    """Run `stellwerk WORDS` on a host that may change the ledger; return its exit code.

    Raises RemoteError where no host can be asked, SettingsError for a wrong inventory.
    """
    host = _chosen(_candidates(load(inventory)))
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    code = _call(_command(host, words, operator(), terminal=terminal))
    if code == _NOT_FOUND:
        raise RemoteError(f"{host.name}: Stellwerk is not installed there; deploy to it first")
    if code == _SSH_FAILED:
        raise RemoteError(f"{host.name}: the SSH connection could not be made, or broke")
    return code


@dataclass(frozen=True)
class Answer:
    """What a host said; `sentence` is about why it said nothing of use."""

    output: str
    sentence: str


def ask_hosts(hosts: Sequence[ClusterHost], words: Sequence[str]) -> Mapping[str, Answer]:
    """Run `stellwerk WORDS` on every host, side by side; what each printed, by its name."""
    with ThreadPoolExecutor(max_workers=_AT_A_TIME) as pool:
        answers = pool.map(lambda host: _answer(host, words), hosts)
        return {host.name: answer for host, answer in zip(hosts, answers, strict=True)}


def _answer(host: ClusterHost, words: Sequence[str]) -> Answer:
    command = _command(host, words, operator(), terminal=False)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Answer("", f"no answer within {_ANSWER_SECONDS} s")
    except OSError as error:
        return Answer("", f"{command[0]}: cannot be run: {error.strerror}")
    if done.returncode == _NOT_FOUND:
        return Answer("", "Stellwerk is not installed there; deploy to it first")
    said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["it says nothing"]
    return Answer(done.stdout, said[-1])


def load(inventory: Path) -> Cluster:
    """The cluster of an inventory and the settings beside it. Raises SettingsError."""
    if not inventory.is_file():
        raise SettingsError(
            [
                f"{inventory}: there is no such inventory; run this where your inventory is, give"
                " --inventory FILE, or run it on a host of the cluster"
            ]
        )
    folder = inventory.parent / "group_data"
    return load_cluster(inventory, [folder], generate_secrets=False)


def operator() -> str:
    """Who asks, as the ledger records it: a name given by the control machine, else the user who
    is logged in here.
    """
    given = os.environ.get(OPERATOR_VARIABLE)
    if given:
        return given
    return f"{os.environ.get('SUDO_USER') or _user()} on {platform.node()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _candidates(cluster: Cluster) -> list[ClusterHost]:
    found = {host.key: host for group in _GROUPS for host in cluster.group(group)}
    if not found:
        raise RemoteError(f"the inventory has no host in {' or '.join(_GROUPS)} to ask")
    return list(found.values())


def _chosen(candidates: Sequence[ClusterHost]) -> ClusterHost:
    """The first host that lets us in. It is tried before, as a command whose connection breaks may
    have begun, and must not be given to the next host.
    """
    if len(candidates) == 1:
        return candidates[0]
    for host in candidates:
        if host.key == LOCAL or _call([*ssh_words(host, _options(False)), "true"]) == 0:
            return host
        click.echo(f"{host.name}: cannot be reached over SSH, trying the next", err=True)
    names = ", ".join(host.name for host in candidates)
    raise RemoteError(f"none of {names} can be reached over SSH")


def _command(
    host: ClusterHost, words: Sequence[str], asked_by: str, *, terminal: bool
) -> list[str]:
    program = f"{host.settings.runtime.prefix}/current/bin/stellwerk"
    there = ["env", f"{OPERATOR_VARIABLE}={asked_by}", program, *words]
    if host.data.get("_sudo"):
        # Without a terminal nobody could give a password: sudo is to say so and not to wait.
        there = ["sudo", *([] if terminal else ["-n"]), *there]
    if host.key == LOCAL:
        return there
    return [*ssh_words(host, _options(terminal)), shlex.join(there)]


def _options(terminal: bool) -> Mapping[str, str]:
    if terminal:
        return {"RequestTTY": "yes"}
    return {"BatchMode": "yes", "RequestTTY": "no"}


def _call(command: Sequence[str]) -> int:
    try:
        return subprocess.run(command, check=False).returncode
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OSError as error:
        raise RemoteError(f"{command[0]}: cannot be run: {error.strerror}") from None
