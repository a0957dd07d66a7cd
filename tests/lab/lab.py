"""The lab as a whole: what `python -m tests.lab` and the tests use."""

import fcntl
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypeVar

from tests.lab import (
    cgroup,
    identity,
    image,
    kernel_limits,
    layers,
    mirrors,
    namespace,
    overlay,
    package_proxy,
    requirements,
    ssh_access,
)
from tests.lab.errors import LabError
from tests.lab.folders import LabFolders
from tests.lab.inventory import LabHost, read_hosts
from tests.lab.machine import Machine
from tests.lab.shell import last_lines
from tests.lab.waiting import wait_until

REPOSITORY = Path(__file__).parents[2]
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?")
PROXY_SECONDS = 30.0
LINES_SHOWN = 25
DEFAULT_INVENTORY = Path("inventory")

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class HostStatus:
    """What `status` shows of a host. Memory in bytes, where it runs and the kernel says so."""

    name: str
    release: str
    address: IPv4Address
    state: str
    layer: str
    memory: int | None


class Lab:
    """The machines of one inventory. Labs of different names do not see each other."""

    def __init__(
        self, name: str = ssh_access.DEFAULT_LAB, inventory: Path | str = DEFAULT_INVENTORY
    ) -> None:
        if not NAME.fullmatch(name):
            raise LabError(
                f"A lab cannot be named {name!r}: use at most 20 of a-z, 0-9 and dashes."
            )
        self.name = name
        self.inventory = Path(inventory)
        self.folders = LabFolders.of(name)

    @cached_property
    def hosts(self) -> Mapping[str, LabHost]:
        """The hosts of the inventory by name."""
        return {host.name: host for host in read_hosts(self.inventory)}

    @property
    def addresses(self) -> Mapping[str, IPv4Address]:
        """The hosts' addresses by host name."""
        return {host.name: host.address for host in self.hosts.values()}

    @property
    def ssh_config(self) -> Path:
        """The ssh_config file by which the hosts are reached."""
        return self.folders.ssh_config

    def up(self) -> None:
        """Boot the hosts that are not running and wait until all answer; the rest is left alone.

        Raises LabError with the console of the first host that does not come up.
        """
        requirements.check()
        with self._locked():
            self._bring_up(self.hosts.values())
            for stray in set(self._known_hosts()) - set(self.hosts):
                self._machine(stray).power_off()

    def down(self) -> None:
        """Stop everything of this lab and remove what a killed run left; what hosts wrote stays."""
        requirements.check()
        with self._locked():
            _in_parallel(lambda host: self._machine(host).power_off(), self._known_hosts())
            cgroup.destroy(cgroup.lab_group(self.name))
            overlay.unmount_below(self.folders.home)
            namespace.delete(self.name)
            layers.empty_trash(self.folders.trash)
            image.remove_leftovers()

    def save(self, layer: str) -> None:
        """Stop the hosts cleanly, keep their state under a name, and boot them again on top."""
        if not NAME.fullmatch(layer) or layer == layers.BARE:
            raise LabError(
                f"A layer cannot be named {layer!r}: use at most 20 of a-z, 0-9 and dashes, "
                f"other than {layers.BARE!r}."
            )
        requirements.check()
        with self._locked():
            _in_parallel(lambda host: self._machine(host).power_off(), self.hosts)
            for host in self.hosts:
                layers.save(self.folders.host(host), layer)
            os.sync()
            self._bring_up(self.hosts.values())

    def reset(self, layer: str | None = None, hosts: Iterable[str] = ()) -> None:
        """Take hosts (all when none is named) back to a layer, and boot them.

        Without a layer each goes back to the one it stands on. Raises LabError when a host has
        no such layer; then none is touched.
        """
        requirements.check()
        chosen = [self._host(name) for name in hosts] or list(self.hosts.values())
        with self._locked():
            targets = {host.name: layer or self._layer(host.name) for host in chosen}
            for name, target in targets.items():
                image_name = image.name_of(self.hosts[name].release)
                layers.check_saved(self.folders.host(name), target, image_name)
            for name, target in targets.items():
                self._machine(name).cut_power()
                layers.reset(self.folders.host(name), target, self.folders.trash)
            self._bring_up(chosen)
            layers.empty_trash(self.folders.trash)

    def power_off(self, host: str) -> None:
        """Cut the power of a host."""
        with self._locked():
            self._machine(self._host(host).name).cut_power()

    def power_on(self, host: str) -> None:
        """Boot a host and wait until it answers."""
        with self._locked():
            self._bring_up([self._host(host)])

    def run(
        self, host: str, command: str | Sequence[str], check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on a host over SSH: a shell line, or words that are passed as they are.

        Raises LabError with what it printed when it fails and `check` is set.
        """
        result = subprocess.run(
            self.ssh_command(host, command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and result.returncode != 0:
            raise LabError(
                f"On the lab host {host} `{result.args[-1]}` failed with exit code "
                f"{result.returncode}:\n{last_lines(result.stdout + result.stderr, LINES_SHOWN)}"
            )
        return result

    def ssh_command(self, host: str, command: str | Sequence[str] = ()) -> list[str]:
        """Return the words of the `ssh` command that runs a command on a host."""
        line = command if isinstance(command, str) else shlex.join(command)
        return ["ssh", "-F", str(self.ssh_config), host, *([line] if line else [])]

    def net_command(self, command: Sequence[str]) -> list[str]:
        """Return the words that run a command of the control machine in the lab's network."""
        return [*namespace.enter_command(self.name), *command]

    def status(self) -> list[HostStatus]:
        """Return the state of every host of the inventory."""
        return _in_parallel(self._status, self.hosts.values())

    def _status(self, host: LabHost) -> HostStatus:
        machine = self._machine(host.name)
        return HostStatus(
            name=host.name,
            release=host.release,
            address=host.address,
            state=machine.state(),
            layer=self._layer(host.name),
            memory=cgroup.memory_bytes(machine.group),
        )

    def _bring_up(self, hosts: Iterable[LabHost]) -> None:
        hosts = tuple(hosts)
        releases = sorted({host.release for host in hosts})
        images = dict(zip(releases, _in_parallel(image.ensure, releases), strict=True))
        authorized_key = ssh_access.ensure_key(self.folders)
        for host in self.hosts.values():
            identity.ensure_keys(self.folders.host(host.name), host.name)
        ssh_access.write_files(self.name, self.folders, self.hosts.values())
        if not namespace.is_up(self.name):
            # Machines that still run hang on a network that is gone.
            cgroup.destroy(cgroup.lab_group(self.name))
            namespace.create(self.name)
        kernel_limits.make_room()
        namespace.add_routes(self.name, self.addresses.values())
        self._ensure_proxy()
        date_settings = mirrors.date_settings(mirrors.apt_settings())

        def boot(host: LabHost) -> None:
            wanted = identity.contents(
                host,
                self.addresses.values(),
                self.folders.host(host.name),
                authorized_key,
                date_settings,
            )
            self._boot(host, images[host.release], wanted)

        _in_parallel(boot, hosts)

    def _boot(self, host: LabHost, image_name: str, wanted: Mapping[str, str]) -> None:
        machine = self._machine(host.name)
        folders = machine.folders
        before = layers.current(folders)
        if machine.is_running():
            on_image = before is not None and before.image == image_name
            if on_image and identity.is_current(folders.root, wanted):
                machine.wait_until_ready(host.address)
                return
            machine.power_off()
        # A killed run may have left the file system mounted, perhaps on another stack.
        machine.cut_power()
        stack = layers.prepare(folders, image_name, self.folders.trash)
        if before is not None and before.image != stack.image:
            _note(f"{host.name} gets another image, so it starts bare.")
        overlay.mount(folders, stack.folders(folders))
        identity.write(folders.root, wanted)
        machine.start()
        machine.wait_until_ready(host.address)
        state = machine.state()
        if state != "running":
            _note(str(machine.failure(f"has booted, but systemd calls it {state!r}.")))

    def _ensure_proxy(self) -> None:
        if self._proxy_answers():
            return
        group = cgroup.lab_group(self.name) / "package-proxy"
        cgroup.destroy(group)
        command = [sys.executable, "-m", "tests.lab.package_proxy", self.name]
        log = self.folders.package_log
        cgroup.start(group, ["env", f"--chdir={REPOSITORY}", *command], log)
        wait_until(lambda: self._proxy_answers() or not cgroup.is_populated(group), PROXY_SECONDS)
        if not self._proxy_answers():
            raise LabError(
                f"The package proxy of the lab does not answer ({log}):\n"
                f"{last_lines(log.read_text(), LINES_SHOWN)}"
            )

    def _proxy_answers(self) -> bool:
        gateway = namespace.GATEWAY.ip
        try:
            namespace.connect(self.name, gateway, package_proxy.PORT, PROXY_SECONDS).close()
        except OSError:
            return False
        return True

    def _known_hosts(self) -> list[str]:
        """Return the hosts that were ever booted, whatever the inventory says now."""
        return sorted(folder.name for folder in self.folders.hosts.glob("*"))

    def _host(self, name: str) -> LabHost:
        if name not in self.hosts:
            raise LabError(
                f"The lab has no host {name!r}: the inventory has {', '.join(self.hosts)}."
            )
        return self.hosts[name]

    def _machine(self, host: str) -> Machine:
        return Machine(self.name, host, self.folders.host(host))

    def _layer(self, host: str) -> str:
        stack = layers.current(self.folders.host(host))
        return stack.layer if stack else layers.BARE

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one command at a time change this lab. The lock goes with the process that has it."""
        self.folders.home.mkdir(parents=True, exist_ok=True)
        with self.folders.lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _note("Another command changes this lab; waiting for it ...")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _in_parallel(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    with ThreadPoolExecutor(max_workers=16) as pool:
        return list(pool.map(function, items))
