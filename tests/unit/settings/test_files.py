"""The settings file of a host: what is written is what a daemon reads back."""

from pathlib import Path
from string import ascii_lowercase, digits
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from stellwerk.settings import Settings, SettingsError
from stellwerk.settings.files import (
    host_document,
    read_host_file,
    read_settings,
    settings_document,
)
from stellwerk.settings.types import Bytes
from tests.properties import one_in

from .conftest import Site

sizes = st.integers(0, 2**50).map(lambda size: Bytes(size).text)
seconds = st.integers(1, 10**6)
lines = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=20)

names = st.tuples(
    st.sampled_from(ascii_lowercase), st.text(ascii_lowercase + digits + "-", max_size=8)
).map("".join)

services = st.dictionaries(
    names,
    st.fixed_dictionaries(
        {"port_base": st.integers(1, 60000), "max_instances": st.integers(1, 50), "memory": sizes},
        optional={"command": st.lists(lines, min_size=1), "stop_timeout_seconds": seconds},
    ),
    max_size=2,
)

overrides: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "redis": st.fixed_dictionaries(
            {},
            optional={
                "maxmemory": sizes,
                "parameters": st.dictionaries(lines, lines, max_size=3),
                "save": st.lists(
                    st.fixed_dictionaries({"seconds": seconds, "changes": seconds}), max_size=3
                ),
            },
        ),
        "base": st.fixed_dictionaries(
            {},
            optional={
                "overcommit_memory": st.sampled_from([0, 1, 2, None]),
                "sysctl": st.dictionaries(lines, lines | st.integers(), max_size=3),
            },
        ),
        "postgresql": st.fixed_dictionaries(
            {},
            optional={
                "parameters": st.dictionaries(
                    st.text(ascii_lowercase + "_", min_size=1, max_size=9),
                    st.booleans() | st.integers() | st.floats(-1e9, 1e9) | lines,
                    max_size=3,
                )
            },
        ),
        "baselines": st.fixed_dictionaries({}, optional={"dated": st.dates()}),
        "services": services,
    },
)


@one_in(4)
@given(overrides)
def test_settings_survive_being_written_and_read(values: dict[str, Any]) -> None:
    before = Settings.model_validate(values)
    text = yaml.dump(settings_document(before), Dumper=yaml.CSafeDumper, allow_unicode=True)
    assert Settings.model_validate(yaml.load(text, Loader=yaml.CSafeLoader)) == before


@one_in(5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(maxmemory=sizes, port=st.integers(1024, 5000), packages=st.lists(lines, max_size=3))
def test_a_daemon_reads_what_the_deploy_wrote(
    site: Site, maxmemory: str, port: int, packages: list[str]
) -> None:
    cluster = site.load(
        {"redis.maxmemory": maxmemory, "redis.port": port, "base.packages": packages}
    )
    host = cluster.host("db-1")
    read = read_settings(written(site.folder, host_document(cluster, host)))
    assert read == host.settings


def written(folder: Path, document: Any) -> Path:
    path = folder / "settings.yaml"
    path.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper))
    return path


def test_a_host_knows_the_members_of_its_cluster(site: Site) -> None:
    cluster = site.load()
    file = read_host_file(written(site.folder, host_document(cluster, cluster.host("app-1"))))
    assert file.name == "app-1"
    assert [m.address for m in file.group("sentinels")] == [
        "198.18.0.4",
        "198.18.0.5",
        "198.18.0.6",
    ]


def test_the_file_holds_no_secret_and_not_even_its_place(site: Site) -> None:
    cluster = site.load(generate_secrets=True)
    document = host_document(cluster, cluster.host("cache-1"))
    assert "admin" not in document["settings"]["redis"]["passwords"]
    assert "password" not in document["settings"]["sentinel"]
    assert "secrets" not in document["settings"]


def test_secrets_are_read_from_the_credentials_systemd_hands_over(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = site.load()
    path = written(site.folder, host_document(cluster, cluster.host("cache-1")))
    folder = site.folder / "credentials"
    folder.mkdir()
    (folder / "redis.passwords.monitor").write_text("a-given-secret\n")
    (folder / "something.else").write_text("not ours")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    passwords = read_settings(path).redis.passwords
    assert passwords.monitor.get_secret_value() == "a-given-secret"
    assert not passwords.admin.given


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[", "is not valid YAML; run the deploy again"),
        ("a: 1", "is not a settings file of Stellwerk; run the deploy again"),
        ("{host: a, members: {}, settings: {redis: {prot: 1}}}", "redis.prot: unknown key"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_settings(path)
    assert caught.value.sentences == (f"{path}: {problem}",)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"settings\.yaml: cannot be read: No such file"):
        read_settings(tmp_path / "settings.yaml")
