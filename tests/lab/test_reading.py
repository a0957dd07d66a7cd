"""What the lab reads and decides without touching the machine: inventories, mirrors, addresses."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.lab import identity, mirrors, package_proxy
from tests.lab.errors import LabError
from tests.lab.inventory import LabHost, hosts_of, read_hosts
from tests.lab.mirrors import Mirror

FIRST = IPv4Address("198.18.0.1")
SECOND = IPv4Address("198.18.0.2")
PRODUCTION = IPv4Address("10.0.0.3")


def test_host_data_wins_over_group_data_and_hosts_keep_their_order() -> None:
    variables = {
        "apps": (["b", ("a", {"ssh_hostname": str(FIRST)})], {"lab_release": "trixie"}),
        "all": [("b", {"ssh_hostname": str(SECOND), "lab_release": "bookworm"})],
        "_private": ["not a host"],
        "number": 3,
    }
    assert hosts_of(variables, "inventory") == (
        LabHost("b", SECOND, "bookworm"),
        LabHost("a", FIRST, "trixie"),
    )


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        (["lonely"], "ssh_hostname None is not an IPv4 address"),
        ([("named", {"ssh_hostname": "named.example"})], "'named.example' is not an IPv4 address"),
        ([("Under_score", {"ssh_hostname": str(FIRST)})], "cannot boot the host 'Under_score'"),
        (
            [("a", {"ssh_hostname": str(FIRST)}), ("b", {"ssh_hostname": str(FIRST)})],
            "a and b have the same address",
        ),
    ],
)
def test_a_host_that_cannot_be_booted_is_named(hosts: list[object], message: str) -> None:
    with pytest.raises(LabError, match=message):
        hosts_of({"apps": hosts}, "inventory")


def test_a_broken_inventory_is_named(tmp_path: Path) -> None:
    file = tmp_path / "inventory"
    file.write_text("hosts = [")
    with pytest.raises(LabError, match=str(file)):
        read_hosts(file)


def index(mirror: str, suite: str) -> str:
    return f"'{mirror}/dists/{suite}/InRelease' name 0 "


def test_the_machines_own_debian_mirrors_are_used_and_others_left_out() -> None:
    lines = [
        index("https://vendor.example/apt", "stable-vendor"),
        index("http://one.example/debian", "bookworm-backports"),
        index("http://one.example/debian", "bookworm"),
        index("http://one.example/debian", "bookworm-updates"),
        index("https://two.example/debian-security/", "bookworm-security"),
        "'http://one.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' name 0 ",
    ]
    found = mirrors.parse_mirrors(lines, "bookworm")
    assert found == (
        Mirror("http://one.example/debian", ("", "-updates")),
        Mirror("https://two.example/debian-security", ("-security",)),
    )
    assert "Suites: trixie trixie-updates\n" in mirrors.sources(found, "trixie")
    assert "URIs: http://two.example/debian-security\n" in mirrors.sources(found, "trixie")


def test_a_machine_without_a_debian_mirror_is_told() -> None:
    with pytest.raises(LabError, match="no archive for Debian bookworm"):
        mirrors.parse_mirrors([index("http://one.example/ubuntu", "jammy")], "bookworm")


ARCHIVES = (
    Mirror("https://user:word@one.example/debian", ("",)),
    Mirror("http://one.example/debian-security", ("-security",)),
)


@pytest.mark.parametrize(
    ("url", "upstream"),
    [
        ("http://one.example/debian/a.deb", "https://user:word@one.example/debian/a.deb"),
        ("http://one.example/debian-security/b", "http://one.example/debian-security/b"),
        ("http://one.example/secret", None),
        ("http://one.example/debian/../secret", None),
        ("http://other.example/debian/a.deb", None),
    ],
)
def test_only_files_of_a_mirror_are_fetched(url: str, upstream: str | None) -> None:
    assert package_proxy.upstream_address(url, ARCHIVES) == upstream


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("http://one.example/debian/pool/a_1.deb", "one.example/debian/pool/a_1.deb"),
        ("http://one.example/dists/x/by-hash/SHA256/00", "one.example/dists/x/by-hash/SHA256/00"),
        ("http://one.example/debian/dists/x/InRelease", None),
    ],
)
def test_only_what_never_changes_is_kept(url: str, file: str | None) -> None:
    cache = Path("/cache")
    assert package_proxy.cache_file(url, cache) == (cache / file if file else None)


def test_a_host_of_the_labs_range_needs_routes_to_foreign_addresses_only() -> None:
    settings = identity.network_settings(FIRST, [FIRST, SECOND, PRODUCTION])
    assert f"Address={FIRST}/15" in settings
    assert f"Destination={PRODUCTION}/32" in settings
    assert f"Destination={SECOND}/32" not in settings


def test_a_host_outside_the_labs_range_needs_a_route_to_every_other() -> None:
    settings = identity.network_settings(PRODUCTION, [FIRST, SECOND, PRODUCTION])
    assert f"Address={PRODUCTION}/32" in settings
    assert settings.count("Scope=link") == 2
