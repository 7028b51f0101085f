"""What comes before a training and takes a while: the look through the folder and the estimate of its time. No Gradio, no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2

from panda_core.batch.job import Job, StoppedError
from panda_core.config import DataConfig
from panda_core.data.images import read_image
from panda_core.data.survey import survey
from panda_core.errors import ImageError, PandaError, TrainingError
from panda_core.ui.work import Work

PICTURE = 220
"""Pixels of the longer side of the picture of an image that is asked about."""


class Preparation(Work):
    """The check of one folder by one browser tab, or an estimate; both may be cancelled."""

    def __init__(self, publish: Callable[[Path], str | None]) -> None:
        super().__init__("train")
        self._publish = publish
        self.found: dict[str, Any] = {}
        """Result of the last job."""

    def check(self, folder: Path, data: DataConfig, exclude: Sequence[str]) -> None:
        """Begin the look through a folder; a survey will be in ``found``."""

        def look(job: Job) -> None:
            def heed(done: int, total: int) -> None:
                job.total, job.done = total, done
                if job.stopping():
                    raise StoppedError

            found = survey(folder, data=data, exclude=exclude, on_progress=heed).to_dict()
            for number, shown in enumerate([*found["suspects"], *found["excluded"]]):
                shown["picture"] = self._picture(Path(shown["path"]), number)
            self.found = {"survey": found}

        self.job = Job("Looking through the folder", look)

    def estimate(self, arguments: Sequence[str], *, whole: Callable[[dict[str, Any]], float] | None = None) -> None:
        """Begin a measurement by ``panda estimate ARGUMENTS``, in a process of its own: torch stays out of this one.

        ``whole``: the estimate of one training -> seconds of all that are wanted, kept beside it as "whole".
        """

        def measure(job: Job) -> None:
            command = [sys.executable, "-m", "panda_core", "estimate", *arguments, "--json"]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
                while True:
                    try:
                        out, said = process.communicate(timeout=0.3)
                        break
                    except subprocess.TimeoutExpired:
                        if job.stopping():
                            process.kill()
                            raise StoppedError from None
            if process.returncode:
                raise TrainingError(said.strip().splitlines()[-1] if said.strip() else "The time could not be measured.")
            found = json.loads(out)
            self.found = {"estimate": found | {"whole": whole(found)} if whole else found}

        self.job = Job("Measuring a few steps", measure)

    def message(self) -> dict[str, Any]:
        """How things stand."""
        job = self.job
        if job is None:
            return {"id": self.id, "state": "done"}
        value = {"id": self.id, "what": job.what, "state": job.state, "done": job.done, "total": job.total, "message": job.message}
        return value | self.found if job.state == "done" else value

    def _picture(self, path: Path, number: int) -> str | None:
        try:
            image = read_image(path)
        except (ImageError, PandaError):
            return None
        scale = min(1.0, PICTURE / max(image.shape[:2]))
        size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        file = self.place / f"{self.id}-{number}.jpg"
        file.write_bytes(cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR))[1].tobytes())
        return self._publish(file)
