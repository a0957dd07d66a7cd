"""The commands where their environment is wrong."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from stellwerk.sample.command import sample


def test_a_service_without_configuration_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.delenv("PORT", raising=False)
    result = CliRunner().invoke(sample, ["serve"])
    assert result.exit_code == 1
    assert result.output == "Error: PORT is not set: set it in the environment.\n"


def test_seeding_without_a_database_cannot_tell_whether_data_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DATABASE_HOST", raising=False)
    result = CliRunner().invoke(sample, ["seed", "--check"])
    assert result.exit_code == 2
    assert "DATABASE_HOST is not set" in result.output


def test_the_commands_are_known_without_loading_what_they_run() -> None:
    program = (
        "import sys; import stellwerk.sample.command;"
        "print(sorted({'aiohttp', 'asyncio', 'psycopg', 'redis'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert shown.stdout.strip() == "[]"
