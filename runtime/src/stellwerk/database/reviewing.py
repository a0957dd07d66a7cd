"""Reviews the PostgreSQL of this host: reads the machine, asks the server, compares."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from stellwerk.database import local_server
from stellwerk.database.data_disk import disk_of
from stellwerk.database.figures import Disk
from stellwerk.database.review import Row, parse_view, review, review_script
from stellwerk.database.tuning import Tuning, tune
from stellwerk.database.wal import WalHistory
from stellwerk.database.wishes import host_resources, tuning_inputs
from stellwerk.settings import Settings
from stellwerk.settings.files import HostFile
from stellwerk.settings.memory import committed_memory


@dataclass(frozen=True)
class Review:
    """The tuning of this host, how each setting stands, and what a reader should know besides."""

    tuning: Tuning
    rows: tuple[Row, ...]
    drop_in: str
    remarks: tuple[str, ...]


def reviewed(host: HostFile) -> Review:
    """Look at the server of this host.

    Raises TuningError, ReviewError, and LocalServerError where it does not answer.
    """
    settings = host.settings
    port = settings.postgresql.port
    first = parse_view(local_server.ask(review_script(()), port))
    history = first.wal_history(_free_bytes(Path(first.data_directory)))
    deployed = _tuning(host, first.major_version, None)
    recommended = _tuning(host, first.major_version, history) if history.is_enough else deployed
    view = parse_view(local_server.ask(review_script(recommended.names), port))
    drop_in = f"/etc/postgresql/{view.major_version}/main/conf.d/90-stellwerk.conf"
    return Review(
        recommended,
        review(recommended, deployed, view, drop_in),
        drop_in,
        _remarks(settings, Path(view.data_directory)),
    )


def _tuning(host: HostFile, version: int, wal: WalHistory | None) -> Tuning:
    groups = {
        group for member in host.members if member.name == host.name for group in member.groups
    }
    others = committed_memory(host.settings, groups, lambda group: len(host.group(group)))
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return tune(
        host_resources(host.settings, memory, cpus=len(os.sched_getaffinity(0))),
        tuning_inputs(
            host.settings, version=version, other_memory_bytes=sum(others.values()), wal=wal
        ),
    )


def _free_bytes(data: Path) -> int:
    """What is free where the log lies; nothing where this user may not look."""
    try:
        return shutil.disk_usage(data / "pg_wal").free
    except OSError:
        return 0


def _remarks(settings: Settings, data: Path) -> tuple[str, ...]:
    try:
        seen = disk_of(data)
    except OSError:
        return ()
    declared = Disk(settings.postgresql.disk)
    if seen is None or seen is declared or declared is Disk.SAN:
        return ()
    return (
        f"postgresql.disk is {declared}, but {data} lies on {seen} as the kernel says: set "
        f'postgresql.disk to "{seen}" if that is so.',
    )
