"""Which hosts are watched, and how they are reached."""

from pathlib import Path
from textwrap import dedent

import pytest

from stellwerk.loadtest.hosts import HERE, chosen, command
from stellwerk.loadtest.source import Project
from stellwerk.loadtest.watched import choose
from stellwerk.settings.errors import SettingsError

INVENTORY = """
all = ([
    ("lb-1", {"ssh_hostname": "198.18.0.1"}),
    ("app-1", {
        "ssh_hostname": "198.18.0.2",
        "ssh_user": "deploy",
        "ssh_port": 2222,
        "ssh_key": "~/.ssh/app",
        "ssh_strict_host_key_checking": "yes",
        "ssh_known_hosts_file": "known",
    }),
    ("198.18.0.3", {}),
], {"ssh_config_file": "shared/ssh_config"})
balancers = ["lb-1"]
apps = ["app-1", "198.18.0.3"]
databases = [("@local", {"address": "198.18.0.4"})]
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "inventory").write_text(dedent(INVENTORY))
    (tmp_path / "group_data").mkdir()
    return Project(None, tmp_path / "inventory")


@pytest.mark.parametrize(
    ("names", "hosts"),
    [
        ([], ["lb-1", "app-1", "198.18.0.3", "local"]),
        (["all"], ["lb-1", "app-1", "198.18.0.3", "local"]),
        (["apps"], ["app-1", "198.18.0.3"]),
        (["app-1", "balancers", "lb-1"], ["lb-1", "app-1"]),
    ],
)
def test_hosts_are_chosen_by_name_and_group(
    project: Project, names: list[str], hosts: list[str]
) -> None:
    assert [host.name for host in chosen(project.cluster, names)] == hosts


def test_an_unknown_name_is_said_with_the_nearest(project: Project) -> None:
    with pytest.raises(SettingsError) as caught:
        chosen(project.cluster, ["app-9", "balancer"])
    assert caught.value.sentences == (
        "app-9: no group or host of the inventory; did you mean app-1?",
        "balancer: no group or host of the inventory; did you mean balancers?",
    )


def _options(words: list[str]) -> set[str]:
    return {words[place + 1] for place, word in enumerate(words) if word == "-o"}


def test_ssh_reaches_a_host_as_its_data_says(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/operator")
    words = command(project.cluster.host("app-1"))
    assert words[0] == "ssh"
    assert words[words.index("-F") + 1] == "shared/ssh_config"
    assert words[words.index("-i") + 1] == "/home/operator/.ssh/app"
    assert _options(words) >= {
        "User=deploy",
        "Port=2222",
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=yes",
        "UserKnownHostsFile=known",
        "BatchMode=yes",
    }
    assert words[-3:-1] == ["--", "198.18.0.2"]


def test_what_is_not_given_is_left_to_the_ssh_config(project: Project) -> None:
    words = command(project.cluster.host("198.18.0.3"))
    assert words[-3:-1] == ["--", "198.18.0.3"]
    assert "-i" not in words
    given = {option.partition("=")[0] for option in _options(words)}
    assert not given & {"User", "Port", "IdentitiesOnly", "UserKnownHostsFile"}
    assert "StrictHostKeyChecking=accept-new" in _options(words)


def test_the_control_machine_itself_is_asked_without_ssh(project: Project) -> None:
    assert command(project.cluster.host("local")) == list(HERE)


def _choose(project: Project, *names: str, no_hosts: bool = False) -> tuple[list[str], str, bool]:
    watched = choose(project, names, no_hosts=no_hosts, urls=(), local=False)
    return list(watched.hosts), watched.no_hosts, watched.hosts_required


def test_all_hosts_are_watched_as_far_as_they_answer_unless_named(project: Project) -> None:
    assert _choose(project) == (["lb-1", "app-1", "198.18.0.3", "local"], "", False)
    assert _choose(project, "balancers,app-1") == (["lb-1", "app-1"], "", True)
    assert _choose(project, no_hosts=True) == ([], "--no-watch-hosts was given", False)


def test_hosts_are_either_watched_or_not(project: Project) -> None:
    with pytest.raises(SettingsError, match="give one of them"):
        _choose(project, "apps", no_hosts=True)


def test_without_an_inventory_no_host_is_watched_and_it_is_known_why(tmp_path: Path) -> None:
    project = Project(tmp_path / "scenarios.yaml", tmp_path / "inventory")
    reason = f"{tmp_path}/inventory: there is no such inventory"
    assert _choose(project) == ([], reason, False)
    with pytest.raises(SettingsError, match="there is no such inventory"):
        _choose(project, "apps")
