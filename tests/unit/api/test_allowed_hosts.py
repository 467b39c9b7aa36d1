"""Which names a client may call the sandbox by."""

from __future__ import annotations

import pytest

from api.allowed_hosts import KNOWN_AT_MOST, AllowedHosts

OURS = [
    "127.0.0.1",
    "127.0.0.1:9000",
    "127.0.0.1.",
    "192.168.1.7:80",
    "0.0.0.0:9000",
    "[::1]",
    "[::1]:9000",
    "[FE80::1]:9000",
    "[fe80::1%eth0]:9000",
    "localhost",
    "LOCALHOST:9000",
    "localhost.:9000",
    "scf.localhost:9000",
    "a.b.localhost",
    "control",
    "control:9000",
    "my_host-1:9000",
    "scf.tencentcloudapi.com",
    "scf.tencentcloudapi.com:443",
    "scf.ap-guangzhou.tencentcloudapi.com",
    "SCF.TencentCloudAPI.com.",
    "bucket-1250000000.cos.ap-guangzhou.myqcloud.com",
    "http://127.0.0.1:9000",
    "https://127.0.0.1:9000",
    "HTTP://127.0.0.1:9000",
    "http://[::1]:9000",
    "http://localhost",
    "http://scf.tencentcloudapi.com",
    " 127.0.0.1:9000 ",
    "127.0.0.1:",
]

OTHERS = [
    "",
    "rebound.example",
    "rebound.example:9000",
    "http://rebound.example:9000",
    "127.0.0.1.rebound.example",
    "localhost.rebound.example",
    "xlocalhost.example",
    "evil-tencentcloudapi.com",
    "tencentcloudapi.com.evil.example",
    "myqcloud.com.evil.example",
    "tencentcloudapi.com",
    "0x7f.1",
    "127.1",
    "127.0.0.1.2",
    "256.0.0.1",
    "[::1",
    "::1",
    "[]",
    "[127.0.0.1]",
    "[rebound.example]",
    "[::1]x",
    "[::1].rebound.example",
    "localhost:port",
    "localhost:9000:9000",
    "localhost/",
    "localhost..",
    "..",
    ".",
    ":9000",
    ".localhost",
    "user@localhost",
    "evil.example/localhost",
    "evil.example#.localhost",
    "evil.example\\.localhost",
    "ftp://localhost",
    "http://http://localhost",
    "http://",
    "loc alhost",
    "local\x00host",
    "\xff",
    "a" * 300,
    "a" * 100_000,
]


@pytest.mark.parametrize("host", OURS)
def test_a_name_of_our_own_is_taken(host: str) -> None:
    hosts = AllowedHosts()
    assert [hosts.allows(host.encode("latin-1")) for _ in range(2)] == [True, True]


@pytest.mark.parametrize("host", OTHERS)
def test_any_other_name_is_refused(host: str) -> None:
    hosts = AllowedHosts()
    assert [hosts.allows(host.encode("latin-1")) for _ in range(2)] == [False, False]


def test_configured_names_are_taken_too() -> None:
    hosts = AllowedHosts(["Dev.example.com", "*.lab.example"])
    assert hosts.allows(b"dev.example.com:9000")
    assert hosts.allows(b"http://a.lab.example")
    assert not hosts.allows(b"lab.example")
    assert not hosts.allows(b"a.dev.example.com")


def test_decisions_are_kept_within_a_bound() -> None:
    hosts = AllowedHosts()
    for number in range(3 * KNOWN_AT_MOST):
        assert not hosts.allows(b"%d.example" % number)
        assert hosts.allows(b"localhost")
    assert hosts.known <= KNOWN_AT_MOST
