"""The command as operators run it on a host, with monitors on addresses of loopback."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from stellwerk.cli import main
from stellwerk.instances import access
from stellwerk.metrics.monitor.http_server import HttpServer, Request, Response, problem
from stellwerk.metrics.report.document import document
from stellwerk.metrics.report.question import PATH, Question, QuestionError
from tests.unit.instances.programs import free_ports
from tests.unit.metrics.report.examples import CPU, REQUESTS, RESPONSE, SERVICE, report, write

WHERE = {"port_base": 8500, "max_instances": 2, "memory": "64MB"}
ADDRESSES = {"db-1": "127.0.0.1", "lb-1": "127.0.0.2", "gone-1": "127.0.0.3"}


class Cluster:
    """Monitors of hosts with histories, and the command run on db-1."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        for name in ("db-1", "lb-1"):
            write(folder / name, {CPU: [96.0] * 60, RESPONSE: [50.0] * 60}, {REQUESTS: [10.0]})
        self.members("db-1", "lb-1")

    def members(self, *names: str) -> None:
        members = {name: {"address": ADDRESSES[name], "groups": ["monitors"]} for name in names}
        settings = {"monitoring": {"port": self.port}, "services": {SERVICE: WHERE}}
        (self.folder / "settings.yaml").write_text(
            yaml.safe_dump({"host": "db-1", "members": members, "settings": settings})
        )

    def run(self, *words: str) -> Result:
        result = CliRunner().invoke(main, ["report", *words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    @contextmanager
    def monitors(self) -> Iterator[None]:
        """Serve the reports of all hosts meanwhile."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        servers = [asyncio.run_coroutine_threadsafe(self._serve(name), loop).result(20)
                   for name in ("db-1", "lb-1")]  # fmt: skip
        try:
            yield
        finally:
            for server in servers:
                asyncio.run_coroutine_threadsafe(server.close(), loop).result(20)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(20)
            loop.close()

    async def _serve(self, name: str) -> HttpServer:
        async def answer(request: Request) -> Response:
            assert request.path == PATH
            try:
                question = Question.of_query(request.query)
            except QuestionError as error:
                return problem(HTTPStatus.BAD_REQUEST, str(error))
            found = report(self.folder / name, question, name)
            return Response(HTTPStatus.OK, json.dumps(document(found)).encode())

        server = HttpServer(answer, None)
        await server.listen(ADDRESSES[name], self.port)
        return server


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), free_ports(1)[0])
    with cluster.monitors():
        yield cluster


@pytest.fixture
def cluster(served: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(access, "FOLDER", served.folder)
    served.members("db-1", "lb-1")
    return served


def test_the_whole_cluster_is_reported_from_one_host(cluster: Cluster) -> None:
    result = cluster.run("--period", "1h")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].startswith("db-1, lb-1: 1h until 2025-06-16 12:00 UTC, 2 critical, 0 warnings,")
    assert max(map(len, lines)) <= 80
    assert [line.split()[3] for line in lines if line.startswith("!! cpu %")] == ["db-1", "lb-1"]
    assert len([line for line in lines if "p95 request ms" in line]) == 1


def test_a_host_that_does_not_answer_is_named_and_the_report_is_not_whole(
    cluster: Cluster,
) -> None:
    cluster.members("db-1", "gone-1")
    result = cluster.run("--period", "1h")
    assert result.exit_code == 1
    assert "unread    gone-1: its monitor does not answer" in result.output
    assert "!! cpu %" in result.output


def test_where_nobody_answers_there_is_no_report(cluster: Cluster) -> None:
    cluster.members("db-1", "gone-1")
    result = cluster.run("--host", "gone-1")
    assert result.exit_code == 1
    assert result.output.startswith("gone-1: its monitor does not answer")


def test_one_service_of_one_host_for_programs(cluster: Cluster) -> None:
    words = ("--period", "1h", "--service", "shop", "--host", "lb-1", "--json")
    found = json.loads(cluster.run(*words).output)
    assert (found["hosts"], list(found["services"])) == (["lb-1"], ["shop"])
    shares = [line["percentile"] for line in found["services"]["shop"]]
    assert shares == [None, "p50", "p95", "p99"]


def test_the_page_is_written_whole_and_names_who_did_not_answer(cluster: Cluster) -> None:
    cluster.members("db-1", "lb-1", "gone-1")
    result = cluster.run("--period", "1h", "--html")
    assert result.exit_code == 1
    assert result.stdout.startswith("<!doctype html>")
    assert result.stdout.endswith("</html>\n")
    assert "<li>gone-1: its monitor does not answer" in result.stdout
    assert "href" not in result.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--period", "2h"], "'2h' is not one of '1h', '24h', '7d'"),
        (["--service", "shpo"], "shpo: unknown service; did you mean shop?"),
        (["--host", "db-2"], "db-2: unknown host; did you mean db-1?"),
    ],
)
def test_what_there_is_not_is_refused_with_the_nearest(
    cluster: Cluster, words: list[str], sentence: str
) -> None:
    result = cluster.run(*words)
    assert result.exit_code == 2
    assert sentence in result.output
