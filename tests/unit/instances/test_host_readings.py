"""What the agent reads of its host: health answers, pins, usage, and what it remembers."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from stellwerk.host.systemd import unit_name
from stellwerk.host.unit import Activity, Unit
from stellwerk.instances.agent import health, pins
from stellwerk.instances.agent.journal import last_lines
from stellwerk.instances.agent.memory import Memory
from stellwerk.instances.agent.usage import Usage
from stellwerk.instances.facts import Remembered
from stellwerk.instances.model import InstanceKey
from tests.unit.instances.simulation import figures

KEY = InstanceKey("shop", 8101)
GENERATION = "0123456789abcdef"

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def asked(answer: Answer, timeout: float = 5.0) -> str:
    """What comes of a check of a server that answers so."""

    async def ask() -> str:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await health.check(port, "/health", timeout)

    return asyncio.run(ask())


def saying(text: bytes) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        writer.close()

    return answer


def test_only_status_200_is_healthy() -> None:
    assert asked(saying(b"HTTP/1.1 200 OK\r\n\r\n")) == ""
    assert asked(saying(b"HTTP/1.0 200 OK\r\n\r\n")) == ""
    for status in (b"204", b"301", b"500", b"503"):
        problem = asked(saying(b"HTTP/1.1 " + status + b" -\r\n\r\n"))
        assert problem == f"GET /health was answered with status {status.decode()}"


@pytest.mark.parametrize(
    "text",
    [b"", b"\r\n", b"HTTP/1.1\r\n\r\n", b"SSH-2.0-x 200\r\n", b"HTTP/1.1 abc\r\n", b"x" * 9000],
)
def test_what_is_not_http_is_not_healthy(text: bytes) -> None:
    assert asked(saying(text))


def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    assert asked(silent, timeout=0.05) == "GET /health had no answer within 0.05 s"


def test_a_port_where_nobody_listens_is_not_healthy() -> None:
    assert "failed" in asyncio.run(health.check(1, "/health", 5.0))


def watched(unit: Callable[[], Unit], answers: list[bytes], **changes: Any) -> Any:
    """What comes of a watch over a server that gives these answers, the last again and again."""
    from dataclasses import replace

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status = answers.pop(0) if len(answers) > 1 else answers[0]
        writer.write(b"HTTP/1.1 " + status + b" -\r\n\r\n")
        writer.close()

    async def watch() -> Any:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            shop = replace(figures("shop", port), **changes)
            return await health.watch(port, shop, unit, pause=0.001)

    return asyncio.run(watch())


def running(age: float) -> Callable[[], Unit]:
    since = time.monotonic() - age
    return lambda: Unit(Activity.RUNNING, "1", running_since=since)


def test_an_instance_is_healthy_as_soon_as_it_answers_well() -> None:
    invocation, found = watched(running(age=0), [b"503", b"503", b"503", b"503", b"200"])
    assert (invocation, found.passed) == ("1", True)


def test_an_instance_fails_after_its_tries_once_its_grace_is_over() -> None:
    _, found = watched(running(age=100), [b"500"], health_tries=3)
    assert found.failure == "GET /health was answered with status 500, 3 times"


def test_an_instance_that_does_not_say_that_it_is_ready_fails_when_its_time_is_over() -> None:
    def starting() -> Unit:
        return Unit(Activity.STARTING)

    short = {"start_timeout": 0.01, "health_grace": 0, "health_tries": 1, "health_timeout": 0}
    _, found = watched(starting, [b"200"], **short)
    assert "it did not say that it is ready" in found.failure


def test_pins_are_the_links_to_generations_of_declared_services(tmp_path: Path) -> None:
    def link(name: str, target: str) -> None:
        (tmp_path / name).symlink_to(target)

    folder = f"/etc/stellwerk/generations/shop/{GENERATION}"
    link("shop@8101.service", f"{folder}/shop@.service")
    link("shop@8102.service", "/dev/null")
    link("other@8103.service", f"{folder}/other@.service")
    link("shop@evil.service", f"{folder}/shop@.service")
    (tmp_path / "shop@8104.service").touch()
    assert pins.pins(["shop"], tmp_path) == {KEY: GENERATION}
    assert pins.pins(["shop"], tmp_path / "missing") == {}


def test_generations_are_the_complete_folders(tmp_path: Path) -> None:
    for name in (GENERATION, "0" * 16, "no generation"):
        (tmp_path / "shop" / name).mkdir(parents=True)
    for name in (GENERATION, "no generation"):
        (tmp_path / "shop" / name / "shop@.service").touch()
    assert pins.generations(["shop", "missing"], tmp_path) == {("shop", GENERATION)}


def test_object_paths_name_their_units() -> None:
    path = "/org/freedesktop/systemd1/unit/aktienanalyse_2dcore_408101_2eservice"
    assert unit_name(path) == "aktienanalyse-core@8101.service"


def test_usage_is_cpu_between_two_looks_and_memory_without_page_cache(tmp_path: Path) -> None:
    group = tmp_path / "system.slice" / "shop"
    group.mkdir(parents=True)
    (group / "memory.stat").write_text("anon 1000\nfile 5000\nkernel 24\n")
    (group / "cpu.stat").write_text("usage_usec 1000000\nuser_usec 1\n")
    usage = Usage(tmp_path)
    unit = {KEY: Unit(Activity.RUNNING, "1", control_group="/system.slice/shop")}
    (first,) = usage.measure(unit)
    assert (first.cpu_percent, first.memory_bytes) == (None, 1024)
    (group / "cpu.stat").write_text("usage_usec 1000001\n")
    (second,) = usage.measure(unit)
    assert second.cpu_percent is not None
    assert second.cpu_percent > 0
    (group / "cpu.stat").write_text("usage_usec 5\n")
    (third,) = usage.measure(unit)
    assert third.cpu_percent is None


def test_another_process_of_a_unit_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("usage_usec 10\n")
    usage = Usage(tmp_path)
    usage.measure({KEY: Unit(Activity.RUNNING, "1", control_group="/.")})
    (sample,) = usage.measure({KEY: Unit(Activity.RUNNING, "2", control_group="/.")})
    assert sample.cpu_percent is None


def test_without_memory_accounting_it_is_what_processes_have_resident(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("7\n8\n")
    for process, pages in ((7, 10), (8, 32)):
        (tmp_path / str(process)).mkdir()
        (tmp_path / str(process) / "statm").write_text(f"100 {pages} 1 1 0 1 0\n")
    (sample,) = Usage(tmp_path, tmp_path).measure({KEY: Unit(control_group="/.")})
    assert sample.memory_bytes == 42 * os.sysconf("SC_PAGE_SIZE")


def test_what_cannot_be_measured_is_none(tmp_path: Path) -> None:
    (sample,) = Usage(tmp_path, tmp_path).measure({KEY: Unit(control_group="/gone")})
    assert (sample.cpu_percent, sample.memory_bytes) == (None, None)


def test_memory_is_there_again_for_the_next_agent(tmp_path: Path) -> None:
    path = tmp_path / "instances.json"
    memory = Memory(path)
    memory.keep(KEY, Remembered("1", "boot", 3))
    memory.keep(InstanceKey("shop", 8102), Remembered())
    memory.forget(InstanceKey("shop", 8102))
    assert Memory(path).all == {KEY: Remembered("1", "boot", 3)}


@pytest.mark.parametrize("text", ["", "{", "{}", "[1]", '[{"service": "shop"}]', '[{"x": 1}]'])
def test_a_broken_memory_is_an_empty_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "instances.json"
    path.write_text(text)
    assert not Memory(path).all


def test_a_journal_that_cannot_be_read_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert asyncio.run(last_lines("shop@8101.service")) == ""
