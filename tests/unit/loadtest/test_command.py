"""The command as a user runs it, against servers on loopback."""

import json
import resource
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from stellwerk.loadtest.command import loadtest
from stellwerk.sample.dataset import Amounts

pytestmark = pytest.mark.programs

ERRORS = {"/broken"}
SLOW_SECONDS = {"/slow": 0.1}
AWAITED = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/awaited":
            AWAITED.set()
        time.sleep(SLOW_SECONDS.get(path, 0))
        body = json.dumps({"metrics": {"cpu_percent": 12.5, "response_time_ms": 3}}).encode()
        self.send_response(500 if path in ERRORS else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 500


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in a folder of its own, where no inventory names real hosts."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as started:
        threading.Thread(target=started.serve_forever, daemon=True).start()
        yield started
        started.shutdown()


@pytest.fixture
def url(server: _Server) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def scenarios(folder: Path, path: str = "/fine", **scenario: object) -> Path:
    """A file with one scenario, `own`, that asks a p95 of 80 ms of one path."""
    values = {
        "loadtest": {
            "scenarios": {
                "own": {
                    "duration_seconds": 1,
                    "virtual_users": 20,
                    "requests_per_second": 20,
                    **scenario,
                }
            },
            "mixes": {"api": {"one": {"service": "shop", "path": path}}},
            "sample_interval_seconds": 1,
        },
        "baselines": {
            "measures": {
                "shop": {f"GET {path}": {"unit": "ms", "p95": {"target": 80, "current": 70}}}
            }
        },
    }
    file = folder / "scenarios.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def command(*arguments: object) -> list[str]:
    program = "from stellwerk.cli import main; main()"
    return [sys.executable, "-c", program, "loadtest", *map(str, arguments)]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(loadtest, list(map(str, arguments)))


def report(folder: Path, *arguments: object) -> tuple[int, Mapping[str, Any], str]:
    """Run, and return the exit code, the JSON report and what was printed."""
    path = folder / "report.json"
    done = run("run", "own", "--json", path, *arguments)
    assert path.exists(), done.stderr
    return done.exit_code, json.loads(path.read_text()), done.stdout


def failed_checks(values: Mapping[str, Any]) -> set[tuple[str, str]]:
    return {(c["subject"], c["statistic"]) for c in values["checks"] if c["outcome"] == "failed"}


def test_a_run_reports_in_every_form_and_keeps_itself_for_comparison(
    tmp_path: Path, url: str
) -> None:
    _, values, text = report(
        tmp_path,
        *("--url", url, "--scenarios", scenarios(tmp_path, duration_seconds=2), "--watch-local"),
        *("--watch", f"{url}/health", "--history", tmp_path / "runs"),
        *("--junit", tmp_path / "r.xml", "--html", tmp_path / "r.html"),
    )
    (endpoint,) = values["endpoints"]
    assert (endpoint["requests"], endpoint["error_percent"]) == (40, 0)
    watched = {sample["source"] for sample in values["watched"]}
    assert watched == {"this machine", url.removeprefix("http://")}
    assert text.startswith("own: ")
    assert (tmp_path / "r.xml").read_text().startswith("<?xml")
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert len(list((tmp_path / "runs").glob("own-*.json"))) == 1


def test_a_planted_slow_endpoint_is_found(tmp_path: Path, url: str) -> None:
    code, values, _ = report(tmp_path, "--url", url, "--scenarios", scenarios(tmp_path, "/slow"))
    assert ("GET /slow", "p95") in failed_checks(values)
    assert code in (1, 3)  # 3 where other work on this machine delays the generator


def test_planted_errors_are_found(tmp_path: Path, url: str) -> None:
    code, values, _ = report(tmp_path, "--url", url, "--scenarios", scenarios(tmp_path, "/broken"))
    assert ("GET /broken", "errors") in failed_checks(values)
    assert code in (1, 3)


def test_a_generator_asked_for_too_much_says_so(tmp_path: Path, url: str) -> None:
    # No process of this kind starts a million requests a second, however quick the machine.
    file = scenarios(tmp_path, duration_seconds=1, requests_per_second=10**6, virtual_users=4)
    values = yaml.safe_load(file.read_text())
    values["loadtest"]["longest_wait_seconds"] = 1
    file.write_text(yaml.safe_dump(values))
    code, told, text = report(tmp_path, "--url", url, "--scenarios", file, "--processes", 1)
    assert code == 3
    assert text.startswith("own: NO VERDICT, the load generator fell behind")
    assert told["generator"]["weaknesses"]


def test_several_processes_share_the_work(tmp_path: Path, url: str) -> None:
    _, values, _ = report(
        tmp_path, "--url", url, "--scenarios", scenarios(tmp_path), "--processes", 3
    )
    generator = values["generator"]
    assert (generator["processes"], generator["started"]) == (3, 20)


def test_ctrl_c_ends_a_run_with_the_verdict_so_far(tmp_path: Path, url: str) -> None:
    file = scenarios(tmp_path, "/awaited", duration_seconds=600)
    path = tmp_path / "report.json"
    arguments = ("run", "own", "--url", url, "--scenarios", file, "--json", path)
    with subprocess.Popen(command(*arguments), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert AWAITED.wait(60)
        process.send_signal(signal.SIGINT)
        text = process.stdout.read()
        assert process.wait() in (0, 1, 3)
    values = json.loads(path.read_text())
    assert values["interrupted"]
    assert "Interrupted after" in text
    assert values["endpoints"][0]["requests"] > 0


def test_the_verdict_is_printed_though_there_is_no_room_for_its_report(
    tmp_path: Path, url: str
) -> None:
    page = tmp_path / "page.html"
    arguments = ("run", "own", "--url", url, "--scenarios", scenarios(tmp_path), "--html", page)
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert done.stdout.startswith("own: ")
    assert done.stderr == f"{page}: the report was not written: File too large\n"
    assert done.returncode in (2, 3)
    assert [path.name for path in tmp_path.iterdir()] == ["scenarios.yaml"]


def test_too_few_open_files_for_the_users_is_one_sentence(tmp_path: Path, url: str) -> None:
    file = scenarios(tmp_path, virtual_users=100)
    done = subprocess.run(
        command("run", "own", "--url", url, "--scenarios", file),
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100)),
    )
    assert done.returncode == 2
    assert done.stderr == (
        "Error: A process of the load generator ended: 100 users need more open files than the"
        " limit of 100 (ulimit -Hn)\n"
    )


def test_an_unreachable_server_is_one_sentence(tmp_path: Path) -> None:
    url = "http://127.0.0.1:1"
    done = run("run", "own", "--url", url, "--scenarios", scenarios(tmp_path))
    assert done.exit_code == 2
    assert done.stderr == f"Error: {url}: cannot be reached: connection refused\n"


def test_a_health_answer_that_cannot_be_watched_is_one_sentence(tmp_path: Path, url: str) -> None:
    watched = "http://127.0.0.1:1/health"
    done = run(
        *("run", "own", "--url", url, "--scenarios", scenarios(tmp_path), "--watch", watched)
    )
    assert done.exit_code == 2
    assert done.stderr.startswith(f"Error: {watched}: cannot be watched: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("shop.example", "is not a URL; give one as http://HOST:PORT"),
        ("ftp://shop.example", "is not a URL; give one as http://HOST:PORT"),
        ("http://shop.example:http", "is not a URL; give one as http://HOST:PORT"),
        ("http://a@shop.example/", "give only scheme, host, port and path"),
        ("http://shop.invalid", "the name shop.invalid has no address"),
    ],
)
def test_a_wrong_url_is_one_sentence(tmp_path: Path, url: str, sentence: str) -> None:
    done = run("run", "own", "--url", url, "--scenarios", scenarios(tmp_path))
    assert done.exit_code == 2
    assert done.stderr.startswith(f"Error: {url}: {sentence}")
    assert done.stderr.count("\n") == 1


def test_an_unknown_scenario_is_said_before_the_server_is_asked(tmp_path: Path) -> None:
    done = run("run", "owm", "--url", "http://127.0.0.1:1", "--scenarios", scenarios(tmp_path))
    assert (done.exit_code, done.stderr) == (2, "owm: unknown scenario; did you mean own?\n")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


@pytest.fixture(scope="module")
def tls_url(certificate: tuple[Path, Path]) -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Handler) as started:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        started.socket = context.wrap_socket(started.socket, server_side=True)
        threading.Thread(target=started.serve_forever, daemon=True).start()
        yield f"https://127.0.0.1:{started.server_port}"
        started.shutdown()


def test_tls_is_verified_with_the_authority_given(
    tmp_path: Path, tls_url: str, certificate: tuple[Path, Path]
) -> None:
    _, values, _ = report(
        tmp_path,
        *("--url", tls_url, "--ca", certificate[0], "--scenarios", scenarios(tmp_path)),
        *("--watch", f"{tls_url}/health"),
    )
    (endpoint,) = values["endpoints"]
    assert (endpoint["requests"], endpoint["error_percent"]) == (20, 0)


def test_a_certificate_that_does_not_verify_is_one_sentence(tmp_path: Path, tls_url: str) -> None:
    done = run("run", "own", "--url", tls_url, "--scenarios", scenarios(tmp_path))
    assert done.exit_code == 2
    assert done.stderr.startswith(f"Error: {tls_url}: its certificate does not verify: self-signed")
    assert done.stderr.endswith("give its certificate with --ca FILE\n")


def test_a_file_that_holds_no_certificate_is_one_sentence(tmp_path: Path, tls_url: str) -> None:
    file = scenarios(tmp_path)
    done = run("run", "own", "--url", tls_url, "--ca", file, "--scenarios", file)
    assert done.exit_code == 2
    assert done.stderr == f"Error: {file}: holds no certificate in PEM form\n"


def test_seeding_without_a_database_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DATABASE_HOST", raising=False)
    done = run("seed", "--scenarios", scenarios(tmp_path))
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: DATABASE_HOST is not set")


def test_seeding_makes_as_much_as_the_settings_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Amounts] = []

    def ensure_data(*arguments: Any) -> str:
        asked.append(arguments[-1])
        return "done"

    for name in ("HOST", "PORT", "NAME", "USER"):
        monkeypatch.setenv(f"DATABASE_{name}", "5432")
    monkeypatch.setattr("stellwerk.sample.seed.ensure_data", ensure_data)
    data = {"users": 2, "portfolios": 3, "assets": 4, "trades_per_portfolio": 5}
    file = tmp_path / "scenarios.yaml"
    file.write_text(yaml.safe_dump({"loadtest": {"data": data}}))
    assert run("seed", "--scenarios", file).output == "done\n"
    assert asked == [Amounts(users=2, portfolios=3, assets=4, trades_per_portfolio=5)]


def test_the_commands_are_known_without_loading_what_they_run() -> None:
    program = (
        "import sys; import stellwerk.loadtest.command;"
        "print(sorted({'aiohttp', 'asyncio', 'psutil', 'psycopg'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert shown.stdout.strip() == "[]"
