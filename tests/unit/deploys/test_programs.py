"""A program becomes the same complete release wherever it is built, or a sentence says why not."""

import os
import shutil
import socket
import subprocess
import tarfile
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uv import find_uv_bin

from deploys.components import generations, services
from deploys.components import programs as component
from deploys.engine import invocation, program_files, program_source, programs
from deploys.engine.invocation import Refused
from deploys.engine.program_files import FilesError
from deploys.engine.program_source import SourceError
from deploys.engine.tree import BuildError, Release, sentence_of
from deploys.host import release as host_release
from stellwerk.settings.cluster import Cluster
from stellwerk.settings.program import Program
from stellwerk.settings.services import Service

from .conftest import Load, host_of
from .made_programs import archived, folder, package, tar_of, wheel

pytestmark = pytest.mark.programs

EXAMPLE = Path(__file__).parents[2] / "examples" / "shop"
CORE = "aktienanalyse-core"
PYTHON = "3.11"
needs_debian = pytest.mark.skipif(
    not Path(f"/usr/bin/python{PYTHON}").exists(), reason=f"/usr/bin/python3 is not {PYTHON}"
)


class Site:
    """A project folder, an index of its own in place of the world's, and a host's prefix."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project = root / "project"
        self.index = root / "index"
        self.prefix = root / "opt"
        self.builds = root / "builds"
        for made in (self.project, self.index, self.prefix):
            made.mkdir()
        (self.project / "inventory").touch()
        monkeypatch.setattr(programs, "BUILD", self.builds)
        monkeypatch.setenv("UV_FIND_LINKS", str(self.index))
        monkeypatch.setenv("UV_NO_INDEX", "1")
        monkeypatch.setenv("UV_OFFLINE", "1")

    def release(
        self, source: Path, architecture: str = "x86_64", service: str = "shop", **more: Any
    ) -> Release:
        """The release of a program, not yet built."""
        program = Program(source=str(source.relative_to(self.project)), **more)
        found = program_source.read(self.project, program, [self.project / "group_data"])
        return programs.release_for(found, service, PYTHON, architecture, str(self.prefix))

    def built_elsewhere(self, release: Release) -> bytes:
        """The release as another control machine builds it."""
        return replace(release, store=self.builds.with_name("elsewhere")).build().read_bytes()

    def run(self, release: Release, command: str) -> list[str]:
        """What a command of the release prints on a host that has it: its words."""
        document = {
            "name": release.name,
            "prefix": release.prefix,
            "command": command,
            "keep": 3,
            "archive": release.archive(),
        }
        host_release.install_program(document)
        done = subprocess.run(
            [Path(release.place, command)],
            cwd=release.place,
            env={"PATH": f"{release.place}/bin:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return Site(tmp_path, monkeypatch)


def names(release: Release) -> set[str]:
    with tarfile.open(release.build()) as tar:
        return set(tar.getnames())


# How a release comes about


@needs_debian
def test_the_command_of_a_wheel_runs_where_its_release_is_unpacked(site: Site) -> None:
    release = site.release(wheel(site.project, "shop", "1.2"))
    assert release.name.startswith("1.2-")
    assert release.place == f"{site.prefix}/services/shop/releases/{release.name}"
    assert site.run(release, "bin/shop") == ["shop", "1.2", release.place]


@needs_debian
def test_a_folder_with_a_pyproject_is_built_and_brings_what_it_depends_on(site: Site) -> None:
    wheel(site.index, "greeting", "2.0")
    release = site.release(package(site.project / "shop", "shop", "1.2", needs=("greeting",)))
    assert site.run(release, "bin/shop") == ["shop", "1.2", release.place]
    assert site.run(release, "bin/greeting") == ["greeting", "2.0", release.place]


@needs_debian
def test_a_plain_folder_is_taken_as_it_is_beside_its_requirements(site: Site) -> None:
    wheel(site.index, "greeting", "2.0")
    main = "#!/usr/bin/env python3\nimport greeting\n\ngreeting.main()\n"
    source = folder(
        site.project / "shop",
        {"bin/shop": main, "requirements.txt": "greeting\n", "pages/a.html": "<p>"},
    )
    release = site.release(source)
    assert release.name == release.name.strip("-")
    assert site.run(release, "bin/shop") == ["greeting", "2.0", release.place]
    assert Path(release.place, "pages", "a.html").read_text() == "<p>"


def test_a_folder_that_says_what_it_needs_but_not_how_it_is_built_is_taken_as_it_is(
    site: Site,
) -> None:
    wheel(site.index, "greeting", "2.0")
    described = '[project]\nname = "shop"\nversion = "3"\ndependencies = ["greeting"]\n'
    source = folder(site.project / "shop", {"pyproject.toml": described, "main.py": "A = 1\n"})
    release = site.release(source)
    assert release.name.startswith("3-")
    assert {"main.py", "bin/greeting"} <= names(release)


@pytest.mark.parametrize("ending", ["tar.gz", "tgz", "tar.xz", "tar.bz2", "zip"])
@pytest.mark.parametrize("top", ["", "shop-1.2"])
def test_an_archive_gives_the_release_of_the_folder_it_was_made_of(
    site: Site, ending: str, top: str
) -> None:
    source = folder(site.project / "shop", {"bin/shop": "#!/bin/sh\n", "data/a": "1", "b": "2"})
    packed = archived(source, site.project / f"shop.{ending}", top)
    one, other = site.release(source), site.release(packed)
    assert one.name == other.name
    assert one.build().read_bytes() == site.built_elsewhere(other)


def test_the_same_source_is_the_same_bytes_wherever_it_is_built(site: Site) -> None:
    wheel(site.index, "greeting", "2.0")
    source = package(site.project / "shop", "shop", "1.2", needs=("greeting",))
    release = site.release(source)
    first = release.build().read_bytes()
    for path in source.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert site.release(source).name == release.name
    assert site.built_elsewhere(release) == first


def test_nothing_of_the_control_machine_is_in_a_release(site: Site, tmp_path: Path) -> None:
    wheel(site.index, "greeting", "2.0")
    release = site.release(package(site.project / "shop", "shop", "1.2", needs=("greeting",)))
    with tarfile.open(release.build()) as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isfile() else None
            text = stream.read() if stream else b""
            assert str(tmp_path).encode() not in text.replace(release.prefix.encode(), b"")
            assert (member.uid, member.mtime, member.mode & 0o022) == (0, 0, 0)


def test_a_release_is_another_one_exactly_when_what_it_holds_may_differ(site: Site) -> None:
    source = folder(site.project / "shop", {"bin/shop": "#!/bin/sh\n", "a.py": "A = 1\n"})
    pins = site.project / "pins.txt"
    pins.write_text("-r more.txt\n")
    more = site.project / "more.txt"
    more.write_text("greeting==1\n")

    def name() -> str:
        return site.release(source, requirements="pins.txt").name

    first = name()
    folder(source, {".git/HEAD": "x", "__pycache__/a.pyc": "x", ".venv/b": "x", "c.pyc": "x"})
    assert name() == first
    more.write_text("greeting==2\n")
    assert name() != first
    more.write_text("greeting==1\n")
    assert name() == first
    (source / "a.py").chmod(0o755)
    assert name() != first
    (source / "a.py").chmod(0o644)
    (source / "a.py").write_text("A = 2\n")
    assert name() != first
    assert site.release(source).name != name()


# Which dependencies it gets


def test_what_was_resolved_once_is_what_the_same_source_is_built_with_again(site: Site) -> None:
    wheel(site.index, "greeting", "2.0")
    release = site.release(package(site.project / "shop", "shop", "1.2", needs=("greeting",)))
    first = release.build().read_bytes()
    wheel(site.index, "greeting", "2.1")
    release.build().unlink()
    assert release.build().read_bytes() == first


def test_a_uv_lock_decides(site: Site) -> None:
    wheel(site.index, "greeting", "2.0")
    source = package(site.project / "shop", "shop", "1.2", needs=("greeting",))
    subprocess.run([find_uv_bin(), "lock", "--quiet"], cwd=source, check=True)
    wheel(site.index, "greeting", "2.1")
    release = site.release(source)
    assert "lib/python3.11/site-packages/greeting-2.0.dist-info" in names(release)


def test_a_lock_that_lacks_what_the_program_needs_is_said(site: Site) -> None:
    greeting = wheel(site.index, "greeting", "2.0")
    wheel(site.index, "flowers", "1.0")
    source = wheel(site.project, "shop", "1.2", needs=("greeting", "flowers"))
    hashed = subprocess.run(
        [find_uv_bin(), "pip", "compile", "--quiet", "--generate-hashes", "-"],
        input=greeting.name.split("-")[0],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    (site.project / "lock.txt").write_text(hashed)
    with pytest.raises(BuildError, match="flowers"):
        site.release(source, requirements="lock.txt").build()


def test_a_dependency_that_is_not_what_the_lock_knows_is_refused(site: Site) -> None:
    wheel(site.index, "greeting", "2.0")
    (site.project / "lock.txt").write_text(f"greeting==2.0 --hash=sha256:{'0' * 64}\n")
    source = wheel(site.project, "shop", "1.2", needs=("greeting",))
    with pytest.raises(BuildError, match=r"Hash mismatch for `greeting==2\.0`"):
        site.release(source, requirements="lock.txt").build()


def test_extras_are_installed_when_they_are_asked_for(site: Site) -> None:
    wheel(site.index, "greeting", "2.0")
    source = wheel(site.project, "shop", "1.2", extras={"polite": "greeting"})
    assert "bin/greeting" not in names(site.release(source))
    assert "bin/greeting" in names(site.release(source, extras=["polite"]))


def test_a_failed_build_leaves_nothing_that_could_be_taken_for_a_release(site: Site) -> None:
    release = site.release(wheel(site.project, "shop", "1.2", needs=("greeting",)))
    with pytest.raises(BuildError, match="greeting"):
        release.build()
    assert list(release.store.iterdir()) == []
    wheel(site.index, "greeting", "2.0")
    assert release.build().is_file()


# What is refused before any host is contacted


def make_whole_project(project: Path) -> Path:
    return project


def make_empty(project: Path) -> Path:
    return folder(project / "shop", {"__pycache__/a.pyc": "x"})


def make_in_settings(project: Path) -> Path:
    return folder(project / "group_data" / "shop", {"bin/shop": ""})


def make_environment(project: Path) -> Path:
    return folder(project / "shop", {"pyvenv.cfg": "", "bin/shop": ""})


def make_text(project: Path) -> Path:
    return folder(project, {"shop.txt": "x"}) / "shop.txt"


def make_false_wheel(project: Path) -> Path:
    return folder(project, {"shop-1-py3-none-any.whl": "x"}) / "shop-1-py3-none-any.whl"


def make_cut_archive(project: Path) -> Path:
    path = archived(folder(project / "shop", {"a": "x" * 9999}), project / "shop.tar.gz")
    path.write_bytes(path.read_bytes()[:90])
    return path


def make_bad_project(project: Path) -> Path:
    return folder(project / "shop", {"pyproject.toml": "name = ["})


def make_link_out(project: Path) -> Path:
    made = folder(project / "shop", {"bin/shop": ""})
    (made / "shared").symlink_to("../shared")
    return made


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda project: project / "shop-1.whl", r"shop-1.whl does not exist"),
        (make_whole_project, r"holds the inventory, and with it the secrets"),
        (make_empty, r"shop holds no files"),
        (make_in_settings, r"group_data, which holds settings; move it out"),
        (make_environment, r"has a pyvenv.cfg, which every release has its own of; leave it out"),
        (make_text, r"shop.txt is neither a folder nor a file with .whl, .tar.gz"),
        (make_false_wheel, r"is no wheel; build it again"),
        (make_cut_archive, r"shop.tar.gz is damaged, or no archive"),
        (make_bad_project, r"its pyproject.toml is not valid"),
        (make_link_out, r"shared is a link to ../shared, which is not in the release"),
    ],
)
def test_what_cannot_become_a_release_is_one_sentence(
    site: Site, make: Callable[[Path], Path], said: str
) -> None:
    with pytest.raises(SourceError, match=said) as caught:
        site.release(make(site.project))
    assert caught.value.key == "source"
    assert "\n" not in str(caught.value)


def test_requirements_that_are_not_there_are_one_sentence(site: Site) -> None:
    with pytest.raises(SourceError, match=r"pins.txt is no file") as caught:
        site.release(wheel(site.project, "shop", "1"), requirements="pins.txt")
    assert caught.value.key == "requirements"


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, target
    found.size = 1 if kind == tarfile.REGTYPE else 0
    return found


@pytest.mark.parametrize(
    "members",
    [
        [member("/etc/passwd")],
        [member("a/../../b")],
        [member("a", tarfile.SYMTYPE, "/etc"), member("b")],
        [member("a", tarfile.SYMTYPE, "../b"), member("b")],
        [member("a", tarfile.SYMTYPE, "b"), member("b/x"), member("a/y")],
        [member("a", tarfile.LNKTYPE, "../../etc/passwd"), member("b")],
        [member("a", tarfile.CHRTYPE), member("b")],
        [member("a"), member("a")],
        [member("a", tarfile.SYMTYPE, "a"), member("b")],
        [member("top/a", tarfile.SYMTYPE, ".."), member("top/b")],
    ],
    ids=["absolute", "above", "link to absolute", "link above", "through a link", "hard link",
         "device", "twice", "circle", "link above the top"],
)  # fmt: skip
def test_an_archive_that_leads_out_of_its_folder_is_refused(
    tmp_path: Path, members: list[tarfile.TarInfo]
) -> None:
    with pytest.raises(FilesError):
        program_files.read(tar_of(tmp_path / "shop.tar.gz", *members))


parts = st.sampled_from(["a", "b", "..", ".", "/"])
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(paths, st.none() | paths), min_size=1, max_size=6))
def test_whatever_an_archive_holds_nothing_is_written_or_linked_outside(
    tmp_path: Path, entries: list[tuple[str, str | None]]
) -> None:
    members = [
        member(name) if target is None else member(name, tarfile.SYMTYPE, target)
        for name, target in entries
    ]
    path = tar_of(tmp_path / "shop.tar.gz", *members)
    shutil.rmtree(tmp_path / "deep", ignore_errors=True)
    into = tmp_path / "deep" / "er" / "into"
    into.mkdir(parents=True)
    with suppress(FilesError):
        program_files.write(path, program_files.read(path), into)
    assert [one for one in (tmp_path / "deep").rglob("*") if not one.is_relative_to(into)] == [
        tmp_path / "deep" / "er"
    ]
    assert all(one.resolve().is_relative_to(into) for one in into.rglob("*"))


# What is refused before any host is changed


@pytest.mark.parametrize(
    ("tag", "architecture", "said"),
    [
        ("cp312-cp312-linux_x86_64", "x86_64", r"compatible with CPython 3.12 .* using CPython"),
        ("py3-none-linux_x86_64", "aarch64", r"compatible with Linux \(`linux_x86_64`\)"),
        ("py3-none-win_amd64", "x86_64", r"compatible with Windows"),
    ],
)
def test_a_wheel_for_another_python_or_machine_is_said_in_one_line(
    site: Site, tag: str, architecture: str, said: str
) -> None:
    release = site.release(wheel(site.project, "shop", "1", tag=tag), architecture)
    with pytest.raises(BuildError, match=said) as caught:
        release.build()
    assert "\n" not in str(caught.value)


def test_a_dependency_without_a_wheel_for_the_host_is_said_in_one_line(site: Site) -> None:
    wheel(site.index, "greeting", "2.0", tag="cp311-cp311-win_amd64")
    release = site.release(wheel(site.project, "shop", "1", needs=("greeting",)))
    with pytest.raises(BuildError, match=r"greeting") as caught:
        release.build()
    assert "\n" not in str(caught.value)


def test_what_uv_says_in_a_box_of_lines_becomes_one_sentence() -> None:
    said = "error: No solution found\n  cause: Because x has no wheels\n\nhint: Build it\n"
    assert sentence_of(said) == "No solution found: Because x has no wheels: Build it"
    assert sentence_of("  × No solution\n  ╰─▶ Because x\n") == "No solution: Because x"
    assert sentence_of("") == "the builder gave no reason"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("bin/shop", ""),
        ("./bin/shop", ""),
        ("bin/python3", ""),
        ("shop", "its release has no shop; did you mean bin/shop?"),
        ("bin/shopp", "its release has no bin/shopp; did you mean bin/shop?"),
        ("main.py", "main.py of its release may not be executed; chmod +x it"),
    ],
)
def test_a_command_that_the_release_has_not_is_said_with_the_nearest(
    site: Site, command: str, said: str
) -> None:
    source = folder(site.project / "shop", {"bin/shop": "#!/bin/sh\n", "main.py": "A = 1\n"})
    assert programs.problem_with(site.release(source), command) == said


# What the service then runs


@pytest.fixture
def with_program(site: Site, load: Load, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The shipped cluster, one service of which runs a program."""
    folder(site.project / "shop", {"bin/serve": "#!/bin/sh\n"})
    found = load(
        {
            f"services.{CORE}.program": {"source": "shop"},
            f"services.{CORE}.command": ["bin/serve", "--port", "$PORT"],
        }
    )
    monkeypatch.setattr(invocation, "_sources", {})
    invocation._sources.update(invocation.sources_of(found, site.project, []))
    return found


FACTS = {"system": {"python": PYTHON, "architecture": "x86_64"}, "programs": {}}


def test_a_unit_runs_its_command_in_its_release(with_program: Cluster) -> None:
    declared = host_of(with_program, "apps")
    release = services.release_of(declared.settings, CORE, "1.0-runtime")
    text = services.unit(
        declared.settings, CORE, declared.settings.services[CORE], release, "/etc/g"
    )
    assert release.path.startswith(f"/opt/stellwerk/services/{CORE}/releases/")
    assert f'ExecStart="{release.path}/bin/serve" "--port" "$$PORT"\n' in text
    assert f"WorkingDirectory={release.path}\n" in text
    assert f"Environment=PATH={release.path}/bin:" in text


def test_the_release_a_generation_names_is_the_one_that_is_installed(with_program: Cluster) -> None:
    (installed,) = component.wanted(host_of(with_program, "apps"), FACTS)
    found = generations.wanted(with_program, "1.0-runtime")[CORE]
    release = services.release_of(host_of(with_program, "apps").settings, CORE, "1.0-runtime")
    assert found.release == installed.release.name == release.name
    assert release.path == installed.release.place


def test_only_app_hosts_get_programs_and_only_once(with_program: Cluster) -> None:
    assert component.wanted(host_of(with_program, "databases"), FACTS) == ()
    (one,) = component.build(host_of(with_program, "apps"), FACTS)
    present = {**FACTS, "programs": {CORE: [one.release.name]}}
    assert not component.is_on(FACTS, one)
    assert component.is_on(present, one)


def test_a_command_its_release_has_not_is_refused_with_host_and_service(
    site: Site, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(site.project / "shop", {"bin/serve": "#!/bin/sh\n"})
    found = load(
        {f"services.{CORE}.program": {"source": "shop"}, f"services.{CORE}.command": ["serve"]}
    )
    monkeypatch.setattr(invocation, "_sources", invocation.sources_of(found, site.project, []))
    with pytest.raises(Refused, match=rf"app-1: services.{CORE}: command: .* mean bin/serve\?"):
        component.build(host_of(found, "apps"), FACTS)


def test_a_source_that_is_not_there_is_refused_with_the_place_that_names_it(
    site: Site, load: Load
) -> None:
    found = load(
        {f"services.{CORE}.program": {"source": "gone"}, f"services.{CORE}.command": ["bin/a"]}
    )
    with pytest.raises(Refused, match=rf"--data.*services.{CORE}.program.source: .*does not exist"):
        invocation.sources_of(found, site.project, [])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "expected a command"),
        ({"command": ["../shop"]}, "expected a command inside the release"),
    ],
)
def test_a_program_needs_a_command_that_may_be_in_it(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Service.model_validate(
            {
                "program": {"source": "shop"},
                "port_base": 8100,
                "max_instances": 1,
                "memory": "64MB",
                **changed,
            }
        )


# The example, as it would be deployed


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example as a wheel."""
    made = tmp_path_factory.mktemp("shop")
    shutil.copytree(EXAMPLE, made / "source")
    command = [
        find_uv_bin(),
        "build",
        "--quiet",
        "--wheel",
        "--out-dir",
        str(made),
        str(made / "source"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the index does not answer: {sentence_of(done.stderr)}")
    return next(made.glob("*.whl"))


@needs_debian
def test_the_example_becomes_ready_answers_and_ends_well(
    site: Site, shop: Path, tmp_path: Path
) -> None:
    shutil.copy(shop, site.project)
    release = site.release(site.project / shop.name)
    host_release.install_program(
        component.ServiceProgram("shop", release, "bin/shop").document(keep=3)
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, socket.socket() as taken:
        systemd.settimeout(20)
        systemd.bind(str(tmp_path / "notify"))
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.close()
        process = subprocess.Popen(
            [Path(release.place, "bin/shop")],
            cwd=release.place,
            env={"PORT": str(port), "NOTIFY_SOCKET": str(tmp_path / "notify")},
        )
        try:
            assert systemd.recv(100) == b"READY=1"
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=20) as health:
                assert health.status == 200
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as page:
                assert page.read().decode().strip() == release.place
        finally:
            process.terminate()
        assert systemd.recv(100) == b"STOPPING=1"
        assert process.wait(timeout=20) == 0
