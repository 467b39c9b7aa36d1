"""``scripts/images`` in a checkout of its own, with builds and an engine that only pretend."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]

#: Images are files; no registry answers.
DOCKER = """#!/bin/bash
mkdir -p "$STATE"
name() { printf '%s' "${1//\\//_}"; }
case $1 in
  info) echo 1.0 ;;
  pull) echo 'no registry' >&2; exit 1 ;;
  import) touch "$STATE/$(name "${@: -1}")" ;;
  build)
    while (($#)); do
      [[ $1 != -t ]] || touch "$STATE/$(name "$2")"
      shift
    done
    ;;
  image)
    case $2 in
      ls) ls "$STATE" ;;
      inspect) [[ -e $STATE/$(name "${@: -1}") ]] && echo "$(name "${@: -1}")" ;;
    esac
    ;;
  ps) [[ $3 != --filter ]] || ! grep -qsxF "${4#ancestor=}" "$STATE.used" || echo container ;;
  rmi) rm "$STATE/$2" ;;
  volume) echo "$*" >>"$STATE.volumes" ;;
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
    said: str = ""

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
        self.said = done.stderr
        assert done.returncode == 0, done.stderr
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    def builds(self) -> list[str]:
        """What was built since this was asked last."""
        file = self.directory / "state.builds"
        found = sorted(file.read_text().splitlines()) if file.exists() else []
        file.unlink(missing_ok=True)
        return [line.strip() for line in found]

    def change_recipe(self, file: str = "images/centos7/recipe.sh") -> None:
        with (self.directory / "checkout" / file).open("a") as recipe:
            recipe.write("# another one\n")

    def there(self) -> set[str]:
        """The names of the images that the engine has."""
        return {path.name.replace("_", "/", 1) for path in (self.directory / "state").iterdir()}

    def lose_cache(self) -> None:
        shutil.rmtree(self.directory / "cache")

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


def test_images_are_named_by_their_recipe_and_two_variants_of_one_differ_in_a_word(
    checkout: Checkout,
) -> None:
    quick = checkout.images()["SCF_INSTANCE_IMAGE"]
    full = checkout.images("--full")["SCF_INSTANCE_IMAGE"]
    assert quick.startswith("scf-sandbox/centos7:quick-")
    assert full == quick.replace("quick-", "full-")
    checkout.change_recipe("init/build")
    changed = checkout.images()
    assert changed["SCF_INSTANCE_IMAGE"] != full
    assert changed["SCF_BASE_IMAGE"].startswith("scf-sandbox/centos7-abi:full-")


def test_what_was_saved_is_taken_where_nothing_is(checkout: Checkout) -> None:
    saved = str(checkout.directory / "saved")
    chosen = checkout.images("--full", "--save", saved)
    checkout.builds()
    checkout.lose_images()
    checkout.lose_cache()
    assert checkout.images("--load", saved) == chosen
    assert checkout.builds() == []


def test_what_was_saved_of_another_recipe_is_left(checkout: Checkout) -> None:
    saved = str(checkout.directory / "saved")
    checkout.images("--full", "--save", saved)
    checkout.lose_images()
    checkout.lose_cache()
    checkout.change_recipe()
    checkout.builds()
    checkout.images("--load", saved)
    assert "of another recipe" in checkout.said
    assert checkout.builds() == ["centos7 quick"]


def test_what_was_saved_and_changed_since_is_refused(checkout: Checkout) -> None:
    saved = checkout.directory / "saved"
    checkout.images("--save", str(saved))
    checkout.lose_cache()
    for archive in saved.glob("*.tar.gz"):
        archive.write_bytes(archive.read_bytes() + b"more")
    with pytest.raises(AssertionError, match="SHA256SUMS"):
        checkout.images("--load", str(saved))


def test_the_full_image_is_built_in_the_background_where_the_quick_one_is_in_use(
    checkout: Checkout,
) -> None:
    chosen = checkout.images()
    checkout.images("--background")
    full = chosen["SCF_INSTANCE_IMAGE"].replace("quick-", "full-")
    wait_until(lambda: full in checkout.there())
    written = checkout.directory / "checkout" / ".env.images"
    wait_until(lambda: f"SCF_INSTANCE_IMAGE={full}\n" in written.read_text())
    checkout.builds()
    checkout.images("--background")
    assert checkout.said == ""
    assert checkout.builds() == []


def test_images_that_no_container_uses_are_removed_and_the_others_named(
    checkout: Checkout,
) -> None:
    base = checkout.images("--instance")["SCF_BASE_IMAGE"]
    (checkout.directory / "state.used").write_text(base.replace("/", "_") + "\n")
    checkout.images("--remove")
    assert checkout.there() == {base}
    assert base.replace("/", "_") in checkout.said
    (checkout.directory / "state.used").unlink()
    checkout.images("--remove")
    assert checkout.there() == set()


def test_a_build_that_fails_fails_the_script(checkout: Checkout) -> None:
    build = checkout.directory / "checkout" / "images" / "centos7" / "build"
    build.write_text("#!/bin/bash\necho no compiler >&2\nexit 1\n")
    with pytest.raises(AssertionError, match="no compiler"):
        checkout.images()
    assert not any("centos7" in name for name in checkout.there())
