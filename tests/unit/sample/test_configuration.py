"""What the unit's environment and credentials mean."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stellwerk.endpoint import Endpoint
from stellwerk.sample.configuration import (
    ConfigurationError,
    Password,
    read_database,
    read_service,
)

MINIMAL = {"PORT": "8101", "SERVICE_NAME": "aktienanalyse-core"}
DATABASE = {"DATABASE_HOST": "db-1", "DATABASE_NAME": "aktien", "DATABASE_USER": "reader"}
CACHE = {
    "REDIS_SENTINELS": "cache-1:26379, [2001:db8::7]:26380",
    "REDIS_MASTER": "aktienanalyse-redis",
}


def credentials(folder: Path, **passwords: str) -> dict[str, str]:
    for name, text in passwords.items():
        (folder / f"{name}.password").write_text(text)
    return {"CREDENTIALS_DIRECTORY": str(folder)}


def test_port_and_name_are_enough() -> None:
    configuration = read_service(MINIMAL)
    assert configuration.label == "aktienanalyse-core@8101"
    assert configuration.instance == "8101"
    assert configuration.bind_addresses == ()
    assert configuration.database is None
    assert configuration.cache is None
    assert configuration.shutdown_timeout == 25


def test_passwords_come_from_credential_files(tmp_path: Path) -> None:
    given_files = credentials(tmp_path, postgresql="p 1\n", redis="r2", sentinel="s3\n")
    configuration = read_service(MINIMAL | DATABASE | CACHE | given_files)
    assert configuration.database is not None
    assert configuration.cache is not None
    assert configuration.database.password == Password("p 1")
    assert configuration.cache.password == Password("r2")
    assert configuration.cache.sentinel_password == Password("s3")


def test_a_password_is_in_no_repr(tmp_path: Path) -> None:
    given_files = credentials(tmp_path, postgresql="planted-secret", redis="planted-secret")
    assert "planted-secret" not in repr(read_service(MINIMAL | DATABASE | CACHE | given_files))


def test_without_credentials_there_is_no_password() -> None:
    assert read_database(DATABASE).password is None


def test_sentinels_are_endpoints_of_both_address_families() -> None:
    cache = read_service(MINIMAL | CACHE).cache
    assert cache is not None
    assert cache.sentinels == (Endpoint("cache-1", 26379), Endpoint("2001:db8::7", 26380))
    assert str(cache.sentinels[1]) == "[2001:db8::7]:26380"


def test_bind_addresses_are_a_list_without_repetition() -> None:
    configuration = read_service(MINIMAL | {"BIND_ADDRESS": "127.0.0.1, 198.18.0.2,127.0.0.1"})
    assert configuration.bind_addresses == ("127.0.0.1", "198.18.0.2")


def test_the_switches_are_off_unless_set() -> None:
    switches = read_service(MINIMAL).switches
    assert (switches.load.cpu_ms, switches.load.delay_ms, switches.load.error_share) == (0, 0, 0)
    assert not switches.set_by_request
    assert not switches.never_ready
    assert switches.exit_after is None


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"PORT": ""}, "PORT is not set"),
        ({"PORT": "80a"}, "PORT is '80a'"),
        ({"PORT": "70000"}, "from 1 to 65535"),
        ({"SERVICE_NAME": "Core:1"}, "SERVICE_NAME is 'Core:1'"),
        ({"INSTANCE": "a b"}, "INSTANCE is 'a b'"),
        ({"BIND_ADDRESS": "localhost"}, "BIND_ADDRESS has 'localhost'"),
        ({"DATABASE_HOST": "db-1"}, "DATABASE_NAME is not set"),
        (DATABASE | {"DATABASE_PORT": "0"}, "DATABASE_PORT is '0'"),
        ({"REDIS_SENTINELS": "cache-1"}, "REDIS_SENTINELS has 'cache-1'"),
        ({"REDIS_SENTINELS": "cache-1:26379"}, "REDIS_MASTER is not set"),
        ({"SHUTDOWN_TIMEOUT": "nan"}, "SHUTDOWN_TIMEOUT is 'nan'"),
        ({"SAMPLE_ERROR_SHARE": "1.5"}, "SAMPLE_ERROR_SHARE is '1.5'"),
        ({"SAMPLE_CPU_MS": "-1"}, "SAMPLE_CPU_MS is '-1'"),
        ({"SAMPLE_SWITCHES": "yes"}, "SAMPLE_SWITCHES is 'yes'"),
    ],
)
def test_a_wrong_variable_is_named_in_one_sentence(wrong: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_service(MINIMAL | wrong)
    assert named in str(raised.value)
    assert "\n" not in str(raised.value)
    assert str(raised.value).endswith(".")


def test_an_empty_credential_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"postgresql\.password is empty"):
        read_service(MINIMAL | DATABASE | credentials(tmp_path, postgresql="\n"))


def test_the_authorities_are_files_that_can_be_read(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("a certificate")
    named = {"DATABASE_TLS_CA": str(authority), "REDIS_TLS_CA": str(authority)}
    configuration = read_service(MINIMAL | DATABASE | CACHE | named)
    assert configuration.database is not None
    assert configuration.cache is not None
    assert (configuration.database.tls_ca, configuration.cache.tls_ca) == (authority, authority)


@pytest.mark.parametrize("name", ["DATABASE_TLS_CA", "REDIS_TLS_CA"])
def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} is '.*absent', which cannot be read"):
        read_service(MINIMAL | DATABASE | CACHE | {name: str(tmp_path / "absent")})


def test_a_database_is_needed_to_seed() -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_HOST is not set"):
        read_database({})


@given(
    st.dictionaries(
        st.sampled_from(
            ["PORT", "SERVICE_NAME", "BIND_ADDRESS", "REDIS_SENTINELS", "SAMPLE_CPU_MS"]
        ),
        st.text(max_size=20),
    )
)
def test_any_text_is_read_or_refused(variables: dict[str, str]) -> None:
    with contextlib.suppress(ConfigurationError):
        read_service(MINIMAL | CACHE | variables)
