"""Settings, as the environment gives them, as the README lists them, as compose passes them on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sandbox.errors import RequestError
from sandbox.settings import Settings, read_settings

ROOT = Path(__file__).parents[2]
#: What compose.yaml sets itself, or what means nothing inside the control plane's container.
OF_THE_CONTAINER = {"SCF_HOST", "SCF_DATA_DIR", "SCF_CONTROL_CONTAINER", "SCF_INIT_PROGRAM"}
OF_THE_CONTAINER |= {"SCF_INSTALLATION", "SCF_PORT", "SCF_INSTANCE_IMAGE"}


def names() -> set[str]:
    return {f"SCF_{name.upper()}" for name in Settings.model_fields}


def test_the_readme_lists_every_setting_and_no_other() -> None:
    table = (ROOT / "README.md").read_text().partition("## Settings")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(SCF_\w+)` \|", table, re.MULTILINE)) == names()


def test_the_readme_has_the_defaults_right() -> None:
    table = (ROOT / "README.md").read_text().partition("## Settings")[2].partition("\n## ")[0]
    for name, field in Settings.model_fields.items():
        row = re.search(rf"^\| `SCF_{name.upper()}` \| ([^|]*)\|", table, re.MULTILINE)
        assert row is not None, name
        default = "" if field.default_factory or field.default in (None, False) else field.default
        said = row[1].strip()
        if isinstance(default, float):
            assert float(said) == default, name
        else:
            assert said == str(default), name


def test_compose_passes_on_every_setting_that_means_something_there() -> None:
    compose = (ROOT / "compose.yaml").read_text()
    passed = set(re.findall(r"^      (SCF_\w+):$", compose, re.MULTILINE))
    assert passed == names() - OF_THE_CONTAINER


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SCF_PORT", "abc"),
        ("SCF_PORT", "99999"),
        ("SCF_RUNTIME_PORT", "0"),
        ("SCF_ENGINE", "podman"),
        ("SCF_CREDENTIALS", "only-an-id"),
        ("SCF_NETWORK_RANGE", "anywhere"),
        ("SCF_NETWORK_RANGE", "10.0.0.1/8"),
        ("SCF_NETWORK_RANGE", "10.0.0.0/29"),
        ("SCF_INSTALLATION", "Mine!"),
        ("SCF_ALLOWED_HOSTS", "http://dev.example.com"),
        ("SCF_ALLOWED_HOSTS", "dev.example.com:9000"),
        ("SCF_ALLOWED_HOSTS", "*"),
        ("SCF_ALLOWED_HOSTS", "a b"),
        ("SCF_ALLOWED_ORIGINS", "localhost:3000"),
        ("SCF_ALLOWED_ORIGINS", "http://localhost:3000/page"),
        ("SCF_ALLOWED_ORIGINS", "*"),
    ],
)
def test_a_wrong_setting_is_named_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(RequestError, match="settings are wrong") as caught:
        read_settings()
    assert name in caught.value.message
    if name == "SCF_CREDENTIALS":
        assert value not in caught.value.message


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCF_PORT", "9010")
    monkeypatch.setenv("SCF_NETWORK_RANGE", "10.1.0.0/20")
    monkeypatch.setenv("SCF_CREDENTIALS", "id:key, other:a:b")
    monkeypatch.setenv("SCF_ALLOWED_HOSTS", "Dev.example.com, *.lab.example,")
    monkeypatch.setenv("SCF_ALLOWED_ORIGINS", "http://Localhost:3000/, https://[::1]:8080")
    settings = read_settings()
    assert settings.port == 9010
    assert settings.allowed_origins == ("http://localhost:3000", "https://[::1]:8080")
    assert settings.allowed_hosts == ("dev.example.com", "*.lab.example")
    assert settings.network_range == "10.1.0.0/20"
    assert settings.credentials == {"id": "key", "other": "a:b"}
