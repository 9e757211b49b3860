"""What was submitted is what runs: sources travel by content, and a worker imports them and nothing else."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from headway import task, workflow
from headway.authoring import loading
from headway.authoring.bundle import BundleError, load_function, make_bundle, unpack
from headway.errors import Invalid

MAIN = """
import json, sys
from dataclasses import dataclass
from headway import task, workflow
import helper

@dataclass
class Point:
    x: int

@task
def move(point: Point, by: int = 1) -> Point:
    from lazily import OFFSET
    from pkg.sub import mod
    assert isinstance(point, Point)
    return Point(point.x + by + OFFSET + mod.ZERO)

def local():
    scale = helper.FACTOR
    return task(lambda x: x * scale)

@workflow
def flow(x: int = 1):
    return move(Point(x)), local()(x)

if __name__ == "__main__":
    traced = flow.trace(5)
    bundle = traced.bundle()
    assert bundle == traced.bundle()
    open(sys.argv[1], "wb").write(bundle.data)
    refs = {k: [r.kind, r.data] for k, r in traced.refs.items()}
    print(json.dumps([bundle.sha, list(traced.functions), refs]))
"""
FILES = {
    "my-flow.py": MAIN,
    "helper.py": "FACTOR = 3\n",
    "lazily.py": "OFFSET = 10\n",
    "unrelated.py": "raise SystemExit\n",
    "pkg/__init__.py": "",
    "pkg/sub/__init__.py": "from . import mod\nfrom ..other import X\n",
    "pkg/sub/mod.py": "ZERO = 0\n",
    "pkg/other.py": "X = 1\n",
    "pkg/unused.py": "",
    "venv/lib/python3.11/site-packages/installed.py": "",
}
WORKER = """
import json, sys
from headway.authoring.bundle import load_function, unpack
from headway.authoring.values import decode, encode
from headway.domain.results import Ref
path, folder, keys, refs = json.loads(sys.argv[1])
place = unpack(open(path, "rb").read(), folder)
move, scale = [load_function(place, key) for key in keys]
values = [decode(Ref(*ref), None) for ref in refs.values()]
print(move(values[0]).x, scale(values[1]), move.__module__)
"""


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def python(*arguments: str, cwd: Path | str = "/") -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def clean() -> Iterator[None]:
    """Modules and paths as they were."""
    before, paths = dict(sys.modules), list(sys.path)
    active = loading._active
    yield
    for name in set(sys.modules) - set(before):
        del sys.modules[name]
    sys.path[:] = paths
    loading._active = active


def test_a_script_s_sources_and_classes_arrive_in_a_worker_after_the_script_is_gone(tmp_path: Path) -> None:
    project = write(tmp_path / "project", FILES)
    sha, keys, refs = json.loads(python("my-flow.py", str(tmp_path / "b.zip"), cwd=project))
    assert keys == ["my_flow:move", "pickle:<lambda>"]
    names = zipfile.ZipFile(tmp_path / "b.zip").namelist()
    assert names == [
        "functions.pkl", "helper.py", "lazily.py", "my_flow.py",
        "pkg/__init__.py", "pkg/other.py", "pkg/sub/__init__.py", "pkg/sub/mod.py",
    ]  # fmt: skip
    for name in FILES:
        (project / name).unlink()
    sent = json.dumps([str(tmp_path / "b.zip"), str(tmp_path / "bundles" / sha), keys, refs])
    assert python("-c", WORKER, sent) == "16 15 my_flow\n"


def test_the_same_sources_give_the_same_bytes_wherever_and_whenever(tmp_path: Path) -> None:
    """Of functions in files; one that travels by value remembers where it was written, for its traceback."""
    files = {**FILES, "my-flow.py": MAIN.replace(", local()(x)", "")}
    shas = []
    for place in ("one", "two"):
        project = write(tmp_path / place, files)
        shas.append(json.loads(python("my-flow.py", str(tmp_path / "b.zip"), cwd=project))[0])
    (tmp_path / "two" / "helper.py").write_text("FACTOR = 4\n")
    shas.append(json.loads(python("my-flow.py", str(tmp_path / "b.zip"), cwd=tmp_path / "two"))[0])
    assert shas[0] == shas[1] != shas[2]


def test_a_workflow_file_is_imported_as_its_bundle_will_be(tmp_path: Path, clean: None) -> None:
    write(
        tmp_path,
        {"pack/__init__.py": "", "pack/flowing.py": "from headway import task\n@task\ndef f(): return 1\n"},
    )
    module = loading.import_file(tmp_path / "pack" / "flowing.py")
    assert module.__name__ == "pack.flowing"
    assert loading.import_file(tmp_path / "pack" / "flowing.py") is module
    data = make_bundle({"pack.flowing:f": module.f.function}).data
    assert zipfile.ZipFile(io.BytesIO(data)).namelist() == ["pack/__init__.py", "pack/flowing.py"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("absent.py", None, "there is no file"),
        ("flow.txt", "", "is not a Python file"),
        ("a1.py", "import no_such_module_x", "needs the module 'no_such_module_x', which is not installed"),
        ("a2.py", "def f(:\n", "line 1: "),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused(
    tmp_path: Path, clean: None, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(Invalid, match=message):
        loading.import_file(tmp_path / name)


def test_two_bundles_with_a_module_of_one_name_do_not_mix(tmp_path: Path, clean: None) -> None:
    text = "import part\ndef f():\n    import lazy\n    return part.N, lazy.N\n"
    for n in (1, 2):
        write(tmp_path / str(n), {"same.py": text, "part.py": f"N = {n}", "lazy.py": f"N = {n * 10}"})
    found = [load_function(tmp_path / n, "same:f")() for n in ("1", "2", "1", "2")]
    assert found == [(1, 10), (2, 20), (1, 10), (2, 20)]
    assert load_function(tmp_path / "1", "same:f") is load_function(tmp_path / "1", "same:f")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("absent_mod:f", "needs the module 'absent_mod', which is neither in bundle folder nor installed"),
        ("needy:f", "needs the module 'no_such_thing'"),
        ("broken:f", "'broken' of bundle folder fails when it is imported: ZeroDivisionError"),
        ("good:g", "'good' of bundle folder has no function 'g'"),
        ("pickle:x", "holds no function 'pickle:x'"),
    ],
)
def test_a_function_that_is_not_there_is_named_with_its_bundle(
    tmp_path: Path, clean: None, key: str, message: str
) -> None:
    folder = write(
        tmp_path / "folder",
        {"needy.py": "import no_such_thing", "broken.py": "1 / 0", "good.py": "def f(): ..."},
    )
    with pytest.raises(BundleError, match=message):
        load_function(folder, key)


def test_a_script_that_starts_its_workflow_when_imported_is_told_what_to_write(
    tmp_path: Path, clean: None
) -> None:
    text = "from headway import workflow\n@workflow\ndef w(): ...\nw.run()\ndef f(): ...\n"
    write(tmp_path, {"unguarded.py": text})
    with pytest.raises(Invalid, match=r'w.run\(\) is called while.*\n.*if __name__ == "__main__"'):
        load_function(tmp_path, "unguarded:f")


def _zip(*names: str, content: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "name", ["../x.py", "/etc/x.py", "a/../../x.py", "a//x.py", "C:/x.py", "a\\x.py", "dir/"]
)
def test_a_path_that_leads_outside_is_refused_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="may lead outside"):
        unpack(_zip("good.py", name), tmp_path / "bundles" / "b")
    assert list((tmp_path / "bundles").iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["bundles"]


def test_a_bomb_and_what_is_no_zip_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "SIZE_MOST", 1000)
    with pytest.raises(BundleError, match="unpacks to more than 1000 bytes"):
        unpack(_zip("a.py", "b.py", content=bytes(600)), tmp_path / "b")
    with pytest.raises(BundleError, match="not a readable zip"):
        unpack(b"PK\x03\x04 nonsense", tmp_path / "b")
    monkeypatch.setattr(loading, "FILES_MOST", 1)
    with pytest.raises(BundleError, match="holds 2 files"):
        unpack(_zip("a.py", "b.py"), tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_unpacking_twice_gives_the_folder_that_is_there(tmp_path: Path) -> None:
    first = unpack(_zip("a.py"), tmp_path / "b")
    assert unpack(b"not looked at", tmp_path / "b") == first
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_function_that_cannot_travel_by_value_is_named() -> None:
    import threading

    lock = threading.Lock()

    @task
    def locked() -> None:
        with lock:
            pass

    traced = workflow(lambda: locked()).trace()
    with pytest.raises(BundleError, match="task 'locked' has to travel by value, and cannot"):
        traced.bundle()


def test_two_local_functions_of_one_name_do_not_mix(tmp_path: Path, clean: None) -> None:
    def make(n: int) -> Any:
        return task(name="same")(lambda: n)

    traced = workflow(lambda: [make(1)(), make(2)()]).trace()
    place = unpack(traced.bundle().data, tmp_path / "b")
    assert [load_function(place, spec.function)() for spec in traced.workflow.tasks] == [1, 2]


def test_sources_that_are_too_large_are_refused_with_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    from headway.authoring import bundle

    monkeypatch.setattr(bundle, "SIZE_MOST", 100)
    with pytest.raises(BundleError, match=r"the largest is tests/.*\.py"):
        make_bundle({"x:y": test_sources_that_are_too_large_are_refused_with_the_largest})
