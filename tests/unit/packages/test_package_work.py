"""What a zip may cost: work grows with its size, and is bounded. Steps are counted, not seconds."""

from __future__ import annotations

import binascii
import io
import re
import struct
import tarfile
import tracemalloc
import zipfile
from collections import Counter, deque
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.engine.process.directories import remove_tree
from sandbox.errors import LimitError, RequestError
from sandbox.packages import entries
from sandbox.packages.central import MAX_EXTRA_BYTES
from sandbox.packages.entries import Entry, Kind, Steps
from sandbox.packages.links import MAX_HOPS, Links
from sandbox.packages.names import MAX_DEPTH
from sandbox.packages.package import PackageStore, _not_below, inspect
from tests.support.zips import BOOTSTRAP, Item, file, folder, link, make_zip

if TYPE_CHECKING:
    from pathlib import Path

#: A target of 400 names that leads to where it begins.
ROUNDABOUT = "/".join(["d", ".."] * 200)


def allow(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    monkeypatch.setattr(entries, "MAX_STEPS", steps)


def refused(data: bytes) -> str:
    with pytest.raises(RequestError) as caught:
        inspect(data)
    assert caught.value.code == "InvalidParameterValue.ZipFile"
    return caught.value.message


def too_large(data: bytes) -> str:
    with pytest.raises(LimitError) as caught:
        inspect(data)
    assert caught.value.code == "InvalidParameterValue.LimitExceeded"
    return caught.value.message


# ---------------------------------------------------------------- links


def test_chained_links_cost_what_they_are_long_in_any_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """400 of them in 45 KB took 5 s: each was followed through all that come after it."""
    chains = [
        link(f"{chain:02}-{rank:02}", f"{ROUNDABOUT}/{chain:02}-{rank + step:02}")
        for step in (1, -1)
        for chain in range(10 if step > 0 else 0, 20 if step > 0 else 10)
        for rank in range(20)
    ]
    allow(monkeypatch, 402 * len(chains) + 1000)
    inspect(make_zip(BOOTSTRAP, folder("d"), *chains))


def test_links_above_the_budget_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [link(f"l{i}", f"{ROUNDABOUT}/bootstrap") for i in range(10)]
    allow(monkeypatch, 3000)
    assert "straight to their files" in too_large(make_zip(BOOTSTRAP, folder("d"), *items))


@pytest.mark.parametrize("count", [MAX_HOPS, MAX_HOPS + 1])
@pytest.mark.parametrize("step", [1, -1])
def test_as_many_links_are_followed_as_linux_follows(count: int, step: int) -> None:
    """Whichever of them is looked at first."""
    names = [f"l{rank:02}" for rank in range(count)][::step]
    chain = make_zip(file("end"), *map(link, names, [*names[1:], "end"]))
    if count > MAX_HOPS:
        assert "too many links" in refused(chain)
    else:
        assert inspect(chain).read(names[0], 9) == b"x"


def test_links_that_double_at_each_step_are_counted_and_not_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each leads twice through the one before it: the last one over 2 to the power of 30."""
    items = [link(f"d/l{i:02}", f"l{i + 1:02}/../l{i + 1:02}") for i in range(30)]
    allow(monkeypatch, 1000)
    assert "too many links" in refused(make_zip(folder("d/l30"), *items))


Graph = dict[str, str]
graphs = st.dictionaries(
    st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a"]),
    st.lists(st.sampled_from(["..", ".", "a", "b", "d", "e", "x"]), min_size=1, max_size=4).map(
        "/".join
    )
    | st.sampled_from(["/opt/x", "/var/user/d", "/var/user", "/etc"]),
    max_size=5,
)


def plainly(graph: Graph, path: str) -> str | None:
    """The same as ``Links.follow`` by the book: one step after the other. ValueError if refused."""
    place: list[str] = []
    steps, hops = deque(path.split("/")), 0
    while steps:
        step = steps.popleft()
        if step == "..":
            if not place:
                raise ValueError(path)
            place.pop()
        elif step not in ("", "."):
            place.append(step)
            target = graph.get("/".join(place))
            if target is None:
                continue
            hops += 1
            if hops > MAX_HOPS:
                raise ValueError(path)
            place.pop()
            if target.startswith("/"):
                if target.startswith("/opt"):
                    return None
                if not target.startswith("/var/user"):
                    raise ValueError(path)
                place, target = [], target.removeprefix("/var/user")
            steps.extendleft(reversed(target.split("/")))
    return "/".join(place)


@settings(max_examples=300, deadline=None)
@given(graphs, st.sampled_from(["a", "b", "d", "d/a", "d/e/a", "a/b", "d/b/a", "x", "d/x"]))
def test_links_lead_where_they_lead_step_by_step(graph: Graph, path: str) -> None:
    there = {name: Entry(name, Kind.DIRECTORY, 0o755) for name in ("d", "d/e")}
    there |= {name: Entry(name, Kind.LINK, 0o777, target=graph[name]) for name in graph}
    try:
        expected = plainly(graph, path)
    except ValueError:
        with pytest.raises(RequestError):
            Links(there).follow(path)
    else:
        assert Links(there).follow(path) == expected


# ---------------------------------------------------------------- directories


def test_deep_directories_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Explicit ones were walked up to the root from each of them."""
    paths = ["/".join(["abcdefg"] * depth) for depth in range(1, MAX_DEPTH + 1)]
    allow(monkeypatch, sum(2 + 2 * len(path) // entries.STEP_BYTES for path in paths) + 10)
    inspect(make_zip(BOOTSTRAP, *map(folder, paths)))


def test_the_deepest_path_that_is_taken_can_be_unpacked_and_removed(tmp_path: Path) -> None:
    deepest = "/".join(["d"] * (MAX_DEPTH - 1))
    place = tmp_path / "code"
    inspect(make_zip(file(f"{deepest}/f"), folder("d", 0o500))).extract(place)
    assert (place / deepest / "f").read_bytes() == b"x"
    remove_tree(place)
    assert not place.exists()
    assert "levels deep" in refused(make_zip(file(f"{deepest}/d/f")))


def test_paths_that_imply_long_directories_without_end_are_refused() -> None:
    """400 KB would become 200 MB of names."""
    deep = "/".join(["a" * 14] * (MAX_DEPTH - 2))
    items = (Item(f"{number:03}/{deep}", method=zipfile.ZIP_STORED) for number in range(200))
    assert "shorten the paths" in too_large(make_zip(BOOTSTRAP, *items))


def test_the_largest_package_of_usual_paths_is_within_the_budget() -> None:
    """As many entries as are allowed, every fifth a link, as the package managers of Node do."""
    steps = Steps()
    there: dict[str, Entry] = {}
    for number in range(20_000):
        home = f"node_modules/.pnpm/some-package-{number}@10.20.30/node_modules"
        for name in ("package.json", "lib/index.js", "lib/browser/index.js", "README.md"):
            path = f"{home}/some-package-{number}/{name}"
            there[path] = Entry(path, Kind.FILE, 0o644)
        target = f"../../some-package-{number}@10.20.30/node_modules/some-package-{number}"
        there[f"{home}/other"] = Entry(f"{home}/other", Kind.LINK, 0o777, target=target)
    links = Links(there, steps)
    for path, entry in there.items():
        steps.take(path)
        if entry.kind is Kind.LINK:
            links.follow(path)
    assert steps.taken < entries.MAX_STEPS * 3 / 4


def test_the_names_of_a_refusal_are_short() -> None:
    endless = ["../" * 20_000, "/" + "x" * 60_000, "x/" * 20_000, "y" * 60_000, "..\\" * 20_000]
    for name in endless:
        assert len(refused(make_zip(BOOTSTRAP, Item(name, b"x", 0, 0)))) < 1000


# ---------------------------------------------------------------- headers that lie


def test_extra_fields_without_end_are_refused_before_they_are_read() -> None:
    most = b"\xfe\xca\0\0" * (MAX_EXTRA_BYTES // 4)
    inspect(make_zip(Item("bootstrap", extra=most)))
    assert "extra fields" in refused(make_zip(Item("bootstrap", extra=most + most[:4])))


def test_entries_that_share_their_data_are_refused() -> None:
    """Data that unpacks to nothing could be read a thousand times otherwise."""
    data = make_zip(*(file(f"f{number}", bytes(range(256)) * 9) for number in range(3)))
    sizes = [match.start() + 20 for match in re.finditer(b"PK\1\2", data)]
    shared = bytearray(data)
    for at in sizes:
        shared[at : at + 4] = struct.pack("<L", len(data) // 2)
    assert "share" in refused(bytes(shared))


@pytest.mark.parametrize("item", [link("liar", ""), file("liar")])
def test_data_is_not_unpacked_beyond_what_is_announced(item: Item) -> None:
    lie = Item(item.name, b"a" * 30_000_000, item.mode)
    data = bytearray(make_zip(BOOTSTRAP, lie))
    at = data.rindex(b"PK\1\2")
    data[at + 16 : at + 20] = struct.pack("<L", binascii.crc32(b"aaaaa"))
    data[at + 24 : at + 28] = struct.pack("<L", 5)
    inspect(make_zip(BOOTSTRAP))  # what is imported and compiled once
    tracemalloc.start()
    try:
        inspect(bytes(data))
        assert tracemalloc.get_traced_memory()[1] < 4 * len(data)
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------- layers


class Counted(str):
    """A path that counts how often it is compared."""

    __slots__ = ()
    asked: ClassVar[Counter[str]] = Counter()

    def startswith(self, *args: object) -> bool:
        Counted.asked[str(self)] += 1
        return super().startswith(*args)  # type: ignore[arg-type]


def test_layers_are_merged_in_one_pass_however_much_is_covered() -> None:
    paths = [f"d{number}{rest}" for number in range(500) for rest in ("", "/f", "-x")]
    Counted.asked.clear()
    kept = list(_not_below({f"d{number}" for number in range(500)}, map(Counted, paths)))
    assert sorted(kept) == sorted(path for path in paths if not path.endswith("/f"))
    assert set(Counted.asked.values()) == {1}


def test_a_directory_that_comes_back_in_a_later_layer_is_empty(tmp_path: Path) -> None:
    store = PackageStore(tmp_path)
    layers = [
        make_zip(file("d/old/f"), file("d-x"), file("e/f")),
        make_zip(file("d"), link("e", "d-x")),
        make_zip(file("d/new")),
    ]
    target = io.BytesIO()
    store.write_merged([store.save(data).digest for data in layers], target)
    target.seek(0)
    with tarfile.open(fileobj=target) as tar:
        assert tar.getnames() == ["d", "d/new", "d-x", "e"]
