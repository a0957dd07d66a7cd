"""Root's tool for nginx's upstreams: what it takes from the agent, and what it leaves as it was."""

import json
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.host import nginx_process, nginx_upstreams
from deploys.host.command import Failure

from .conftest import Host, NginxProcesses

UNIT = nginx_process.UNIT
UPSTREAM = "frontend_upstream"
FIRST, LAST = 8401, 8404


pytestmark = pytest.mark.usefixtures("processes")


@pytest.fixture(autouse=True)
def folders(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """An nginx with two workers and one upstream without servers."""
    host.program("nginx", "! grep -rqs bad ${4%/*}")
    host.file("etc/nginx/nginx.conf", "http {}\n")
    host.file(f"etc/nginx/stellwerk/{UPSTREAM}.servers", nginx_upstreams.text_of([]))
    upstreams = {UPSTREAM: [FIRST, LAST]}
    host.file(
        "etc/stellwerk/allowed.json",
        json.dumps({"addresses": ["192.0.2.1", "fd00::1"], "upstreams": upstreams}),
    )
    host.file("run/stellwerk-nginx/.keep", "")
    for name, path in {
        "REQUEST": host.root / "request.json",
        "ALLOWED": host.root / "etc/stellwerk/allowed.json",
        "RESULT": host.root / "run/stellwerk-nginx/result.json",
        "NGINX": host.root / "etc/nginx",
        "SERVERS": host.root / "etc/nginx/stellwerk",
    }.items():
        monkeypatch.setattr(nginx_upstreams, name, path)


def servers(host: Host) -> str:
    return (host.root / f"etc/nginx/stellwerk/{UPSTREAM}.servers").read_text()


def result(host: Host) -> dict[str, Any]:
    found = json.loads((host.root / "run/stellwerk-nginx/result.json").read_text())
    assert isinstance(found, dict)
    return found


def ask(host: Host, document: Any) -> None:
    host.file("request.json", json.dumps(document))


def wants(host: Host, *wanted: tuple[int, str]) -> None:
    ask(host, {"upstreams": {UPSTREAM: wanted}})


def test_what_is_asked_is_written_checked_and_reloaded(host: Host) -> None:
    wants(host, (8402, "fd00::1"), (8401, "192.0.2.1"))
    nginx_upstreams.apply()
    assert servers(host).splitlines()[1:] == [
        "server 192.0.2.1:8401 max_fails=1 fail_timeout=5s;",
        "server [fd00::1]:8402 max_fails=1 fail_timeout=5s;",
    ]
    assert len(host.calls("systemctl reload")) == 1
    assert result(host) == {
        "reloaded": True,
        "error": "",
        "entering": {},
        "leaving": {UPSTREAM: {}},
    }


def test_what_is_so_already_is_neither_written_nor_reloaded(host: Host) -> None:
    wants(host, (8401, "192.0.2.1"))
    nginx_upstreams.apply()
    host.forget_calls()
    nginx_upstreams.apply()
    assert not host.calls()


def test_a_server_that_is_taken_out_is_told_with_the_processes_that_may_still_use_it(
    host: Host, processes: NginxProcesses
) -> None:
    wants(host, (8401, "192.0.2.1"), (8402, "192.0.2.1"))
    nginx_upstreams.apply()
    processes.add_by_reload(104)
    wants(host, (8401, "192.0.2.1"))
    nginx_upstreams.apply()
    assert result(host)["leaving"] == {UPSTREAM: {"8402": [101, 102, 103]}}


def test_a_further_reload_does_not_make_a_server_leave_for_longer(
    host: Host, processes: NginxProcesses
) -> None:
    wants(host, (8401, "192.0.2.1"), (8402, "192.0.2.1"))
    nginx_upstreams.apply()
    processes.add_by_reload(104)
    wants(host, (8402, "192.0.2.1"))
    nginx_upstreams.apply()
    processes.add_by_reload(105)
    wants(host)
    nginx_upstreams.apply()
    assert result(host)["leaving"] == {
        UPSTREAM: {"8401": [101, 102, 103], "8402": [101, 102, 103, 104]}
    }


def test_a_server_that_comes_back_does_not_leave_any_more(
    host: Host, processes: NginxProcesses
) -> None:
    wants(host, (8401, "192.0.2.1"))
    nginx_upstreams.apply()
    processes.add_by_reload(104)
    wants(host)
    nginx_upstreams.apply()
    processes.add_by_reload(105)
    wants(host, (8401, "192.0.2.1"))
    nginx_upstreams.apply()
    assert result(host)["leaving"] == {UPSTREAM: {}}


def test_a_server_on_a_host_that_left_the_cluster_may_stay_but_not_enter(
    host: Host, processes: NginxProcesses
) -> None:
    wants(host, (8401, "192.0.2.1"))
    nginx_upstreams.apply()
    allowed = {"addresses": ["192.0.2.9"], "upstreams": {UPSTREAM: [FIRST, LAST]}}
    host.file("etc/stellwerk/allowed.json", json.dumps(allowed))
    processes.add_by_reload(104)
    wants(host, (8401, "192.0.2.1"), (8402, "192.0.2.9"))
    nginx_upstreams.apply()
    assert "192.0.2.9:8402" in servers(host)
    wants(host, (8402, "192.0.2.1"))
    with pytest.raises(Failure, match=r"192\.0\.2\.1.*is no server"):
        nginx_upstreams.apply()


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"upstreams": []},
        {"upstreams": {"another": []}},
        {"upstreams": {"../../nginx.conf": []}},
        {"upstreams": {UPSTREAM: {}}},
        {"upstreams": {UPSTREAM: [[8400, "192.0.2.1"]]}},
        {"upstreams": {UPSTREAM: [[8405, "192.0.2.1"]]}},
        {"upstreams": {UPSTREAM: [["8401", "192.0.2.1"]]}},
        {"upstreams": {UPSTREAM: [[8401, "192.0.2.2"]]}},
        {"upstreams": {UPSTREAM: [[8401, "192.0.2.1; } bad"]]}},
        {"upstreams": {UPSTREAM: [[8401, "192.0.2.1", "backup"]]}},
        {"upstreams": {UPSTREAM: [[8401, "192.0.2.1"], [8401, "fd00::1"]]}},
        {"upstreams": {UPSTREAM: [8401]}},
    ],
)
def test_a_request_that_the_deploy_does_not_allow_changes_nothing(
    host: Host, document: object
) -> None:
    before = servers(host)
    ask(host, document)
    with pytest.raises(Failure):
        nginx_upstreams.apply()
    assert servers(host) == before
    assert not host.calls("reload")
    assert result(host)["error"]


def test_a_request_that_is_a_link_a_pipe_too_long_or_no_json_is_not_read(host: Host) -> None:
    path = host.root / "request.json"
    secret = host.file("secret", json.dumps({"upstreams": {UPSTREAM: []}}))
    path.symlink_to(secret)
    with pytest.raises(OSError, match="symbolic links"):
        nginx_upstreams.apply()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Failure, match="no file"):
        nginx_upstreams.apply()
    path.unlink()
    for content in ("x" * 70_000, "not json", "[" * 60_000):
        path.write_text(content)
        with pytest.raises(Failure):
            nginx_upstreams.apply()
    assert not host.calls("reload")


def test_what_nginx_refuses_stays_out_and_its_words_are_shown(host: Host) -> None:
    host.file("etc/nginx/conf.d/site.conf", "bad")
    before = servers(host)
    wants(host, (8401, "192.0.2.1"))
    with pytest.raises(Failure, match="refused by nginx"):
        nginx_upstreams.apply()
    assert servers(host) == before
    assert "refused by nginx" in result(host)["error"]


@pytest.mark.parametrize("how", ["reload fails", "no new workers"])
def test_a_reload_that_did_not_happen_brings_the_old_servers_back(host: Host, how: str) -> None:
    host.unit(UNIT, accepts="false" if how == "reload fails" else "true")
    before = servers(host)
    wants(host, (8401, "192.0.2.1"))
    with pytest.raises(Failure):
        nginx_upstreams.apply()
    assert servers(host) == before
    assert result(host)["reloaded"]
    assert result(host)["error"]


def test_a_nginx_that_does_not_run_takes_the_servers_when_it_starts(host: Host) -> None:
    (host.units / UNIT).unlink()
    wants(host, (8401, "192.0.2.1"))
    nginx_upstreams.apply()
    assert "192.0.2.1:8401" in servers(host)
    assert not host.calls("systemctl reload")


def test_a_run_killed_before_its_reload_is_made_up_for_by_the_next(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Nothing catches it, as nothing catches SIGKILL."""

    def kill(_: object) -> None:
        raise Killed

    wants(host, (8401, "192.0.2.1"))
    with monkeypatch.context() as patched:
        patched.setattr(nginx_process, "reload", kill)
        with pytest.raises(Killed):
            nginx_upstreams.apply()
    assert not result(host)["reloaded"]
    assert result(host)["entering"] == {UPSTREAM: [8401]}
    nginx_upstreams.apply()
    assert len(host.calls("systemctl reload")) == 1
    assert result(host)["reloaded"]


ADDRESSES = st.sampled_from(["192.0.2.1", "198.51.100.7", "fd00::1", "2001:db8::2"])


@given(st.dictionaries(st.integers(1, 65535), ADDRESSES))
def test_what_is_written_is_read_back_the_same(wanted: dict[int, str]) -> None:
    text = nginx_upstreams.text_of(wanted.items())
    assert dict(nginx_upstreams._servers(text)) == wanted
