"""The commands as operators run them on a host, with monitors on addresses of loopback."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from click.testing import CliRunner, Result

from stellwerk.cli import main
from stellwerk.instances import access
from stellwerk.metrics.alerts import api
from stellwerk.metrics.zabbix.template import template
from stellwerk.settings.root import Settings
from tests.unit.instances.programs import free_ports
from tests.unit.metrics.alerts.examples import CPU, HIT_RATE, REDIS_UP
from tests.unit.metrics.alerts.test_center import Host

TOKEN = "a-token-of-the-api"
ADDRESSES = {"db-1": "127.0.0.1", "cache-1": "127.0.0.2", "gone-1": "127.0.0.3"}


class Cluster:
    """Monitors of hosts, and the commands run on db-1."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.hosts: dict[str, Host] = {}
        self.asked: list[str | None] = []
        for name in ("db-1", "cache-1"):
            (folder / name).mkdir()
            self.hosts[name] = Host(folder / name)
        self.members("db-1", "cache-1")
        (folder / "credentials").mkdir()
        (folder / "credentials" / "monitoring.token").write_text(f"{TOKEN}\n")

    def members(self, *names: str) -> None:
        document = {
            "host": "db-1",
            "members": {
                name: {"address": ADDRESSES[name], "groups": ["monitors"]} for name in names
            },
            "settings": {"monitoring": {"port": self.port}},
        }
        (self.folder / "settings.yaml").write_text(yaml.safe_dump(document))

    def run(self, *words: str) -> Result:
        result = CliRunner().invoke(main, ["alerts", *words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    @contextmanager
    def monitors(self) -> Iterator[None]:
        """Serve the API of all hosts meanwhile."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        stack = AsyncExitStack()
        asyncio.run_coroutine_threadsafe(self._serve(stack), loop).result(20)
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(20)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(20)
            loop.close()

    async def _serve(self, stack: AsyncExitStack) -> None:
        for name in self.hosts:
            application = web.Application()
            application.router.add_route("*", "/{path:.*}", partial(self._answer, name))
            runner = web.AppRunner(application)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, ADDRESSES[name], self.port).start()

    async def _answer(self, name: str, request: web.Request) -> web.Response:
        self.asked.append(request.headers.get("Authorization"))
        center, body = self.hosts[name].center, await request.read()
        answer = api.answer(name, center, {}, request.method, request.path, body)
        if answer is None:
            raise web.HTTPNotFound
        return web.json_response(answer.document, status=answer.status)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr(access, "FOLDER", tmp_path)
    monkeypatch.setenv("STELLWERK_OPERATOR", "ops on control")
    made = Cluster(tmp_path, free_ports(1)[0])
    with made.monitors():
        yield made


def test_alerts_of_all_hosts_are_listed_the_worst_first(cluster: Cluster) -> None:
    cluster.hosts["cache-1"].collect({HIT_RATE: 60}, times=20)
    cluster.hosts["db-1"].collect({REDIS_UP: 0}, times=20)
    result = cluster.run()
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        "SEVERITY  HOST     FOR  ALERT",
        "critical  db-1      4m  redis 6379 is down",
        "warning   cache-1   2m  redis 6379: hit_rate_percent is 60 %, warning up to 70 %",
        "",
        "2 alerts on 2 hosts: 1 critical, 1 warning.",
    ]
    assert set(cluster.asked) == {f"Bearer {TOKEN}"}


def test_no_alerts_is_said_of_how_many_hosts(cluster: Cluster) -> None:
    assert cluster.run().output == "No alerts on 2 hosts.\n"


def test_a_monitor_that_does_not_answer_is_named_and_the_list_is_not_whole(
    cluster: Cluster,
) -> None:
    cluster.members("db-1", "gone-1")
    result = cluster.run()
    assert result.exit_code == 1
    assert "No alerts on 1 host." in result.output
    assert "gone-1: its monitor does not answer" in result.output


def test_a_silence_is_made_on_all_hosts_listed_and_ended(cluster: Cluster) -> None:
    for host in cluster.hosts.values():
        host.collect({REDIS_UP: 0, CPU: 99}, times=20)
    made = cluster.run("silence", "--metric", "redis.*", "--for", "2h", "--reason", "upgrade")
    assert made.exit_code == 0
    listed = cluster.run()
    output = " ".join(listed.output.split())
    assert "4 alerts on 2 hosts: 2 critical, 2 silenced." in output
    silence = "metric redis.* until 2025-06-15 17:11 UTC, by ops on control: upgrade"
    assert f"Silence cache-1/1: {silence}" in output
    ended = cluster.run("unsilence", "cache-1/1", "db-1/1")
    assert ended.output.splitlines() == [f"ended: {n}/1: {silence}" for n in ("cache-1", "db-1")]
    assert "silenced" not in cluster.run().output


def test_a_silence_of_one_host_leaves_the_others(cluster: Cluster) -> None:
    cluster.run("silence", "--host", "cache-1", "--for", "30m")
    assert cluster.hosts["db-1"].center.silences() == ()
    (silence,) = cluster.hosts["cache-1"].center.silences()
    assert (silence.by, silence.metric) == ("ops on control", "*")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["silence", "--for", "soon"], "expected a time such as 30m"),
        (["silence", "--for", "40d"], "expected seconds up to"),
        (["silence", "--for", "1h", "--host", "db-2"], "db-2: unknown host; did you mean db-1?"),
        (["list", "--host", "db-2"], "db-2: unknown host"),
        (["unsilence", "3"], "3: expected HOST/NUMBER"),
        (["unsilence", "db-1/3"], "db-1: there is no silence 3"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    cluster: Cluster, words: list[str], sentence: str
) -> None:
    result = cluster.run(*words)
    assert result.exit_code != 0
    assert sentence in result.output


def test_programs_get_json(cluster: Cluster) -> None:
    cluster.hosts["db-1"].collect({REDIS_UP: 0}, times=20)
    document = json.loads(cluster.run("--json", "--host", "db-1").output)
    (alert,) = document["hosts"]["db-1"]["alerts"]
    assert (alert["metric"], alert["severity"]) == ("redis.availability", "critical")
    assert document["problems"] == {}


def test_the_template_for_zabbix_is_printed_as_a_file_that_it_imports(cluster: Cluster) -> None:
    printed = cluster.run("zabbix-template")
    assert printed.exit_code == 0
    document = yaml.safe_load(printed.stdout)
    assert document == template(Settings.model_validate({"monitoring": {"port": cluster.port}}))
