"""The command line of the lab: `python -m tests.lab up|down|status|exec|net|reset|save`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.lab import requirements
from tests.lab.errors import LabError
from tests.lab.lab import DEFAULT_INVENTORY, HostStatus, Lab
from tests.lab.ssh_access import DEFAULT_LAB

MEBIBYTE = 1024**2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors are printed as one message."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except LabError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again to go on, or `down`.", file=sys.stderr)
    return 1


def _run(options: argparse.Namespace) -> int:
    lab = Lab(options.name, options.inventory)
    if options.action == "up":
        lab.up()
    elif options.action == "down":
        lab.down()
    elif options.action == "save":
        lab.save(options.layer)
    elif options.action == "reset":
        lab.reset(options.to, options.hosts)
    elif options.action == "status":
        print(_table(lab.status()))
    else:
        _replace_by(lab, options)
    return 0


def _replace_by(lab: Lab, options: argparse.Namespace) -> None:
    """Become the command of `exec` or `net`, so that its streams and exit code are ours."""
    requirements.check()
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if options.action == "exec":
        words = lab.ssh_command(options.host, command)
    else:
        words = lab.net_command(command or [os.environ.get("SHELL", "/bin/sh")])
    os.execvp(words[0], words)


def _table(hosts: Sequence[HostStatus]) -> str:
    rows = [("HOST", "RELEASE", "ADDRESS", "STATE", "LAYER", "MEMORY")]
    for host in hosts:
        memory = f"{host.memory / MEBIBYTE:.0f} MiB" if host.memory is not None else "-"
        rows.append((host.name, host.release, str(host.address), host.state, host.layer, memory))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--inventory", type=Path, default=DEFAULT_INVENTORY, help="hosts to boot")
    common.add_argument(
        "--name",
        default=os.environ.get("STELLWERK_LAB", DEFAULT_LAB),
        help="which lab, where several run side by side (default: $STELLWERK_LAB or %(default)s)",
    )
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)

    def add(action: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(action, help=text, description=text, parents=[common])

    add("up", "boot all hosts of the inventory")
    add("down", "stop all hosts; what they wrote is kept")
    add("status", "show every host and its state")
    add("save", "keep the present state of all hosts as a layer").add_argument("layer")
    reset = add("reset", "take hosts back to a layer, by default the one they stand on")
    reset.add_argument("--to", metavar="LAYER", help="bare, or a saved layer")
    reset.add_argument("hosts", nargs="*", metavar="HOST")
    execute = add("exec", "run a command on a host, or open a shell there")
    execute.add_argument("host", metavar="HOST")
    execute.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    net = add("net", "run a command of this machine inside the lab's network")
    net.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    return parser


if __name__ == "__main__":
    sys.exit(main())
