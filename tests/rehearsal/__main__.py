"""`python -m tests.rehearsal INVENTORY`, behind `make rehearse`. Exits with 1 on any problem."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from stellwerk.settings.cluster import SettingsError
from tests.lab.errors import LabError
from tests.lab.lab import DEFAULT_INVENTORY, REPOSITORY, Lab
from tests.rehearsal.rehearsal import Rehearsal
from tests.rehearsal.stage import prepare

LAB = "rehearsal"
FOLDER = REPOSITORY / "build" / "rehearsal"


def main(arguments: Sequence[str] | None = None) -> int:
    """Rehearse an inventory and print the report; errors are one message."""
    options = _parser().parse_args(arguments)
    stage = None
    try:
        lab = Lab(options.name, options.folder / "booted")
        stage = prepare(options.inventory, REPOSITORY, options.folder, lab.ssh_config)
        try:
            report = Rehearsal(stage, lab, REPOSITORY, _say).run()
        finally:
            if not options.keep:
                lab.down()
    except (LabError, SettingsError) as error:
        print(f"Nothing is known of {options.inventory}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted; run it again, it starts anew.", file=sys.stderr)
        return 1
    print(report.text())
    if options.json:
        options.json.write_text(json.dumps(report.document(), indent=2) + "\n")
    if options.keep:
        _say(
            f"The hosts still run: .venv/bin/python -m tests.lab exec --name {options.name}"
            f" --inventory {stage.booted} HOST -- bash; end them with `down` in place of `exec ...`"
        )
    return 1 if report.problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.rehearsal", description=__doc__)
    parser.add_argument("inventory", type=Path, nargs="?", default=DEFAULT_INVENTORY)
    parser.add_argument("--json", type=Path, help="write the report to this file as well")
    parser.add_argument("--keep", action="store_true", help="leave the hosts running at the end")
    parser.add_argument("--name", default=LAB, help="name of the lab (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=argparse.SUPPRESS)
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
