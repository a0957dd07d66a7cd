"""Commands about the cluster on the control machine: they run on a host, over SSH."""

import json
import shlex
from pathlib import Path
from textwrap import dedent

import pytest
from click.testing import CliRunner, Result

from stellwerk import remote
from stellwerk.cli import main
from stellwerk.instances import access

PROGRAM = "/opt/stellwerk/current/bin/stellwerk"
FAKE_SSH = """\
#!/usr/bin/env python3
import json, os, sys
here = os.path.dirname(__file__)
with open(f"{here}/calls", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
host = sys.argv[sys.argv.index("--") + 1]
codes = json.load(open(f"{here}/codes"))
print(json.dumps({"from": host}) if not codes.get(host) else "")
sys.exit(codes.get(host, 0))
"""


class Control:
    """A control machine: a folder with an inventory, and an ssh that only notes what it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ssh = folder / "bin" / "ssh"
        self.ssh.parent.mkdir()
        (folder / "group_data").mkdir()
        self.ssh.write_text(FAKE_SSH)
        self.ssh.chmod(0o755)
        self.answers({})
        self.inventory(
            """
            databases = [("db-1", {"address": "198.18.0.41"})]
            monitors = ["db-1"]
            """
        )

    def inventory(self, text: str) -> None:
        (self.folder / "inventory").write_text(dedent(text))

    def answers(self, codes: dict[str, int]) -> None:
        """With which exit codes ssh ends, by host."""
        (self.ssh.parent / "codes").write_text(json.dumps(codes))

    def run(self, *words: str) -> Result:
        result = CliRunner().invoke(main, words)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def calls(self) -> list[list[str]]:
        """The words of each ssh so far."""
        calls = self.ssh.parent / "calls"
        return (
            [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
        )

    def there(self) -> list[str]:
        """The words that the last ssh was to run on the host."""
        return shlex.split(self.calls()[-1][-1])


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Control:
    monkeypatch.setattr(access, "FOLDER", tmp_path / "no-host")
    monkeypatch.chdir(tmp_path)
    made = Control(tmp_path)
    monkeypatch.setenv("PATH", f"{made.ssh.parent}:/usr/bin:/bin")
    monkeypatch.setenv("STELLWERK_OPERATOR", "anna on control")
    return made


def test_the_same_words_run_on_a_host_that_may_change_the_ledger(control: Control) -> None:
    assert control.run("instances", "drain", "shop@8501", "--force").exit_code == 0
    (call,) = control.calls()
    assert call[call.index("--") + 1] == "db-1"
    assert control.there() == [
        "env",
        "STELLWERK_OPERATOR=anna on control",
        PROGRAM,
        *("instances", "drain", "shop@8501", "--force"),
    ]


def test_words_arrive_as_they_were_given(control: Control) -> None:
    control.run("rollout", "undo", "shop", "--to", "$(reboot); 'a b'")
    assert control.there()[3:] == ["rollout", "undo", "shop", "--to", "$(reboot); 'a b'"]


@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_exit_code_is_kept(control: Control, code: int) -> None:
    control.answers({"db-1": code})
    assert control.run("rollout", "status").exit_code == code


def test_another_inventory_may_be_named_at_any_place(control: Control) -> None:
    (control.folder / "inventory").rename(control.folder / "other")
    for words in (
        ("--inventory", "other", "--json"),
        ("list", "--json", "--inventory=other"),
    ):
        control.run("instances", *words)
        assert control.there()[3:] == ["instances", "list", "--json"]


def test_wrong_options_and_help_need_no_host(control: Control) -> None:
    assert control.run("rollout", "status", "--wach").exit_code == 2
    assert control.run("instances", "drain", "--help").exit_code == 0
    assert control.run("instances", "--inventory").exit_code == 2
    assert control.calls() == []


def test_ssh_reaches_the_host_as_the_deploys_do(control: Control) -> None:
    control.inventory(
        """
        databases = [("db-1", {"address": "198.18.0.41", "ssh_hostname": "198.18.0.41",
            "ssh_user": "operator", "ssh_port": 2222, "ssh_key": "/key", "_sudo": True,
            "ssh_config_file": "/config", "ssh_strict_host_key_checking": "yes",
            "ssh_known_hosts_file": "/known"})]
        """
    )
    control.run("instances")
    words = " ".join(control.calls()[-1])
    assert words.startswith("-F /config -i /key -o IdentitiesOnly=yes -o ")
    for option in (
        "User=operator",
        "Port=2222",
        "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=/known",
        "BatchMode=yes",
    ):
        assert f" -o {option} " in words
    assert " -- 198.18.0.41 " in words
    assert control.there()[:3] == ["sudo", "-n", "env"]


def test_the_first_host_that_answers_is_asked_and_only_that(control: Control) -> None:
    control.inventory(
        """
        databases = [("db-1", {"address": "198.18.0.41"})]
        monitors = [("mon-1", {"address": "198.18.0.51"}), ("mon-2", {"address": "198.18.0.52"})]
        """
    )
    control.answers({"mon-1": 255})
    result = control.run("rollout", "restart", "shop")
    assert result.exit_code == 0
    assert "mon-1: cannot be reached over SSH, trying the next" in result.output
    ran = [(call[call.index("--") + 1], call[-1] == "true") for call in control.calls()]
    assert ran == [("mon-1", True), ("mon-2", True), ("mon-2", False)]


def test_a_host_that_cannot_be_reached_or_has_no_stellwerk_is_one_sentence(
    control: Control,
) -> None:
    control.answers({"db-1": 255})
    lost = control.run("instances")
    control.answers({"db-1": 127})
    bare = control.run("instances")
    assert (lost.exit_code, bare.exit_code) == (1, 1)
    assert lost.output == "db-1: the SSH connection could not be made, or broke\n"
    assert bare.output == "db-1: Stellwerk is not installed there; deploy to it first\n"


def test_a_machine_without_ssh_is_one_sentence(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(control.folder))
    result = control.run("instances")
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "ssh: cannot be run" in result.output


def test_an_inventory_with_no_host_to_ask_says_which_groups_are_needed(control: Control) -> None:
    control.inventory('apps = [("app-1", {"address": "198.18.0.21"})]\n')
    result = control.run("instances")
    assert result.exit_code in (1, 2)
    assert "databases" in result.output


def test_all_hosts_are_asked_side_by_side_and_each_answers_for_itself(control: Control) -> None:
    control.inventory(
        """
        databases = [("db-1", {"address": "198.18.0.41"})]
        apps = [("app-1", {"address": "198.18.0.21", "_sudo": True})]
        """
    )
    control.answers({"app-1": 127})
    hosts = list(remote.load(control.folder / "inventory").hosts.values())
    answers = remote.ask_hosts(hosts, ["audit", "--json"])
    assert json.loads(answers["db-1"].output) == {"from": "db-1"}
    assert answers["app-1"].output == ""
    assert "deploy to it first" in answers["app-1"].sentence
    words = {call[call.index("--") + 1]: shlex.split(call[-1]) for call in control.calls()}
    assert words["db-1"][-2:] == words["app-1"][-2:] == ["audit", "--json"]
    assert words["app-1"][:2] == ["sudo", "-n"]
