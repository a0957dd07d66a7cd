"""A host that answers through a process: well, late, never, or until it dies."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from stellwerk.loadtest.host_source import HostSource
from stellwerk.loadtest.hosts import HERE
from stellwerk.loadtest.watch import WatchError

from .processes import is_running

MEMORY = "MemTotal: 1000 kB MemAvailable: 900 kB"
BUSY = (
    f'used=0; while read -r n; do used=$((used + 100)); echo "$n cpu $used 0 0 50 0 {MEMORY}"; done'
)
PATIENT, SOON = 60.0, 0.05


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


async def problem_of(source: HostSource, seconds: float = PATIENT) -> str:
    with pytest.raises(WatchError) as caught:
        await source.read(seconds)
    return caught.value.reason


def with_source(command: list[str], use: Callable[[HostSource], Awaitable[None]]) -> None:
    async def run() -> None:
        source = HostSource("app-1", command)
        try:
            await use(source)
        finally:
            await source.close()

    asyncio.run(run())


def test_cpu_counts_from_the_answer_before() -> None:
    async def use(source: HostSource) -> None:
        assert await source.read(PATIENT) == {"memory_percent": 10.0}
        assert await source.read(PATIENT) == {"cpu_percent": 100.0, "memory_percent": 10.0}

    with_source(shell(BUSY), use)


def test_this_machine_can_be_read() -> None:
    async def use(source: HostSource) -> None:
        assert 0 < (await source.read(PATIENT))["memory_percent"] < 100

    with_source(list(HERE), use)


def test_what_a_login_prints_and_what_comes_too_late_is_no_answer() -> None:
    late = "read -r n; read -r m; echo Welcome; head -c 200000 /dev/zero; echo;"
    late += f' echo "$n cpu 1 1 1 1 1 {MEMORY}"; echo "$m cpu 2 2 2 2 2 {MEMORY}"; {BUSY}'

    async def use(source: HostSource) -> None:
        assert await problem_of(source, SOON) == "no answer within 0.05 s"
        assert await source.read(PATIENT) == {"memory_percent": 10.0}

    with_source(shell(late), use)


def test_a_host_that_refuses_says_why_and_is_left_alone_for_a_while(tmp_path: Path) -> None:
    script = f"echo x >>{tmp_path}/starts; echo 'Host key. ' >&2; echo 'No route.\r' >&2; exit 255"

    async def use(source: HostSource) -> None:
        for _ in range(3):
            assert await problem_of(source) == "Host key; No route"

    with_source(shell(script), use)
    assert (tmp_path / "starts").read_text() == "x\n"


def test_a_process_that_ends_without_a_word_has_its_code_told() -> None:
    async def use(source: HostSource) -> None:
        assert await problem_of(source) == "sh ended with code 3"

    with_source(shell("exit 3"), use)


def test_a_missing_ssh_is_said() -> None:
    async def use(source: HostSource) -> None:
        assert await problem_of(source) == "no-ssh cannot be started: No such file or directory"

    with_source(["no-ssh"], use)


def test_a_host_that_is_no_linux_is_said() -> None:
    async def use(source: HostSource) -> None:
        assert "/proc" in await problem_of(source)

    with_source(shell('while read -r n; do echo "$n"; done'), use)


def test_a_host_that_died_is_asked_again_in_a_new_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("stellwerk.loadtest.host_source._FIRST_DELAY_SECONDS", 0.0)
    once = f'read -r n; echo "$n cpu 1 1 1 1 1 {MEMORY}"; read -r n; echo gone >&2'

    async def use(source: HostSource) -> None:
        for _ in range(2):
            assert await source.read(PATIENT) == {"memory_percent": 10.0}
            assert await problem_of(source) == "gone"

    with_source(shell(once), use)


def test_a_host_that_stays_silent_has_its_process_ended_with_all_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    answers_once = f'read -r n; echo "$n cpu 1 1 1 1 1 {MEMORY}"'
    hangs = f'trap "" TERM; sleep 600 & echo $! >{pid}; {answers_once}; wait'

    async def use(source: HostSource) -> None:
        await source.read(PATIENT)
        for _ in range(3):
            assert is_running(int(pid.read_text()))
            assert await problem_of(source, SOON) == "no answer within 0.05 s"
        assert not is_running(int(pid.read_text()))

    with_source(shell(hangs), use)


def test_closing_ends_the_process(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    async def use(source: HostSource) -> None:
        await source.read(PATIENT)

    with_source(shell(f"echo $$ >{pid}; {BUSY}"), use)
    assert not is_running(int(pid.read_text()))
