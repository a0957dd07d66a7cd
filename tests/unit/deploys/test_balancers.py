"""HAProxy and nginx: their rendered configurations, judged by the programs themselves."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploys.components import haproxy, nginx
from deploys.components.instances import Placed
from deploys.engine.resources import ConfigSet
from stellwerk.settings.cluster import Cluster

from .conftest import Load, host_of, placed_on

needs_haproxy = pytest.mark.skipif(
    shutil.which("haproxy") is None or os.geteuid() != 0,
    reason="haproxy is not installed, or its user cannot be looked at",
)
NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
needs_nginx = pytest.mark.skipif(
    not (Path(NGINX).exists() and Path("/etc/nginx/mime.types").exists()) or os.geteuid() != 0,
    reason="nginx is not installed, or its logs cannot be opened",
)
EVERYTHING = {
    "haproxy.stats_port": "9000",
    "haproxy.slow_start_seconds": "0",
    "haproxy.defaults_extra": '["option httpclose"]',
}


def haproxy_text(cluster: Cluster, placed: tuple[Placed, ...]) -> str:
    return haproxy.config(host_of(cluster, "balancers").settings, placed).files[0].content


def nginx_text(cluster: Cluster, placed: tuple[Placed, ...]) -> str:
    return nginx.config(host_of(cluster, "balancers").settings, placed).files[0].content


def checked(config: ConfigSet, root: Path) -> subprocess.CompletedProcess[str]:
    """Run a configuration's own check on its candidate tree, as a host does."""
    if config.tree:
        shutil.copytree(config.tree, f"{root}{config.tree}", symlinks=True)
    for file in config.files:
        path = Path(f"{root}{file.path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.content)
    (command,) = config.check
    words = [word.replace("{root}", str(root)) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@needs_haproxy
@pytest.mark.parametrize("overrides", [{}, EVERYTHING])
def test_haproxy_accepts_what_is_rendered(
    load: Load, tmp_path: Path, overrides: dict[str, str]
) -> None:
    found = load(overrides)
    config = haproxy.config(host_of(found, "balancers").settings, placed_on(found))
    done = checked(config, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@needs_haproxy
def test_haproxy_accepts_a_service_without_instances_and_addresses_of_both_kinds(
    cluster: Cluster, tmp_path: Path
) -> None:
    settings = host_of(cluster, "balancers").settings
    placed = (Placed("aktienanalyse-core", 8101, "app-1", "fd00::1"),)
    done = checked(haproxy.config(settings, placed), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@needs_haproxy
def test_haproxy_refuses_a_line_it_does_not_know(load: Load, tmp_path: Path) -> None:
    found = load({"haproxy.global_extra": '["no-such-keyword"]'})
    config = haproxy.config(host_of(found, "balancers").settings, placed_on(found))
    assert "no-such-keyword" in checked(config, tmp_path).stderr


def test_haproxy_has_a_backend_a_service_with_its_instances_and_nothing_else(
    cluster: Cluster,
) -> None:
    text = haproxy_text(cluster, placed_on(cluster))
    servers = [line.split()[1] for line in text.splitlines() if line.startswith("    server ")]
    assert servers == [
        "aktienanalyse-broker-8201",
        "aktienanalyse-core-8101",
        "aktienanalyse-core-8102",
        "aktienanalyse-events-8301",
        "aktienanalyse-events-8302",
    ]
    assert "frontend" not in text.replace("\nfrontend aktienanalyse-", "\n")


def test_the_statistics_page_is_on_loopback_and_only_where_it_is_asked_for(
    cluster: Cluster, load: Load
) -> None:
    assert "stats uri" not in haproxy_text(cluster, ())
    assert "bind 127.0.0.1:9000" in haproxy_text(load({"haproxy.stats_port": "9000"}), ())


@needs_nginx
def test_nginx_accepts_what_is_rendered(cluster: Cluster, tmp_path: Path) -> None:
    config = nginx.config(host_of(cluster, "balancers").settings, placed_on(cluster))
    done = checked(config, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@needs_nginx
def test_nginx_accepts_ipv6_and_headers_full_of_its_own_syntax(load: Load, tmp_path: Path) -> None:
    header = "default-src 'self'; script-src \"x\" { } # \\ %"
    found = load({"nginx.headers.Content-Security-Policy": header})
    placed = (Placed("aktienanalyse-frontend", 8401, "app-1", "fd00::1"),)
    done = checked(nginx.config(host_of(found, "balancers").settings, placed), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@needs_nginx
def test_nginx_refuses_a_header_with_a_variable_it_does_not_know(
    load: Load, tmp_path: Path
) -> None:
    found = load({"nginx.headers.X-Price": "$unknown_price"})
    config = nginx.config(host_of(found, "balancers").settings, placed_on(found))
    assert 'unknown "unknown_price" variable' in checked(config, tmp_path).stderr


def as_nginx_reads(token: str) -> str:
    """A double-quoted token of nginx.conf; everything up to its end must be inside."""
    assert token.startswith('"')
    read, position = "", 1
    while token[position] != '"':
        if token[position] == "\\" and token[position + 1] in "\"'\\":
            position += 1
        read += token[position]
        position += 1
    assert position == len(token) - 1
    return read


@pytest.fixture(scope="module")
def with_header(cluster: Cluster) -> Callable[[str], str]:
    """nginx.conf with one header of the given value."""
    settings = host_of(cluster, "balancers").settings

    def with_header(value: str) -> str:
        changed = settings.nginx.model_copy(update={"headers": {"X-Sample": value}})
        config = nginx.config(settings.model_copy(update={"nginx": changed}), ())
        return config.files[0].content

    return with_header


@given(st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), max_size=30)
       | st.text("\"'\\;{}#% a", max_size=12))  # fmt: skip
def test_a_header_is_sent_as_it_was_given(with_header: Callable[[str], str], value: str) -> None:
    text = with_header(value)
    (line,) = (line for line in text.split("\n") if "add_header" in line)
    token = line.strip().removeprefix("add_header X-Sample ").removesuffix(" always;")
    assert as_nginx_reads(token) == value


def test_gixy_finds_no_weakness_in_nginxs_configuration(cluster: Cluster, tmp_path: Path) -> None:
    gixy = Path(sys.executable).with_name("gixy")
    if not gixy.is_file():
        pytest.skip("gixy is not installed")
    path = tmp_path / "nginx.conf"
    path.write_text(nginx_text(cluster, placed_on(cluster)))
    done = subprocess.run([gixy, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "No issues found" in done.stdout


def test_every_location_has_an_upstream_that_nginx_knows(cluster: Cluster) -> None:
    text = nginx_text(cluster, placed_on(cluster))
    used = {line.split("://")[1].strip("; ") for line in text.splitlines() if "proxy_pass" in line}
    declared = {line.split()[1] for line in text.splitlines() if "    upstream " in line}
    assert used == declared == {"aktienanalyse_core_backend", "aktienanalyse_frontend_upstream"}
