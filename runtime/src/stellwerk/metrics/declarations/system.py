"""Metrics of the host, read by psutil."""

from typing import Final

from stellwerk.metrics.model import Kind, Metric, Source
from stellwerk.metrics.units import Unit

CPU: Final = Metric(Source.SYSTEM, "cpu_percent", Unit.PERCENT, "CPU time in use, of all cores.")
MEMORY: Final = Metric(
    Source.SYSTEM,
    "memory_percent",
    Unit.PERCENT,
    "Memory in use that cannot be given to others at once.",
)
LOAD: Final = Metric(
    Source.SYSTEM, "load_average", Unit.NUMBER, "Processes running or waiting, over a minute."
)
FILESYSTEM_USED: Final = Metric(
    Source.SYSTEM,
    "filesystem_used_percent",
    Unit.PERCENT,
    "Space in use on a filesystem, of what users may fill.",
    labels=("mountpoint",),
)
DISK_READ: Final = Metric(
    Source.SYSTEM,
    "disk_read_bytes_per_second",
    Unit.BYTES_PER_SECOND,
    "Read from all disks.",
    Kind.COUNTER,
)
DISK_WRITTEN: Final = Metric(
    Source.SYSTEM,
    "disk_written_bytes_per_second",
    Unit.BYTES_PER_SECOND,
    "Written to all disks.",
    Kind.COUNTER,
)
NETWORK_SENT: Final = Metric(
    Source.SYSTEM,
    "network_sent_bytes_per_second",
    Unit.BYTES_PER_SECOND,
    "Sent over all network interfaces but loopback.",
    Kind.COUNTER,
)
NETWORK_RECEIVED: Final = Metric(
    Source.SYSTEM,
    "network_received_bytes_per_second",
    Unit.BYTES_PER_SECOND,
    "Received over all network interfaces but loopback.",
    Kind.COUNTER,
)

METRICS: Final = (
    CPU,
    MEMORY,
    LOAD,
    FILESYSTEM_USED,
    DISK_READ,
    DISK_WRITTEN,
    NETWORK_SENT,
    NETWORK_RECEIVED,
)
