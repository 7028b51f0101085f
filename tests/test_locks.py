"""Who asks whether a lock is held, is not taken for its holder; who holds it, is."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from filelock import FileLock

from panda_core.locks import is_held

HOLDER = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_several_who_ask_at_once_do_not_take_each_other_for_holders(tmp_path: Path) -> None:
    lock = tmp_path / "alive.lock"
    lock.touch()
    with ThreadPoolExecutor(8) as askers:
        assert not any(askers.map(lambda _: is_held(lock), range(2000)))


def test_a_holder_is_seen_in_this_process_and_in_another_until_it_lets_go(tmp_path: Path) -> None:
    lock = tmp_path / "alive.lock"
    assert not is_held(lock) and not lock.exists()
    with FileLock(lock):
        assert is_held(lock)
    assert not is_held(lock)
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        assert is_held(lock)
        other.communicate("\n")
    assert not is_held(lock)
