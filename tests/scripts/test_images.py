"""``scripts/images`` in a checkout of its own, with builds and an engine that only pretend."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Images are files; no registry answers.
DOCKER = """#!/bin/bash
mkdir -p "$STATE"
name() { printf '%s' "${1//\\//_}"; }
case $1 in
  info) echo 1.0 ;;
  pull) echo 'no registry' >&2; exit 1 ;;
  import) touch "$STATE/$(name "${@: -1}")" ;;
  image) [[ $2 != inspect ]] || [[ -e $STATE/$(name "$3") ]] ;;
esac
"""

BUILD = """#!/bin/bash
echo "%s ${*:1:$#-1}" >>"$STATE.builds"
echo root file system >"${@: -1}"
"""


@dataclass
class Checkout:
    """A copy of the scripts and recipes."""

    directory: Path

    def images(self, *arguments: str) -> dict[str, str]:
        """Run it; what it chose."""
        done = subprocess.run(
            [self.directory / "checkout" / "scripts" / "images", *arguments],
            env={
                "PATH": f"{self.directory}:{os.environ['PATH']}",
                "HOME": str(self.directory),
                "SCF_CACHE_DIR": str(self.directory / "cache"),
                "STATE": str(self.directory / "state"),
            },
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    def builds(self) -> list[str]:
        """What was built since this was asked last."""
        file = self.directory / "state.builds"
        found = sorted(file.read_text().splitlines()) if file.exists() else []
        file.unlink(missing_ok=True)
        return [line.strip() for line in found]

    def change_recipe(self) -> None:
        with (self.directory / "checkout" / "images" / "centos7" / "recipe.sh").open("a") as recipe:
            recipe.write("# another one\n")

    def lose_images(self) -> None:
        shutil.rmtree(self.directory / "state")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    for name in ("scripts", "images", "init"):
        shutil.copytree(ROOT / name, tmp_path / "checkout" / name)
    for name in ("centos7", "python"):
        build = tmp_path / "checkout" / "images" / name / "build"
        build.write_text(BUILD % name)
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    return Checkout(tmp_path)


def test_stand_ins_are_built_once_where_no_registry_answers(checkout: Checkout) -> None:
    chosen = checkout.images()
    assert checkout.builds() == ["centos7 quick", "python"]
    assert chosen["SCF_BASE_KIND"] == chosen["SCF_PYTHON_KIND"] == "stand-in"
    assert checkout.images() == chosen
    assert checkout.builds() == []
    written = (checkout.directory / "checkout" / ".env.images").read_text()
    assert f"SCF_BASE_IMAGE={chosen['SCF_BASE_IMAGE']}\n" in written


def test_a_changed_recipe_is_built_anew_under_another_name(checkout: Checkout) -> None:
    before = checkout.images()
    checkout.builds()
    checkout.change_recipe()
    after = checkout.images()
    assert checkout.builds() == ["centos7 quick"]
    assert after["SCF_BASE_IMAGE"] != before["SCF_BASE_IMAGE"]
    assert after["SCF_PYTHON_IMAGE"] == before["SCF_PYTHON_IMAGE"]


def test_an_engine_that_lost_its_images_gets_them_from_the_cache(checkout: Checkout) -> None:
    chosen = checkout.images()
    checkout.builds()
    checkout.lose_images()
    assert checkout.images() == chosen
    assert checkout.builds() == []


def test_the_full_variant_is_built_on_demand_and_used_from_then_on(checkout: Checkout) -> None:
    assert ":quick-" in checkout.images()["SCF_BASE_IMAGE"]
    checkout.builds()
    full = checkout.images("--full")
    assert checkout.builds() == ["centos7 full"]
    assert ":full-" in full["SCF_BASE_IMAGE"]
    assert checkout.images() == full
    assert checkout.builds() == []
