"""A check says in one sentence what does not hold."""

import http.server
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploys.host import checks

from .conftest import Host


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with the status its path names."""

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"# HELP read_at When.\nread_at 1.75e+09\nread_at_all 9\n")
            return
        if self.path == "/garbage":
            self.wfile.write(b"no HTTP at all\r\n\r\n")
            return
        self.send_response(int(self.path[1:]))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    """Where a server answers."""
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def problem(check: checks.Check) -> str:
    failure = checks.first_failure([check], 0)
    return failure[1] if failure else ""


@pytest.mark.parametrize(
    ("path", "expected", "said"),
    [
        ("/200", 200, ""),
        ("/404", 404, ""),
        ("/503", 200, "answers 503, not 200"),
        ("/garbage", 200, "does not answer: no HTTP at all"),
    ],
)
def test_a_url_must_answer_with_its_status(url: str, path: str, expected: int, said: str) -> None:
    found = problem({"kind": "http", "url": f"{url}{path}", "status": expected})
    assert found.strip() == (f"{url}{path} {said}" if said else "")


@pytest.mark.parametrize(
    ("written_at", "said"),
    [(1.74e9, ""), (1.76e9, "a.service did not read {path} as it is now")],
)
def test_a_daemon_must_have_read_its_file_after_that_was_written(
    url: str, tmp_path: Path, written_at: float, said: str
) -> None:
    path = tmp_path / "daemon.yml"
    path.touch()
    os.utime(path, (written_at, written_at))
    assert problem(_reloaded(f"{url}/metrics", "read_at", path)) == said.format(path=path)


def test_a_daemon_that_cannot_say_when_it_read_its_file_did_not(url: str, tmp_path: Path) -> None:
    path = tmp_path / "daemon.yml"
    assert "did not read" in problem(_reloaded(f"{url}/metrics", "read_at", path))
    path.touch()
    assert "did not read" in problem(_reloaded(f"{url}/metrics", "no_such_metric", path))
    assert "does not answer" in problem(_reloaded(f"{url}/garbage", "read_at", path))


def _reloaded(url: str, metric: str, path: Path) -> checks.Check:
    about = {"url": url, "metric": metric, "files": [str(path)]}
    return {"kind": "reloaded", "unit": "a.service", **about}


def test_a_url_is_asked_without_a_proxy(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert problem({"kind": "http", "url": f"{url}/200"}) == ""


def test_a_port_without_a_server_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert "refused" in problem({"kind": "http", "url": f"http://127.0.0.1:{port}/"})


def test_a_unit_must_be_active(host: Host) -> None:
    host.unit("well.service")
    assert problem({"kind": "unit", "unit": "well.service"}) == ""
    assert "gone.service is inactive" in problem({"kind": "unit", "unit": "gone.service"})


def test_a_command_must_succeed_and_its_last_words_are_shown() -> None:
    failing = {"kind": "command", "command": ["sh", "-c", "echo one; echo two; exit 3"]}
    assert problem({"kind": "command", "command": ["true"]}) == ""
    assert problem(failing).endswith(": two")
    assert "is not installed" in problem({"kind": "command", "command": ["no-such-program"]})


def test_a_check_that_takes_a_moment_is_waited_for(host: Host) -> None:
    made = host.folder / "made"
    slow = ["sh", "-c", f"[ -e {made} ] || {{ touch {made}; exit 1; }}"]
    assert checks.first_failure([{"kind": "command", "command": slow}], 60) is None


def test_all_failures_are_listed_with_their_units_journal(host: Host) -> None:
    host.unit("well.service")
    wanted: list[checks.Check] = [
        {"kind": "unit", "unit": name} for name in ("a.service", "well.service", "b.service")
    ]
    wanted.append({"kind": "command", "command": ["false"]})
    failures = checks.all_failures(wanted, 0)
    assert [failure["unit"] for failure in failures] == ["a.service", "b.service", ""]
    assert failures[0]["journal"] == "journal of a.service"


class Haproxy:
    """HAProxy's admin socket: answers each command with what was set."""

    def __init__(self, path: Path, answer: str) -> None:
        self._server = socket.create_server(str(path), family=socket.AF_UNIX)
        self._answer = answer.encode()
        self.asked = b""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        client, _ = self._server.accept()
        with client:
            self.asked = client.recv(100)
            client.sendall(self._answer)

    def close(self) -> None:
        self._thread.join()
        self._server.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("DIGEST=new\n\n", ""),
        ("DIGEST=old\n\n", "did not take its new configuration"),
        ("Variable not found\n", "did not take its new configuration"),
    ],
)
def test_haproxy_must_run_with_the_wanted_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, said: str
) -> None:
    monkeypatch.setattr(checks, "HAPROXY", tmp_path / "admin.sock")
    haproxy = Haproxy(tmp_path / "admin.sock", answer)
    found = problem({"kind": "haproxy", "name": "DIGEST", "value": "new"})
    haproxy.close()
    assert haproxy.asked == b"show env DIGEST\n"
    assert found == (f"HAProxy {said}" if said else "")


def test_a_haproxy_that_does_not_answer_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "HAPROXY", tmp_path / "admin.sock")
    assert "No such file" in problem({"kind": "haproxy", "name": "DIGEST", "value": "new"})
