"""Secrets: where they come from, that they are kept private, and that none is ever shown."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml
from click.testing import CliRunner

from stellwerk.cli import main
from stellwerk.settings import schema, secret_store
from stellwerk.settings.files import host_document
from stellwerk.settings.types import Secret

from .conftest import Site

PLANTED = "planted-secret-5c1f"


def test_missing_secrets_are_generated_kept_privately_and_found_again(site: Site) -> None:
    first = site.load(generate_secrets=True).host("app-1").settings
    assert stat.S_IMODE(site.secrets.stat().st_mode) == 0o600
    written = site.secrets.read_bytes()
    second = site.load(generate_secrets=True).host("db-1").settings
    assert first.redis.passwords == second.redis.passwords
    assert len(first.redis.passwords.app.get_secret_value()) == 43, "32 bytes in URL-safe base64"
    assert site.secrets.read_bytes() == written


def test_every_generated_secret_differs(site: Site) -> None:
    site.load(generate_secrets=True)
    values = yaml.safe_load(site.secrets.read_text())
    redis, postgresql = values["redis"]["passwords"], values["postgresql"]["passwords"]
    generated = [*redis.values(), *postgresql.values()]
    assert len(set(generated)) == len(generated) == 10


def test_given_secrets_are_kept_and_only_the_missing_are_generated(site: Site) -> None:
    site.write_secrets(f"redis:\n  passwords:\n    app: {PLANTED}\n    monitor: ''\n")
    passwords = site.load(generate_secrets=True).host("app-1").settings.redis.passwords
    assert passwords.app.get_secret_value() == PLANTED
    assert passwords.monitor.given


def test_nothing_is_generated_while_there_are_other_problems(site: Site) -> None:
    site.problems({"redis.port": 0}, generate_secrets=True)
    assert not site.secrets.exists()


def test_nothing_is_written_when_settings_are_only_looked_at(site: Site) -> None:
    assert not site.load().host("app-1").settings.redis.passwords.app.given
    assert not site.secrets.exists()


def test_an_optional_secret_is_never_generated(site: Site) -> None:
    settings = site.load(generate_secrets=True).host("app-1").settings
    assert settings.monitoring.receivers.slack.webhook_url is None


def test_two_first_runs_at_a_time_agree_on_the_secrets(site: Site) -> None:
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: secret_store.complete(site.secrets), range(8)))
    values = {layer.get(("sentinel", "password")).get_secret_value() for layer in loaded}
    assert len(values) == 1


def test_an_interrupted_write_leaves_the_old_file(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write_secrets(f"sentinel: {{password: {PLANTED}}}\n")
    before = site.secrets.read_text()

    def fail(_descriptor: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        secret_store.complete(site.secrets)
    assert site.secrets.read_text() == before
    assert sorted(path.name for path in site.folder.iterdir()) == [
        "group_data",
        "inventory",
        "secrets.yaml",
    ]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_secrets_file_others_may_read_is_refused(site: Site, mode: int) -> None:
    site.write_secrets(f"sentinel: {{password: {PLANTED}}}\n", mode)
    assert site.problems() == (
        "secrets.yaml: others may read or change it; run: chmod 600 secrets.yaml",
    )


def test_a_stricter_mode_is_accepted(site: Site) -> None:
    site.write_secrets(f"sentinel: {{password: {PLANTED}}}\n", 0o400)
    assert site.load().host("app-1").settings.sentinel.password.given


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("redis:\n  port: 1\n", "secrets.yaml:2: redis.port: this is not a secret"),
        ("redis:\n  pasword: x\n", "secrets.yaml:2: redis.pasword: unknown key; did you mean"),
        (f"redis: {PLANTED}\n", "secrets.yaml:1: redis: expected keys and values"),
        (
            f"sentinel:\n  password: [{PLANTED}]\n",
            "secrets.yaml:2: sentinel.password: expected text",
        ),
        ("sentinel:\n  password: 12345678\n", "secrets.yaml:2: sentinel.password: expected text"),
        (f"sentinel: [{PLANTED}\n", "secrets.yaml:2: is not valid YAML"),
        (f"{PLANTED}\n", "secrets.yaml: expected keys and values"),
        (f"a: &x {PLANTED}\nb: *y\n", "secrets.yaml:2: is not valid YAML"),
    ],
)
def test_a_wrong_secrets_file_is_refused_without_quoting_it(
    site: Site, text: str, sentence: str
) -> None:
    site.write_secrets(text)
    problems = site.problems()
    assert problems[0].startswith(sentence)
    assert PLANTED not in "".join(problems)


@pytest.mark.parametrize(
    "text",
    [
        f'redis = {{\n    "passwords": {{"app": "{PLANTED}"}},\n}}',
        f'redis = {{\n    "passwords": "{PLANTED}",\n}}',
        f'redis = {{\n    "password": "{PLANTED}",\n}}',
        f'redis = ["{PLANTED}"]',
    ],
)
def test_a_secret_in_group_data_is_refused_without_quoting_it(site: Site, text: str) -> None:
    site.write("redis", text)
    (problem,) = site.problems()
    assert problem.startswith("group_data/redis.py:")
    assert PLANTED not in problem


def test_a_secret_in_group_data_is_sent_to_the_right_file(site: Site) -> None:
    site.write("sentinel", f'sentinel = {{"password": "{PLANTED}"}}')
    assert site.problems() == (
        "group_data/sentinel.py:1: sentinel.password: a secret must not be written here;"
        " put it in secrets.yaml",
    )


def test_a_secret_on_the_command_line_is_refused(site: Site) -> None:
    (problem,) = site.problems({"sentinel.password": PLANTED})
    assert problem.startswith("--data: sentinel.password: a secret must not")


def test_a_command_may_print_the_secrets(site: Site) -> None:
    names = sorted(schema.secret_paths())
    nested: dict[str, object] = {}
    for *above, last in names:
        current: dict[str, object] = nested
        for key in above:
            current = current.setdefault(key, {})  # type: ignore[assignment]
        current[last] = PLANTED
    (site.folder / "vault.yaml").write_text(yaml.safe_dump(nested))
    site.write("secrets", 'secrets = {"command": ["cat", "vault.yaml"]}')
    settings = site.load(generate_secrets=True).host("app-1").settings
    assert settings.sentinel.password.get_secret_value() == PLANTED
    assert not site.secrets.exists()


def test_a_secret_the_command_does_not_print_is_named(site: Site) -> None:
    site.write("secrets", 'secrets = {"command": ["echo", "{}"]}')
    problems = site.problems(generate_secrets=True)
    assert (
        "secrets.command (echo): sentinel.password: is missing in what the command printed"
        in problems
    )
    assert len(problems) == len(list(schema.secret_paths()))


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ('["false"]', "secrets.command (false): failed with exit code 1"),
        ('["no-such-program"]', "secrets.command (no-such-program): cannot be run: No such file"),
    ],
)
def test_a_command_that_fails_is_one_sentence(site: Site, command: str, sentence: str) -> None:
    site.write("secrets", f'secrets = {{"command": {command}}}')
    problems = site.problems()
    assert len(problems) == 1
    assert problems[0].startswith(sentence)


def test_a_command_beside_a_secrets_file_is_refused(site: Site) -> None:
    site.write_secrets("{}")
    site.write("secrets", 'secrets = {"command": ["echo", "{}"]}')
    assert any("keep one of them" in problem for problem in site.problems())


def test_the_source_of_secrets_is_for_the_whole_cluster(site: Site) -> None:
    site.write("app-1", 'secrets = {"command": ["true"]}')
    assert site.problems() == (
        "group_data/app-1.py:1: secrets: is for the whole cluster; set it in group_data/secrets.py",
    )


def test_credentials_of_a_service_come_from_the_secrets_file(site: Site) -> None:
    site.write(
        "services",
        'services = {"shop": {"port_base": 8100, "max_instances": 1, "memory": "1MB"}}',
    )
    site.write_secrets(f"services: {{shop: {{credentials: {{api_key: {PLANTED}}}}}}}\n")
    service = site.load().host("app-1").settings.services["shop"]
    assert service.credentials["api_key"].get_secret_value() == PLANTED


def test_a_planted_secret_is_in_no_output(site: Site) -> None:
    site.write_secrets(
        f"redis: {{passwords: {{app: {PLANTED}}}}}\n"
        f"caching: {{encryption: {{previous_keys: {{old: {PLANTED}}}}}}}\n"
    )
    cluster = site.load()
    host = cluster.host("app-1")
    where = ["--inventory", str(site.inventory)]
    runs = [
        CliRunner().invoke(main, ["settings", *words, *where])
        for words in (
            ["show", "app-1"],
            ["explain", "app-1", "redis.passwords.app"],
            ["explain", "app-1", "redis"],
            ["explain", "app-1", "caching.encryption.previous_keys"],
            ["explain", "app-1", "redis.passwords.app.further"],
        )
    ]
    assert [run.exit_code for run in runs] == [0, 0, 0, 0, 2]
    assert all("********" in run.output for run in runs[:4])
    outputs = [run.output for run in runs]
    outputs += [repr(cluster), str(host), repr(host.layers), str(host_document(cluster, host))]
    outputs += [repr(host.settings), host.settings.model_dump_json()]
    assert not any(PLANTED in output for output in outputs)


def test_a_secret_layer_holds_no_plain_text(site: Site) -> None:
    site.write_secrets(f"sentinel: {{password: {PLANTED}}}\n")
    layer = secret_store.read_file(site.secrets)
    assert isinstance(layer.get(("sentinel", "password")), Secret)
