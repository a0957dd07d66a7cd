"""The folder of certificates: what a run makes, keeps, renews and refuses."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from deploys.components.tls import HostCertificate
from deploys.engine import certificates
from deploys.engine.certificate_store import CertificateError, complete
from deploys.engine.certificates import AUTHORITY_DAYS, Pair, Subject

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
APP = Subject("app-1", "198.18.0.21")
DATABASE = Subject("db-1", "2001:db8::41")
DAYS = 300


def run(
    folder: Path, *subjects: Subject, days: int = DAYS, now: datetime = NOW
) -> dict[str, HostCertificate]:
    return complete(folder, [(subject, days) for subject in subjects or (APP, DATABASE)], now)


def contents(folder: Path) -> dict[str, tuple[str, int]]:
    """Text and modification time of every file."""
    return {
        str(path.relative_to(folder)): (path.read_text(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def read(text: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(text.encode())


def handshake(server: HostCertificate, authority: str, asked_for: str, folder: Path) -> None:
    """A TLS handshake in memory, as strict as OpenSSL can be; raises where it is refused."""
    (folder / "pair.pem").write_text(server.certificate + server.key)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(folder / "pair.pem")
    asking = ssl.create_default_context(cadata=authority)
    asking.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        asking.wrap_bio(to_client, to_server, server_hostname=asked_for),
        serving.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ends[0].version() is not None


def test_a_certificate_names_the_hosts_address_name_and_loopback(tmp_path: Path) -> None:
    made = run(tmp_path)
    names = read(made["db-1"].certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert names.value.get_values_for_type(x509.DNSName) == ["db-1", "localhost"]
    assert names.value.get_values_for_type(x509.IPAddress) == [
        ip_address(address) for address in ("2001:db8::41", "127.0.0.1", "::1")
    ]


def test_a_certificate_is_for_both_ends_and_signs_nothing(tmp_path: Path) -> None:
    extensions = read(run(tmp_path)["app-1"].certificate).extensions
    purposes = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(purposes) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_client_that_verifies_takes_the_host_and_no_other(tmp_path: Path) -> None:
    made = run(tmp_path, now=datetime.now(UTC))
    for asked_for in ("app-1", "198.18.0.21", "127.0.0.1", "localhost"):
        handshake(made["app-1"], made["db-1"].authority, asked_for, tmp_path)
    for asked_for in ("db-1", "198.18.0.22"):
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(made["app-1"], made["db-1"].authority, asked_for, tmp_path)


def test_a_second_run_gets_the_same_and_writes_nothing(tmp_path: Path) -> None:
    first = run(tmp_path)
    before = contents(tmp_path)
    assert run(tmp_path, now=NOW + timedelta(days=1)) == first
    assert contents(tmp_path) == before


def test_keys_are_for_their_owner_only_and_in_no_repr(tmp_path: Path) -> None:
    made = run(tmp_path)
    folder = tmp_path / "certificates"
    assert (folder.stat().st_mode & 0o777, (folder / "hosts").stat().st_mode & 0o777) == (
        0o700,
        0o700,
    )
    for key in folder.rglob("*.key"):
        assert key.stat().st_mode & 0o777 == 0o600
    assert "PRIVATE KEY" not in repr(made)
    assert "PRIVATE KEY" not in repr(Pair(made["app-1"].certificate, made["app-1"].key))


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 1.2))
def test_a_certificate_is_renewed_when_a_third_of_its_life_is_left(
    tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    folder = tmp_path_factory.mktemp("life")
    first = run(folder, APP)["app-1"]
    began = read(first.certificate).not_valid_before_utc
    life = read(first.certificate).not_valid_after_utc - began
    later = run(folder, APP, now=began + life * share)["app-1"]
    assert (later.certificate != first.certificate) == (share >= 2 / 3)
    assert (later.key != first.key) == (share >= 2 / 3)
    assert later.authority == first.authority


def test_a_host_that_moved_has_a_new_certificate_and_the_others_keep_theirs(
    tmp_path: Path,
) -> None:
    first = run(tmp_path)
    second = run(tmp_path, Subject("app-1", "198.18.0.99"), DATABASE)
    assert second["app-1"].certificate != first["app-1"].certificate
    assert second["db-1"] == first["db-1"]


def test_another_life_counts_from_the_next_certificate_on(tmp_path: Path) -> None:
    first = run(tmp_path)
    assert run(tmp_path, days=DAYS // 2) == first


def test_a_renewed_authority_and_the_old_one_trust_the_same_certificates(tmp_path: Path) -> None:
    now, authority_ends_soon = datetime.now(UTC), timedelta(days=AUTHORITY_DAYS * 2 // 3 + 1)
    run(tmp_path, APP, days=1000, now=now - authority_ends_soon)
    old = run(tmp_path, APP, days=1000, now=now - timedelta(days=100))["app-1"]
    new = run(tmp_path, APP, days=1000, now=now)["app-1"]
    assert new.authority != old.authority
    assert new.authority_key_digest == old.authority_key_digest
    assert new.certificate == old.certificate
    for authority in (old.authority, new.authority):
        handshake(new, authority, "app-1", tmp_path)


@pytest.mark.parametrize("kept", ["ca.key", "hosts/app-1.key", "hosts/app-1.pem"])
def test_a_run_killed_between_key_and_certificate_is_made_up(tmp_path: Path, kept: str) -> None:
    run(tmp_path, APP)
    folder = tmp_path / "certificates"
    for path in folder.rglob(f"{Path(kept).stem}.*"):
        if path != folder / kept:
            path.unlink()
    again = run(tmp_path, APP)["app-1"]
    assert certificates.belong_together(Pair(again.certificate, again.key))
    assert run(tmp_path, APP)["app-1"] == again


def test_a_key_of_another_certificate_is_replaced(tmp_path: Path) -> None:
    run(tmp_path)
    hosts = tmp_path / "certificates" / "hosts"
    (hosts / "app-1.key").write_text((hosts / "db-1.key").read_text())
    again = run(tmp_path)["app-1"]
    assert certificates.belong_together(Pair(again.certificate, again.key))


def test_an_authority_without_its_key_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "certificates" / "ca.key").unlink()
    with pytest.raises(CertificateError, match=r"ca\.key: is missing.*put it back"):
        run(tmp_path)


def test_an_authority_with_another_key_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "certificates" / "ca.key").write_text(certificates.new_key())
    with pytest.raises(CertificateError, match=r"ca\.key: is not the key of .*ca\.pem"):
        run(tmp_path)


@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "hosts/app-1.pem", "hosts/app-1.key"])
@pytest.mark.parametrize("damage", ["", "no certificate", "ключ"])
def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path: Path, name: str, damage: str) -> None:
    run(tmp_path, APP)
    path = tmp_path / "certificates" / name
    path.write_text(damage)
    with pytest.raises(CertificateError, match=Path(name).stem) as caught:
        run(tmp_path, APP)
    assert "\n" not in str(caught.value)
    assert path.read_text() == damage


@pytest.mark.parametrize(
    ("name", "mode"), [("ca.key", 0o640), ("hosts/app-1.key", 0o604), (".", 0o750)]
)
def test_what_others_may_read_is_refused(tmp_path: Path, name: str, mode: int) -> None:
    run(tmp_path, APP)
    (tmp_path / "certificates" / name).chmod(mode)
    with pytest.raises(CertificateError, match="others may read or change it; run: chmod"):
        run(tmp_path, APP)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "certificates").write_text("in the way")
    with pytest.raises(CertificateError, match="certificates"):
        run(tmp_path)
