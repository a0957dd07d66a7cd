"""Deploys a stage in the lab, takes the power from one host of each group, and sees what comes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from stellwerk.settings.secret_store import FILE_NAME
from tests.lab.lab import Lab
from tests.lab.redis_traffic import Access, Traffic
from tests.lab.shell import last_lines
from tests.lab.waiting import wait_until
from tests.rehearsal.probe import Probe
from tests.rehearsal.report import Breakage, Report, Run
from tests.rehearsal.stage import Stage, doors
from tests.rehearsal.victims import Victim, victims

PYINFRA = Path(sys.executable).with_name("pyinfra")
SERVES_SECONDS = 90.0  # for what is left to serve on, and for all to serve again
ANSWERS = 20  # in a row, by which a door is seen to serve
LINES_SHOWN = 12


class Rehearsal:
    """One rehearsal in a lab. Runs start in `project`; `say` is told of each step."""

    def __init__(self, stage: Stage, lab: Lab, project: Path, say: Callable[[str], None]) -> None:
        self._stage = stage
        self._lab = lab
        self._project = project
        self._say = say
        self._doors = doors(stage)

    def run(self) -> Report:
        """Boot, deploy twice, break one host of each group. Ends with a first run that fails."""
        self._say(f"Booting {len(self._lab.hosts)} hosts ...")
        self._lab.up()
        self._lab.reset("bare")
        self._say("The first run ...")
        first = self._deploy()
        if first.failure:
            return self._report(first, None, ())
        self._say("The second run, which is to change nothing ...")
        second = self._deploy()
        chosen = victims(self._stage.cluster)
        return self._report(first, second, tuple(self._break(victim) for victim in chosen))

    def _report(self, first: Run, second: Run | None, broken: tuple[Breakage, ...]) -> Report:
        stage = self._stage
        return Report(str(stage.source), stage.addresses, stage.substituted, first, second, broken)

    def _break(self, victim: Victim) -> Breakage:
        self._say(f"{victim.host} without power, for {', '.join(victim.groups)} ...")
        others = [door.name for door in self._doors if door.host != victim.host]
        everyone = [door.name for door in self._doors]
        with self._clients() as clients:
            clients.serve_anew(everyone)
            self._lab.power_off(victim.host)
            serves = not victim.alone_in and clients.serve_anew(others)
            self._say(f"{victim.host} with power again ...")
            start = time.monotonic()
            self._lab.power_on(victim.host)
            back = clients.serve_anew(everyone)
            seconds = time.monotonic() - start
        self._say("The run after it ...")
        return Breakage(
            victim.host,
            victim.groups,
            victim.alone_in,
            serves,
            seconds if back else None,
            clients.probe.tried(),
            clients.redis.notes().longest_gap if clients.redis else None,
            self._deploy(),
        )

    @contextmanager
    def _clients(self) -> Iterator["Clients"]:
        folder = self._stage.folder
        access = self._access()
        redis = Traffic(self._lab, access, folder / "redis") if access else None
        try:
            with Probe(
                self._lab, {door.name: door.url for door in self._doors}, folder / "doors"
            ) as probe:
                yield Clients(probe, redis)
        finally:
            if redis:
                redis.kill()

    def _access(self) -> Access | None:
        """How Redis is reached; None where there is none, or where it speaks TLS only."""
        cluster = self._stage.cluster
        sentinels = cluster.group("sentinels")
        if not sentinels or not cluster.group("caches") or sentinels[0].settings.tls.enabled:
            return None
        secrets = yaml.safe_load((self._stage.folder / FILE_NAME).read_text())
        settings = sentinels[0].settings.sentinel
        return Access(
            settings.master_name,
            [(self._stage.addresses[one.name], settings.port) for one in sentinels],
            secrets["sentinel"]["password"],
            secrets["redis"]["passwords"]["app"],
        )

    def _deploy(self) -> Run:
        start = time.monotonic()
        done = subprocess.run(
            self._command(),
            cwd=self._project,
            env={**os.environ, "PYINFRA_PROGRESS": "off"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - start
        if done.returncode != 0:
            return Run(seconds, 0, last_lines(done.stdout + done.stderr, LINES_SHOWN))
        return Run(seconds, json.loads(done.stdout)["results"]["totals"]["success"])

    def _command(self) -> list[str]:
        stage = self._stage
        folders = ["--group-data", str(stage.group_data)] if stage.group_data.is_dir() else []
        # The secrets of production stay out of the lab, so their command is not run.
        options = ["-y", "--json", *folders, "--data", "secrets.command=null"]
        return [str(PYINFRA), *options, str(stage.inventory), "deploys/all.py"]


@dataclass(frozen=True)
class Clients:
    """Those who ask the doors, and who writes to Redis where that can be tried."""

    probe: Probe
    redis: Traffic | None

    def serve_anew(self, names: Collection[str]) -> bool:
        """Whether these doors and Redis serve within the time, whatever they did until now."""
        asked = self.probe.asked()
        written = len(self.redis.notes().acknowledged) if self.redis else 0

        def serve() -> bool:
            if self.redis and len(self.redis.notes().acknowledged) < written + ANSWERS:
                return False
            return all(self.probe.answers(name, ANSWERS, asked[name]) for name in names)

        return wait_until(serve, SERVES_SECONDS)
