"""Makes pyinfra's @fake connector write down what would go to a host, standard input included.

A test's inventory imports it: it is the one file of ours that the pyinfra process reads.
"""

import json
import os
from pathlib import Path
from typing import Any

from pyinfra.connectors.fake import FakeConnector
from pyinfra.connectors.util import CommandOutput, OutputLine

FILE_VARIABLE = "STELLWERK_PLAN_RECORD"

_send = FakeConnector.run_shell_command


def _lock_given(stdin: str) -> CommandOutput:
    """What a host says to a run that asks for its lock, where no test has it say another thing."""
    answer = {"run": json.loads(stdin.splitlines()[-1])["run"], "last": ""}
    return CommandOutput([OutputLine("stdout", json.dumps(answer))])


def record() -> None:
    """Append every command to the file that the environment names, one JSON object a line."""
    path = Path(os.environ[FILE_VARIABLE])

    def recording(connector: FakeConnector, command: Any, *rest: Any, **arguments: Any) -> Any:
        text = command if isinstance(command, str) else command.get_raw_value()
        stdin = str(arguments.get("_stdin") or "")
        entry = {
            "host": connector.host.name.removeprefix("@fake/"),
            "command": text,
            "stdin": stdin,
        }
        with path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        done, output = _send(connector, command, *rest, **arguments)
        if done and not output.stdout and text.endswith(" lease"):
            return done, _lock_given(stdin)
        return done, output

    FakeConnector.run_shell_command = recording  # type: ignore[method-assign, assignment]
