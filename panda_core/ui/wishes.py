"""What a person wants opened, asked for and opened in two steps.

Opening takes longer than clicking, and Gradio (6.31) runs an event that had to wait with the data of the one before it. So what is asked
for is noted at once, in order, and whoever opens reads the last note.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from panda_core.ui.handlers import Playlist

ASKING: dict[str, Any] = {
    "show_progress": "hidden",
    "api_visibility": "private",
    "trigger_mode": "multiple",
    "concurrency_id": "ask",
    "concurrency_limit": 1,
}
"""Options of every event that asks: none is left out, and one at a time, so that steps add up."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The image that was asked for last. It waits as long as its list is later than the one that is open."""

    playlist: Playlist = field(default_factory=Playlist)
    model: str | None = None
    """None for the one that is picked."""
    problem: str = ""
    """Why there is nothing to open; "" if there is."""

    def waits(self, opened: Playlist) -> bool:
        """Whether this is yet to be opened."""
        return self.playlist.serial > opened.serial
