"""What is wanted on a host is compared with what is there, and never shows a secret."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.engine.resources import Activation, ConfigSet, Directory, File, why_install

UNIT = "nginx.service"
FILE = File("/etc/nginx/nginx.conf", "server {}", 0o640, "root", "www-data")
CONFIG = ConfigSet("nginx", files=(FILE,), activation=Activation(unit=UNIT))


def facts_of(config: ConfigSet, **changed: Any) -> dict[str, Any]:
    """Facts of a host on which the configuration is active."""
    return {
        "stamps": {config.name: {"digest": config.digest}},
        "files": {file.path: file.as_fact() for file in config.files},
        "units": {UNIT: {"ActiveState": "active"}},
        **changed,
    }


def test_what_is_active_as_wanted_is_left_alone() -> None:
    assert why_install(CONFIG, facts_of(CONFIG)) == ""


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"stamps": {}}, "not installed yet"),
        ({"stamps": {"nginx": {"digest": "old"}}}, "not active yet"),
        ({"stamps": {"nginx": {"digest": ""}}}, "not active yet"),
        ({"files": {}}, "nginx.conf is missing"),
        ({"files": {FILE.path: None}}, "nginx.conf is missing"),
        (
            {"files": {}, "stamps": {"nginx": {"digest": "old", "files": ["/other"]}}},
            "nginx.conf is new",
        ),
        ({"files": {FILE.path: {"link": "/elsewhere"}}}, "nginx.conf differs"),
        ({"files": {FILE.path: {**FILE.as_fact(), "sha256": "0"}}}, "nginx.conf differs"),
        (
            {"files": {FILE.path: {**FILE.as_fact(), "mode": 0o644}}},
            "nginx.conf has mode 0644, not 0640",
        ),
        (
            {"files": {FILE.path: {**FILE.as_fact(), "owner": "nobody"}}},
            "nginx.conf belongs to nobody:www-data, not root:www-data",
        ),
        (
            {"units": {UNIT: {"ActiveState": "active", "UnitFileState": "disabled"}}},
            "nginx.service is disabled",
        ),
        (
            {"units": {UNIT: {"ActiveState": "active", "UnitFileState": "masked"}}},
            "nginx.service is masked",
        ),
        ({"units": {}}, "nginx.service is not active"),
        ({"units": {UNIT: {"ActiveState": "failed"}}}, "nginx.service is not active"),
    ],
)
def test_what_differs_is_the_reason(changed: dict[str, Any], reason: str) -> None:
    assert why_install(CONFIG, facts_of(CONFIG, **changed)).endswith(reason)


FOLDER = Directory("/var/lib/sample", 0o700)


@pytest.mark.parametrize(
    ("present", "reason"),
    [
        ({}, ""),  # a stamp of before named no folders
        ({FOLDER.path: FOLDER.as_fact()}, ""),
        ({FOLDER.path: None}, "/var/lib/sample is missing"),
        ({FOLDER.path: {**FOLDER.as_fact(), "mode": 0o755}}, "has mode 0755, not 0700"),
    ],
)
def test_a_folder_that_differs_is_the_reason(present: dict[str, Any], reason: str) -> None:
    config = replace(CONFIG, directories=(FOLDER,))
    assert why_install(config, facts_of(config, folders=present)).endswith(reason)
    assert bool(reason) == bool(why_install(config, facts_of(config, folders=present)))


def test_a_bare_host_needs_everything() -> None:
    assert why_install(CONFIG, {}) == "not installed yet"


def test_a_seed_that_its_daemon_rewrote_is_as_wanted() -> None:
    seed = replace(CONFIG, files=(replace(FILE, seed=True),))
    rewritten = {FILE.path: {**FILE.as_fact(), "sha256": "of what the daemon wrote"}}
    assert why_install(seed, facts_of(seed, files=rewritten)) == ""


texts = st.text(max_size=20)
files = st.builds(
    File,
    path=st.just("/etc/sample"),
    content=texts,
    mode=st.integers(0, 0o7777),
    owner=st.sampled_from(["root", "redis"]),
    group=st.sampled_from(["root", "redis"]),
)


@given(files, files)
def test_a_digest_differs_exactly_when_a_file_differs(one: File, other: File) -> None:
    digests = {ConfigSet("sample", files=(file,)).digest for file in (one, other)}
    assert (len(digests) == 1) == (one == other)


@given(texts, texts)
def test_the_content_of_a_seed_is_no_part_of_the_digest(one: str, other: str) -> None:
    digests = {
        ConfigSet("sample", files=(File("/etc/sample", content, seed=True),)).digest
        for content in (one, other)
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"directories": (Directory("/var/lib/sample"),)},
        {"absent": ("/etc/nginx/sites-enabled/default",)},
        {"activation": Activation(unit="other.service")},
    ],
)
def test_folders_absent_files_and_the_unit_are_part_of_the_digest(changed: dict[str, Any]) -> None:
    assert replace(CONFIG, **changed).digest != CONFIG.digest


@given(st.text(alphabet="abcdefgh", min_size=6))
def test_a_files_content_shows_only_in_the_request_to_the_host(content: str) -> None:
    config = ConfigSet("sample", files=(File("/etc/sample", content),))
    assert content not in f"{config!r} {config} {config.digest} {config.files}".replace(
        config.digest, ""
    )
    assert config.document()["files"][0]["content"]
