"""A command of the tools takes one document and fails with one sentence."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploys.host.command import Failure, run, run_or_fail, sentence_of

TOOLS = Path(__file__).parents[3] / "deploys" / "host"


def call(command: str, stdin: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(TOOLS), command],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("cut", ["", '{"name": "redis", "fi'])
def test_a_request_that_arrived_incomplete_changes_nothing_and_says_so(cut: str) -> None:
    done = call("install", cut)
    assert done.returncode == 1
    assert done.stderr == (
        "the run that sent this was interrupted; nothing was changed, run again\n"
    )


def test_facts_are_one_json_document() -> None:
    answer = json.loads(call("facts", '{"sections": ["system"]}').stdout)
    assert answer["system"]["memory_bytes"] > 0
    assert set(answer["system"]["disk_free_bytes"]) >= {"/", "/var"}


def test_a_program_that_is_missing_or_silent_is_a_result_and_no_exception() -> None:
    assert run(["no-such-program"]).returncode == 127
    assert run(["sleep", "60"], timeout=0.05).stderr == "no answer within 0.05 s"


def test_a_failed_command_is_named_with_its_last_words() -> None:
    with pytest.raises(Failure, match=r"^sh -c .* failed: two$"):
        run_or_fail(["sh", "-c", "echo one; echo two; exit 1"])


def test_what_the_operating_system_refuses_is_a_sentence() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/var/x")
    assert sentence_of(full) == "the disk is full (/var/x): free some space and run again"
    assert sentence_of(PermissionError(errno.EACCES, "Permission denied", "/x")) == (
        "Permission denied (/x)"
    )
