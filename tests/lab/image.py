"""The base images: one bare Debian per release, from which all hosts of that release start.

Nothing of a single host is in an image; that is in identity.py.
"""

import fcntl
import hashlib
import inspect
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab import cgroup, folders, mirrors, overlay, package_proxy, requirements
from tests.lab.shell import run

# What a host rented from a provider has, and no more. No Python on purpose.
PACKAGES = (
    "apt",
    "ca-certificates",
    "dbus",
    "iproute2",
    "iputils-ping",
    "openssh-server",
    "procps",
    "sudo",
    "systemd",
    "systemd-sysv",
)

SSHD = """\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UseDNS no
PrintMotd no
PrintLastLog no
MaxStartups 200
MaxSessions 100
"""
# OpenSSH 9.8 and later slow down an address that opens and drops connections, as tests do.
SSHD_WITHOUT_PENALTIES = "PerSourcePenalties no\n"

# Debian's file would run the motd scripts and start a logind session on every connection. The
# latter costs time and now and then leaves user-runtime-dir@0.service failed in a container.
PAM_SSHD = """\
auth       required   pam_unix.so
account    required   pam_nologin.so
account    required   pam_unix.so
session    required   pam_limits.so
session    required   pam_env.so
session    required   pam_unix.so
password   required   pam_unix.so
"""

# The user who may use sudo, and the one who may not.
USERS = ("deploy", "nosudo")
SUDOERS = "deploy ALL=(ALL:ALL) NOPASSWD: ALL\n"


def name_of(release: str) -> str:
    """Return the name of a release's image, in which its recipe is hashed.

    So a change of the recipe makes a new image instead of using an outdated one.
    """
    recipe = (PACKAGES, SSHD, SSHD_WITHOUT_PENALTIES, PAM_SSHD, USERS, SUDOERS)
    content = repr(recipe) + inspect.getsource(_configure)
    return f"{release}-{hashlib.sha256(content.encode()).hexdigest()[:8]}"


def path_of(image: str) -> Path:
    """Return the root folder of an image."""
    return folders.IMAGES / image


def ensure(release: str) -> str:
    """Build the image of a release unless it is there; return its name.

    Raises LabError when debootstrap fails.
    """
    image = name_of(release)
    if path_of(image).is_dir():
        return image
    requirements.debootstrap_script(release)
    with _building(release):
        if not path_of(image).is_dir():
            _build(release, path_of(image))
            _remove_outdated(release, keep=image)
    return image


@contextmanager
def _building(release: str) -> Iterator[None]:
    """Let one process at a time build the image of a release."""
    folders.IMAGES.mkdir(parents=True, exist_ok=True)
    with _lock_file(release).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(release: str, image: Path) -> None:
    # Renamed when complete, so half an image is never used; the next build clears a killed one's.
    partial = _partial(release)
    _remove_partial(release)
    archives = mirrors.configured_mirrors()
    print(f"Building the Debian {release} image, once; this takes about a minute ...", flush=True)
    with package_proxy.local_proxy(f"image-{release}") as proxy:
        run(
            [
                *cgroup.enter_command(cgroup.image_group(release)),
                "debootstrap",
                "--variant=minbase",
                f"--include={','.join(PACKAGES)}",
                release,
                str(partial),
                archives[0].plain_address,
            ],
            environment={**os.environ, "http_proxy": proxy},
        )
    _configure(partial, release, archives)
    cgroup.destroy(cgroup.image_group(release))
    partial.rename(image)


def _configure(root: Path, release: str, archives: tuple[mirrors.Mirror, ...]) -> None:
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    (root / "etc/apt/sources.list.d/debian.sources").write_text(mirrors.sources(archives, release))
    (root / "etc/ssh/sshd_config.d/lab.conf").write_text(_sshd_settings(root))
    (root / "etc/pam.d/sshd").write_text(PAM_SSHD)
    for user in USERS:
        run(["chroot", root, "useradd", "--create-home", "--shell", "/bin/bash", user])
    sudoers = root / "etc/sudoers.d/deploy"
    sudoers.write_text(SUDOERS)
    sudoers.chmod(0o440)
    run(
        [
            "chroot",
            root,
            "systemctl",
            "--quiet",
            "enable",
            "systemd-networkd.service",
            "ssh.service",
        ]
    )
    # Written per host before its boot.
    (root / "etc/machine-id").unlink(missing_ok=True)
    (root / "etc/resolv.conf").write_text("")
    for key in (root / "etc/ssh").glob("ssh_host_*"):
        key.unlink()
    for package in (root / "var/cache/apt/archives").glob("*.deb"):
        package.unlink()
    shutil.rmtree(root / "var/lib/apt/lists")
    (root / "var/lib/apt/lists").mkdir()


def _sshd_settings(root: Path) -> str:
    (root / "run/sshd").mkdir(parents=True, exist_ok=True)
    probe = ["chroot", str(root), "/usr/sbin/sshd", "-t", "-o", SSHD_WITHOUT_PENALTIES.strip()]
    knows_penalties = run(probe, check=False).returncode == 0
    return SSHD + (SSHD_WITHOUT_PENALTIES if knows_penalties else "")


def remove_leftovers() -> None:
    """Remove what a killed build left behind, unless a build is at work."""
    for partial in folders.IMAGES.glob(".*.partial"):
        release = partial.name.removeprefix(".").removesuffix(".partial")
        with _lock_file(release).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _remove_partial(release)


def _lock_file(release: str) -> Path:
    return folders.IMAGES / f".{release}.lock"


def _remove_outdated(release: str, keep: str) -> None:
    """Remove images of older recipes that no running host stands on."""
    for image in folders.IMAGES.glob(f"{release}-*"):
        if image.name != keep and not overlay.is_lower(image):
            shutil.rmtree(image)


def _remove_partial(release: str) -> None:
    # A killed build's debootstrap may still be writing.
    cgroup.destroy(cgroup.image_group(release))
    overlay.unmount_below(_partial(release))
    if _partial(release).exists():
        shutil.rmtree(_partial(release))


def _partial(release: str) -> Path:
    return folders.IMAGES / f".{release}.partial"
