"""What a browser tab works on, kept on the server: a job, a folder for its files, and when all that may go. No Gradio."""

from __future__ import annotations

import re
import secrets
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Generic, TypeVar

from panda_core.batch.job import Job

GRACE = 60.0
"""Seconds without a question after which a job ends, once the connection was lost: a weak network must not end it at once."""
UNWATCHED = 900.0
"""The same where nobody tells of a lost connection, so that questions alone keep a job. Browsers let a hidden page ask once a minute,
phones not at all: who reads his mail meanwhile must find his work again."""
KEEP = 3600.0
"""Seconds for which work without a job is kept, once the connection was lost."""


class Work:
    """One job at a time and the files it makes; deleted when closed."""

    def __init__(self, kind: str) -> None:
        self.id = secrets.token_urlsafe(16)
        """Known to this browser tab only."""
        self.seen = time.monotonic()
        """When the browser was last heard of."""
        self.job: Job | None = None
        self._folder = tempfile.TemporaryDirectory(prefix=f"panda-{kind}-", ignore_cleanup_errors=True)

    @property
    def place(self) -> Path:
        """The folder of its files."""
        return Path(self._folder.name)

    @property
    def running(self) -> bool:
        """Whether a job is at work."""
        return self.job is not None and self.job.running

    def cancel(self) -> None:
        """End the job after its present step; what is done stays."""
        if self.job is not None:
            self.job.stop()

    def close(self) -> None:
        """End the job and delete everything; returns at once."""
        job = self.job
        if job is None or not job.running:
            self._folder.cleanup()
            return
        job.stop()
        threading.Thread(target=self._clean_after, args=[job], daemon=True).start()

    def _clean_after(self, job: Job) -> None:
        job.wait()
        self._folder.cleanup()


AnyWork = TypeVar("AnyWork", bound=Work)


class Register(Generic[AnyWork]):
    """The work of all browser tabs: one each, found by its id, closed when it is replaced or nobody asks for it any more."""

    def __init__(self, *, connected: bool = True) -> None:
        """``connected``: whether `leave` will be called when a connection is lost; else work is watched from its start."""
        self._connected = connected
        self._works: dict[str, AnyWork] = {}
        self._owned: dict[str, str] = {}
        """Browser tab -> id of its work."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._works)

    def enter(self, person: str, work: AnyWork) -> None:
        """New work in the place of the browser tab's former one."""
        with self._lock:
            former = self._works.pop(self._owned.get(person, ""), None)
            self._works[work.id] = work
            self._owned[person] = work.id
        if former is not None:
            former.close()
        if not self._connected:
            self._watch(person, work)

    def all(self) -> list[AnyWork]:
        """The work of every browser tab."""
        return list(self._works.values())

    def find(self, name: Any) -> AnyWork | None:
        """The work that a browser names, and notes that it is wanted. ``name`` may be anything."""
        work = self._works.get(name) if isinstance(name, str) else None
        if work is not None:
            work.seen = time.monotonic()
        return work

    def leave(self, person: str) -> None:
        """The browser tab is closed or loaded anew, or its connection is lost; only time tells which."""
        work = self._works.get(self._owned.get(person, ""))
        if work is not None:
            self._watch(person, work, left=time.monotonic())

    def close(self) -> None:
        """End all work."""
        with self._lock:
            works = list(self._works.values())
            self._works.clear()
            self._owned.clear()
        for work in works:
            work.close()

    def _watch(self, person: str, work: AnyWork, *, left: float | None = None) -> None:
        """Close the work if nobody asks for it for long enough; else look again later.

        ``left``: when its connection was lost. Whoever asked after that has loaded the page anew, and nobody will tell when he leaves.
        """
        gone = left is not None and work.seen <= left
        limit = KEEP if not work.running else GRACE if gone else UNWATCHED
        unseen = time.monotonic() - work.seen
        if unseen < limit:
            timer = threading.Timer(max(0.05, min(GRACE, limit - unseen)), self._watch, [person, work], {"left": left})
            timer.daemon = True
            timer.start()
            return
        with self._lock:
            self._works.pop(work.id, None)
            if self._owned.get(person) == work.id:
                del self._owned[person]
        work.close()


def file_name(kind: str, title: str, *, otherwise: str) -> str:
    """A file name from a title, without a suffix: the kind, then letters, digits and dashes; ``otherwise`` where none is left."""
    return f"{kind}-{re.sub(r'[^A-Za-z0-9]+', '-', Path(title).stem or title).strip('-')[:60] or otherwise}"


def job_value(job: Job | None) -> dict[str, Any] | None:
    """How a job stands, for the page. Seconds and steps a second; ``message`` is why it failed, "" if it did not."""
    if job is None:
        return None
    facts = {"what": job.what, "state": job.state, "done": job.done, "total": job.total, "message": job.message}
    return {**facts, "rate": job.rate, "remaining": job.remaining, "seconds": job.seconds}
