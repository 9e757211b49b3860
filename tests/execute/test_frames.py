"""The wire between executor and workers, and the memory that outlives a worker."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.execute.frames import Damaged, SocketAddress, Splitter, pack
from headway.execute.spool import SIZE, Spool

PLAIN: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.lists(st.tuples(st.text(), PLAIN), max_size=8), st.lists(st.integers(0, 2000), max_size=12))
def test_messages_survive_any_cutting(messages: list[tuple[Any, ...]], cuts: list[int]) -> None:
    data = b"".join(pack(message) for message in messages)
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    splitter, found = Splitter(), []
    for start, end in itertools.pairwise(edges):
        found += splitter.feed(data[start:end])
    assert found == messages


@given(st.binary(max_size=200))
def test_nonsense_is_our_error_or_none(data: bytes) -> None:
    with contextlib.suppress(Damaged):
        Splitter().feed(data)


def test_what_is_not_plain_is_refused() -> None:
    with pytest.raises(ValueError, match="unmarshallable"):
        pack((object(),))


def test_a_frame_beyond_all_bounds_is_damage() -> None:
    with pytest.raises(Damaged, match="4294967295"):
        Splitter().feed(b"\xff\xff\xff\xff....")


def test_a_socket_can_lie_deeper_than_the_kernel_names(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.mkdir(parents=True)
    address = SocketAddress(deep / "executor.sock")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as caller:
        listener.bind(address.text)
        listener.listen()
        caller.connect(address.text)
    address.close()
    assert (deep / "executor.sock").exists()


def test_a_spool_holds_rows_and_what_is_under_way(tmp_path: Path) -> None:
    worker = Spool.create(tmp_path / "w.spool")
    executor = Spool.open(tmp_path / "w.spool")
    worker.own(12, 34)
    worker.begin(7)
    assert (executor.owner, executor.current, executor.unsent()) == ((12, 34), 7, [])
    worker.append(pack(("row", 1)), ends=False)
    assert (executor.current, executor.unsent()) == (7, [("row", 1)])
    worker.append(pack(("row", 2)), ends=True)
    assert (executor.current, executor.unsent()) == (0, [("row", 1), ("row", 2)])
    assert Splitter().feed(worker.content()) == [("row", 1), ("row", 2)]
    worker.clear()
    assert executor.unsent() == []
    assert worker.fits(SIZE - 64)
    assert not worker.fits(SIZE - 63)
    executor.close(remove=True)
    assert not (tmp_path / "w.spool").exists()


def test_a_spool_that_was_written_over_is_not_believed(tmp_path: Path) -> None:
    spool = Spool.create(tmp_path / "w.spool")
    spool.append(pack(("row", 1)), ends=True)
    spool._map[64:80] = b"\xff" * 16
    assert spool.unsent() == []
    (tmp_path / "short.spool").write_bytes(b"x")
    (tmp_path / "other.spool").write_bytes(bytes(SIZE))
    for name in ("short", "other"):
        with pytest.raises(Damaged, match="not a worker's spool"):
            Spool.open(tmp_path / f"{name}.spool")


def test_rows_outlive_a_process_killed_in_mid_work(tmp_path: Path) -> None:
    """Whatever instant it dies at, what can be read is a run of whole rows, and the item after the last
    one."""
    path = tmp_path / "w.spool"
    code = """
import sys, pathlib
from headway.execute.spool import Spool
from headway.execute.frames import pack
spool = Spool.open(pathlib.Path(sys.argv[1]))
number = 0
while True:
    number += 1
    spool.begin(number)
    frame = pack(("row", number, "x" * (number % 50)))
    if not spool.fits(len(frame)):
        spool.clear()
    spool.append(frame, ends=True)
    if number == 100:
        print("going", flush=True)
"""
    for _ in range(3):
        spool = Spool.create(path)
        process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"going\n"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        rows = spool.unsent()
        numbers = [row[1] for row in rows]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
        if numbers and spool.current:
            assert spool.current in (numbers[-1], numbers[-1] + 1)
        spool.close(remove=True)
