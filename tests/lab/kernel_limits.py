"""Limits of the control machine's kernel that all hosts share, and that are too low for many."""

from pathlib import Path

# Every systemd, journal and log-in manager holds some; the kernel's 128 are used up by seven hosts.
INOTIFY_INSTANCES = 4096
INOTIFY_FILE = Path("/proc/sys/fs/inotify/max_user_instances")


def make_room() -> None:
    """Raise the limits that are lower than a lab needs; they hold until the next restart."""
    if int(INOTIFY_FILE.read_text()) < INOTIFY_INSTANCES:
        INOTIFY_FILE.write_text(f"{INOTIFY_INSTANCES}\n")
