"""The drop-in file explains itself and can hold any text, and nothing but parameters."""

import pytest

from stellwerk.database.configuration import quote_value, render
from stellwerk.database.quantities import GIBIBYTE
from stellwerk.database.setting import ParameterValue, SettingError
from stellwerk.database.tuning import HostResources, TuningInputs, tune
from tests.unit.database.postgres_server import Binaries, scratch_folder

TUNING = tune(HostResources(GIBIBYTE, 1), TuningInputs())


def test_each_setting_follows_its_reason() -> None:
    lines = render(TUNING, {}).splitlines()
    for setting in TUNING.settings:
        (place,) = (i for i, line in enumerate(lines) if line.startswith(f"{setting.name} = "))
        assert lines[place - 1] == f"# {setting.reason} ({setting.source})"


def test_the_worst_case_is_stated_at_the_top() -> None:
    assert "At worst PostgreSQL takes" in render(TUNING, {}).split("\n\n")[0]


def test_further_parameters_come_last_by_name_whatever_their_order() -> None:
    text = render(TUNING, {"port": 5432, "listen_addresses": "10.0.0.1, ::1", "ssl": True})
    assert text == render(TUNING, {"ssl": True, "listen_addresses": "10.0.0.1, ::1", "port": 5432})
    settings = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert settings[-3:] == ["listen_addresses = '10.0.0.1, ::1'", "port = 5432", "ssl = on"]


@pytest.mark.parametrize(
    "name",
    ["", "work mem", "Port", "port = 1\nssl", "a.b.c", "include", "include_dir", "1st", "x-y"],
)
def test_what_is_no_parameter_name_is_refused(name: str) -> None:
    with pytest.raises(SettingError):
        render(TUNING, {name: "1"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "a\x00b"])
def test_what_is_no_value_is_refused(value: ParameterValue) -> None:
    with pytest.raises(SettingError):
        render(TUNING, {"cluster_name": value})


def test_a_parameter_the_tuning_planned_with_cannot_be_slipped_in() -> None:
    with pytest.raises(SettingError, match="work_mem is chosen by the tuning"):
        render(TUNING, {"work_mem": "1GB"})


@pytest.mark.parametrize("value", ["256MB", "15min", "-1", "0.25", "on", "off"])
def test_plain_numbers_and_switches_stand_without_quotes(value: str) -> None:
    assert quote_value(value) == value


@pytest.mark.parametrize(
    "text",
    [
        "it's",
        "''",
        "back\\slash\\",
        "\\n is no line end",
        "line\nfeed\r\ttab\b\f",
        "# no comment",
        "naïve ☃",
        "'; DROP TABLE x; --",
        "",
        "%m [%p] %q%u@%d ",
        "\x01\x7f",
        "1e5",
        "12 monkeys",
    ],
)
def test_postgresql_reads_any_text_back(binaries: Binaries, text: str) -> None:
    with scratch_folder() as folder:
        (folder / "postgresql.conf").write_text(f"stellwerk.text = {quote_value(text)}\n")
        answer = binaries.run("postgres", "-D", str(folder), "-C", "stellwerk.text")
    # The test's own pipe turns a carriage return into a line feed.
    assert answer.stdout == text.replace("\r", "\n") + "\n", answer.stderr
