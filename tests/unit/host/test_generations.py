"""Generations that are in use or among the newest stay; the others go."""

import json
import os
from pathlib import Path

import pytest

from deploys.host import generations

from .conftest import Host


@pytest.fixture
def app(host: Host) -> Host:
    """An app host with five generations of a service, oldest first, and one of another."""
    (host.folder / "system").mkdir()
    for number, name in enumerate(("shop/1", "shop/2", "shop/3", "shop/4", "shop/5", "gone/1")):
        folder = folder_of(host, name)
        folder.mkdir(parents=True)
        (folder / "release").write_text(f"release-{name[-1]}\n" if name != "shop/5" else "\n")
        os.utime(folder, (1_700_000_000 + number,) * 2)
    return host


def digest(number: str) -> str:
    return number.rjust(16, "0")


def folder_of(host: Host, name: str) -> Path:
    service, _, number = name.partition("/")
    return host.folder / "generations" / service / digest(number)


def prune(keep: int, *current: str) -> None:
    generations.prune(keep, {f"{one[:-1]}{digest(one[-1])}" for one in current})


def kept(host: Host) -> set[str]:
    root = host.folder / "generations"
    return {f"{path.parent.name}/{path.name.lstrip('0')}" for path in root.glob("*/*")}


def pin(host: Host, instance: str, generation: str) -> None:
    service = instance.partition("@")[0]
    link = host.folder / "system" / f"{instance}.service"
    link.symlink_to(folder_of(host, f"{service}/{generation}") / f"{service}@.service")


def test_the_newest_stay(app: Host) -> None:
    prune(3, "shop:5")
    assert kept(app) == {"shop/3", "shop/4", "shop/5"}


def test_one_that_is_wanted_again_stays_however_old_it_is(app: Host) -> None:
    prune(2, "shop:1")
    assert kept(app) == {"shop/1", "shop/4", "shop/5"}


def test_one_that_an_instance_is_pinned_to_stays(app: Host) -> None:
    pin(app, "shop@8101", "2")
    pin(app, "gone@8201", "1")
    prune(1, "shop:5")
    assert kept(app) == {"shop/2", "shop/5", "gone/1"}


def test_a_service_that_is_gone_takes_its_template_with_it(app: Host) -> None:
    for name in ("gone", "shop"):
        (app.folder / "system" / f"{name}@.service").touch()
    prune(3, "shop:5")
    assert [path.name for path in (app.folder / "system").iterdir()] == ["shop@.service"]


def test_a_link_of_somebody_else_is_no_pin(app: Host) -> None:
    for name, target in (("getty@tty1", "/usr/lib/systemd/system/getty@.service"), ("a@1", "b")):
        (app.folder / "system" / f"{name}.service").symlink_to(target)
    (app.folder / "system" / "shop@8101.service").touch()
    assert generations.pinned() == {}


@pytest.mark.usefixtures("app")
def test_the_releases_of_all_kept_generations_are_known() -> None:
    assert generations.releases() == {"release-1", "release-2", "release-3", "release-4"}


def test_what_somebody_else_put_beside_them_is_left_alone(app: Host) -> None:
    root = app.folder / "generations"
    foreign = [root / "notes", root / "shop" / "notes", root / "gone" / "notes", root / "own/0/a"]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    prune(1, "shop:5")
    assert all(path.exists() for path in foreign)
    assert not folder_of(app, "gone/1").exists()


def test_a_secret_goes_when_no_kept_generation_is_handed_it(app: Host) -> None:
    credentials = app.state / "credentials"
    credentials.mkdir(parents=True)
    for name in ("shop.token", "gone.token", "foreign.token"):
        (credentials / name).touch()
    (folder_of(app, "shop/5") / "shop@.service").write_text(
        f"LoadCredential=token:{credentials}/shop.token\n"
    )
    former = [str(credentials / name) for name in ("shop.token", "gone.token")]
    (app.state / "stamps").mkdir()
    (app.state / "stamps" / "services.json").write_text(json.dumps({"former": former}))
    prune(1, "shop:5")
    assert {path.name for path in credentials.iterdir()} == {"shop.token", "foreign.token"}
