"""The folder `certificates/` beside the inventory: read, completed and renewed in time.

What a certificate says is in `certificates`; what goes onto which host is the components'.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from deploys.components.tls import HostCertificate
from deploys.engine.certificates import (
    Pair,
    Subject,
    authority,
    belong_together,
    is_for,
    is_fresh,
    issue,
    key_digest,
    new_key,
)
from stellwerk.settings import private_files

FOLDER = "certificates"

_Answer = TypeVar("_Answer")


class CertificateError(Exception):
    """The folder cannot be used; the message is one sentence that names the file."""


def complete(
    inventory_folder: Path, hosts: Iterable[tuple[Subject, int]], now: datetime
) -> dict[str, HostCertificate]:
    """Every host's certificate, by the host's name; written only where it is absent or ends soon.

    + inventory_folder: where `certificates/` is, or will be
    + hosts: each with the life of a new certificate in days
    + now: the present time, with its time zone

    Two runs at a time get the same: the later one finds what the earlier has written.

    Raises CertificateError where a file cannot be read, is damaged, or others may read a key.
    """
    folder = inventory_folder / FOLDER
    try:
        with private_files.locked(_private(folder)):
            _private(folder / "hosts")
            signer = _authority(folder, now)
            pairs = {
                subject.name: _host(folder, signer, subject, days, now) for subject, days in hosts
            }
    except OSError as error:
        raise CertificateError(
            f"{error.filename or folder}: cannot be read or written: {error.strerror}"
        ) from None
    trusted, digest = signer.certificate, key_digest(signer)
    return {
        name: HostCertificate(trusted, digest, pair.certificate, pair.key)
        for name, pair in pairs.items()
    }


def _authority(folder: Path, now: datetime) -> Pair:
    certificate_file, key_file = folder / "ca.pem", folder / "ca.key"
    certificate, key = _read(certificate_file), _read_key(key_file)
    if key is None and certificate is not None:
        raise CertificateError(
            f"{key_file}: is missing, so nothing can be signed; put it back from your copy"
        )
    if key is None:
        key = new_key()
        private_files.write(key_file, key)
    if certificate is not None:
        present = Pair(certificate, key)
        if not _judge(certificate_file, key_file, lambda: belong_together(present)):
            raise CertificateError(
                f"{key_file}: is not the key of {certificate_file}; put back the two that belong"
                " together from your copy"
            )
        if is_fresh(certificate, now):
            return present
    made = _judge(certificate_file, key_file, lambda: authority(key, now))
    private_files.write(certificate_file, made.certificate)
    return made


def _host(folder: Path, signer: Pair, subject: Subject, days: int, now: datetime) -> Pair:
    stem = quote(subject.name, safe="")
    certificate_file, key_file = folder / "hosts" / f"{stem}.pem", folder / "hosts" / f"{stem}.key"
    certificate, key = _read(certificate_file), _read_key(key_file)
    if certificate is not None and key is not None:
        present = Pair(certificate, key)
        if _judge(certificate_file, key_file, lambda: _serves(present, subject, signer, now)):
            return present
    made = issue(signer, subject, days, now)
    # A run killed in between leaves two that do not belong together: the next one makes new ones.
    private_files.write(key_file, made.key)
    private_files.write(certificate_file, made.certificate)
    return made


def _serves(present: Pair, subject: Subject, signer: Pair, now: datetime) -> bool:
    return (
        belong_together(present)
        and is_for(present.certificate, subject, signer)
        and is_fresh(present.certificate, now)
    )


def _judge(certificate: Path, key: Path, ask: Callable[[], _Answer]) -> _Answer:
    try:
        return ask()
    except (ValueError, TypeError):
        raise CertificateError(
            f"{certificate}: it or {key.name} beside it is damaged; put both back from your copy,"
            " or, for a host, remove them to have new ones"
        ) from None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise CertificateError(f"{path}: is not PEM text; put it back from your copy") from None


def _read_key(path: Path) -> str | None:
    if path.exists() and path.stat().st_mode & 0o077:
        raise CertificateError(f"{path}: others may read or change it; run: chmod 600 {path}")
    return _read(path)


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_mode & 0o077:
        raise CertificateError(f"{folder}: others may read or change it; run: chmod 700 {folder}")
    return folder
