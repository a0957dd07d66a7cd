"""Generations that are in use or among the newest stay; the others go."""

import os

import pytest

from deploys.host import generations

from .conftest import Host


@pytest.fixture
def app(host: Host) -> Host:
    """An app host with five generations of a service, oldest first, and one of another."""
    (host.folder / "system").mkdir()
    for number, name in enumerate(("shop/1", "shop/2", "shop/3", "shop/4", "shop/5", "gone/1")):
        folder = host.folder / "generations" / name
        folder.mkdir(parents=True)
        (folder / "release").write_text(f"release-{name[-1]}\n" if name != "shop/5" else "\n")
        os.utime(folder, (1_700_000_000 + number,) * 2)
    return host


def kept(host: Host) -> set[str]:
    root = host.folder / "generations"
    return {str(path.relative_to(root)) for path in root.glob("*/*")}


def pin(host: Host, instance: str, generation: str) -> None:
    service = instance.partition("@")[0]
    link = host.folder / "system" / f"{instance}.service"
    link.symlink_to(host.folder / f"generations/{service}/{generation}/{service}@.service")


def test_the_newest_stay(app: Host) -> None:
    generations.prune(3, {"shop:5"})
    assert kept(app) == {"shop/3", "shop/4", "shop/5"}


def test_one_that_is_wanted_again_stays_however_old_it_is(app: Host) -> None:
    generations.prune(2, {"shop:1"})
    assert kept(app) == {"shop/1", "shop/4", "shop/5"}


def test_one_that_an_instance_is_pinned_to_stays(app: Host) -> None:
    pin(app, "shop@8101", "2")
    pin(app, "gone@8201", "1")
    generations.prune(1, {"shop:5"})
    assert kept(app) == {"shop/2", "shop/5", "gone/1"}


def test_a_service_that_is_gone_takes_its_template_with_it(app: Host) -> None:
    for name in ("gone", "shop"):
        (app.folder / "system" / f"{name}@.service").touch()
    generations.prune(3, {"shop:5"})
    assert [path.name for path in (app.folder / "system").iterdir()] == ["shop@.service"]


def test_a_link_of_somebody_else_is_no_pin(app: Host) -> None:
    for name, target in (("getty@tty1", "/usr/lib/systemd/system/getty@.service"), ("a@1", "b")):
        (app.folder / "system" / f"{name}.service").symlink_to(target)
    (app.folder / "system" / "shop@8101.service").touch()
    assert generations.pinned() == {}


@pytest.mark.usefixtures("app")
def test_the_releases_of_all_kept_generations_are_known() -> None:
    assert generations.releases() == {"release-1", "release-2", "release-3", "release-4"}
