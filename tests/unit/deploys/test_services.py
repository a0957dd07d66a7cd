"""Services' units: whatever is in the settings stays one value, sandboxed and within limits."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploys.components import agent, credentials, event_store, generations, nginx, services
from deploys.components.services import ServiceRelease
from deploys.engine.render import render
from deploys.engine.resources import ConfigSet
from stellwerk.settings.cluster import Cluster
from stellwerk.settings.services import Service

from .conftest import host_of

RELEASE = "1.0-abc"
CORE = "aktienanalyse-core"
GENERATOR = Path("/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator")
needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
lines = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=30)
nasty_lines = lines | st.text("\"'\\$%`{};# ab", max_size=12)
# The reader is one for environment.d, which expands variables and shows control characters escaped;
# the shell that reads its output expands "~".
printable = nasty_lines.filter(lambda text: not {"$", "~"} & {*text} and text.isprintable())


def service(**changed: object) -> Service:
    return Service.model_validate(
        {"port_base": 8100, "max_instances": 4, "memory": "64MB", **changed}
    )


@pytest.fixture(scope="module")
def command_line(cluster: Cluster) -> Callable[[list[str]], str]:
    """The ExecStart of a service with a command."""
    declared = host_of(cluster, "apps")

    def command_line(command: list[str]) -> str:
        text = services.unit(
            declared.settings, CORE, service(command=command), ServiceRelease(), "/etc"
        )
        (line,) = (line for line in text.split("\n") if line.startswith("ExecStart="))
        return line.removeprefix("ExecStart=")

    return command_line


def as_systemd_reads(command: str) -> list[str]:
    """The double-quoted words of an ExecStart, after systemd.service(5).

    C-style escapes are resolved first, then specifiers ("%%"), then variables ("$$").
    """
    words = re.findall(r'"((?:[^"\\]|\\.)*)"(?: |$)', command)
    assert " ".join(f'"{word}"' for word in words) == command
    plain = [re.sub(r"\\(.)", r"\1", word) for word in words]
    for word in plain:
        assert re.fullmatch(r"(?:[^%$]|%%|\$\$)*", word, re.DOTALL)
    return [word.replace("%%", "%").replace("$$", "$") for word in plain]


@given(st.lists(nasty_lines, min_size=1, max_size=4))
def test_every_word_of_a_command_reaches_the_program_as_it_was_given(
    command_line: Callable[[list[str]], str], words: list[str]
) -> None:
    assert as_systemd_reads(command_line(words)) == words


@settings(max_examples=25)
@given(st.lists(nasty_lines, min_size=1, max_size=20))
def test_every_value_of_an_environment_is_what_a_shell_reads_in_double_quotes(
    values: list[str],
) -> None:
    text = "".join(f"V{number}={services._value(value)}\n" for number, value in enumerate(values))
    names = " ".join(f'"$V{number}"' for number in range(len(values)))
    script = f"{text}printf '%s\\0' {names}"
    done = subprocess.run(["sh"], input=script.encode(), capture_output=True, check=True)
    assert done.stdout.decode().split("\0")[:-1] == values


@pytest.mark.skipif(not GENERATOR.is_file(), reason="systemd's own reader is not installed")
@settings(max_examples=10)
@given(values=st.lists(printable, min_size=1, max_size=20))
def test_systemd_itself_reads_every_value_as_it_was_given(
    tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("config")
    (folder / "environment.d").mkdir()
    text = "".join(f"V{number}={services._value(value)}\n" for number, value in enumerate(values))
    (folder / "environment.d" / "99.conf").write_text(text)
    done = subprocess.run(
        [GENERATOR], env={"XDG_CONFIG_HOME": str(folder)}, capture_output=True, check=True
    )
    names = " ".join(f'"$V{number}"' for number in range(len(values)))
    script = done.stdout + f"\nprintf '%s\\0' {names}".encode()
    read = subprocess.run(["bash"], input=script, capture_output=True, check=True)
    assert read.stdout.decode().split("\0")[:-1] == values


def test_an_environment_is_one_line_a_value_and_holds_no_secret(cluster: Cluster) -> None:
    declared = host_of(cluster, "apps")
    text = services.environment(cluster, declared, CORE, declared.address)
    rows = text.splitlines()[1:]
    assert all(re.fullmatch(r'[A-Z_]+="[^"]*"', row) for row in rows)
    assert 'REDIS_SENTINELS="198.18.0.31:26379,198.18.0.32:26379,198.18.0.41:26379"' in rows
    assert 'CACHE_SETTINGS="/etc/stellwerk/services-cache.json"' in rows
    for secret in credentials.wanted(declared).values():
        assert secret not in text


def written(folder: Path, name: str, text: str) -> Path:
    """A unit file whose programs and files exist, as systemd-analyze looks for them."""
    path = folder / name
    path.write_text(re.sub(r"ExecStart=\S+", "ExecStart=/bin/true", text))
    return path


def app_configs(cluster: Cluster) -> tuple[ConfigSet, ...]:
    """What an app host gets of the services."""
    wanted = generations.wanted(cluster, RELEASE)
    return generations.config(cluster, host_of(cluster, "apps"), wanted, RELEASE)


def own_units(cluster: Cluster, folder: Path) -> list[Path]:
    """Every service unit of ours; an instance stands for its template."""
    (app,) = app_configs(cluster)
    agents = (
        *agent.configs(cluster, host_of(cluster, "apps"), RELEASE),
        *agent.configs(cluster, host_of(cluster, "balancers"), RELEASE),
        *nginx.configs(cluster, host_of(cluster, "balancers")),
    )
    (seed,) = services.data(host_of(cluster, "databases"))
    store = event_store.configs(host_of(cluster, "databases"))
    configs = (app, seed, *store, *agents)
    units = {
        Path(file.path).name.replace("@.", "@8101."): file.content
        for file in (file for config in configs for file in config.files)
        if file.path.endswith(".service")
    }
    return [written(folder, name, text) for name, text in sorted(units.items())]


@needs_analyze
def test_every_unit_of_ours_is_valid(cluster: Cluster, tmp_path: Path) -> None:
    paths = own_units(cluster, tmp_path)
    (slice_file,) = (file for file in app_configs(cluster)[0].files if file.path.endswith(".slice"))
    (tmp_path / Path(slice_file.path).name).write_text(slice_file.content)
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(paths) == 12


@needs_analyze
def test_every_unit_of_ours_is_exposed_at_most_2_0(cluster: Cluster, tmp_path: Path) -> None:
    for path in own_units(cluster, tmp_path):
        command = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout.splitlines()[-1]


@needs_analyze
def test_the_longest_name_a_service_may_have_makes_a_valid_unit(
    cluster: Cluster, tmp_path: Path
) -> None:
    name = "a" * 64
    settings = host_of(cluster, "apps").settings
    text = services.unit(settings, name, service(), ServiceRelease("1", "/opt/1"), "/etc")
    path = written(tmp_path, f"{name}@8101.service", text)
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "User=" not in re.sub("(Dynamic|Private)User", "", text)  # it takes 31 characters


def test_a_template_that_lacks_a_value_is_an_error_and_no_empty_line() -> None:
    with pytest.raises(Exception, match=r"header.* is undefined"):
        render("services/service.j2")


def test_units_are_for_app_hosts_and_data_for_the_database(cluster: Cluster) -> None:
    assert generations.config(cluster, host_of(cluster, "databases"), {}, RELEASE) == ()
    assert services.data(host_of(cluster, "apps")) == ()
