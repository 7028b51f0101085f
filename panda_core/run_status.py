"""Where a training stands: its states, and which of them need a process that lives."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["created", "queued", "running", "done", "stopped", "failed", "interrupted"]
LAUNCH_GRACE = 30.0
"""Seconds after which a run that was created and never begun reads as interrupted: starting Python on a busy machine takes a while."""


@dataclass(frozen=True, slots=True)
class RunStatus:
    """Where a training stands, as last written; "interrupted" is never written, it is concluded from a free lock.

    "queued": the process lives and waits for the device.
    """

    state: State
    detail: str = ""
    """One sentence for the person; empty when there is nothing to say."""
    step: int = 0
    total: int = 0
    """Steps of the whole training; 0 before it is known."""
    updated: float = 0.0
    """Unix time of the last write."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What else the writer added (JSON types)."""

    @property
    def over(self) -> bool:
        """Whether no process works on this run any more; all but "done" can be resumed."""
        return self.state in ("done", "stopped", "failed", "interrupted")

    @property
    def claims_life(self) -> bool:
        """Whether a process should be at work, or should have begun by now."""
        late = self.state == "created" and 0 < self.updated < time.time() - LAUNCH_GRACE
        return late or self.state in ("queued", "running")
