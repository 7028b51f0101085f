"""The end of a training: perceptual evidence, calibration, measurement, comparison with the parent, and last the model folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from panda_core.calibration import calibrate, choose_source
from panda_core.card import Card, DataCard, versions
from panda_core.checkpoint import DetectorModule, Model, load_model, save_model
from panda_core.comparison import compare, compare_reports
from panda_core.config import Config
from panda_core.data.depth import stretch_for
from panda_core.data.folders import Splits, labelled_test
from panda_core.data.images import prepare, readable
from panda_core.durable import replace_text
from panda_core.errors import CalibrationError, FolderError, PandaError
from panda_core.evaluation import Report, measure
from panda_core.inspector import Inspector
from panda_core.origins import Origins
from panda_core.percept import FITTED_IMAGES, PerceptualEvidence, check_count
from panda_core.runs import RunDir
from panda_core.scoring.fusion import MINIMUM_IMAGES
from panda_core.trivial import trivial_baseline

UNKNOWN_LICENCE = "not stated"


def check_enough(config: Config, splits: Splits) -> None:
    """What would end a training after its last step, before its first. Raises CalibrationError."""
    choose_source(config.scoring, len(splits.anomalous))
    held = len(splits.validation)
    if held < MINIMUM_IMAGES:
        raise CalibrationError(
            f"Of the {len(splits.train) + held} normal images {held} can be held out; calibration needs {MINIMUM_IMAGES}. Add images."
        )
    if config.percept.enabled:
        check_count(config.percept, len(splits.train))


class Finishing:
    """Makes a model of a trained detector; ``heed`` is called all the time and may raise to end it."""

    def __init__(
        self,
        run: RunDir,
        config: Config,
        fabric: Fabric,
        splits: Splits,
        parent: Card | None,
        inherited: Origins,
        *,
        say: Callable[[str, str], None],
        heed: Callable[..., None],
    ) -> None:
        """``parent``, ``inherited``: card and images of the model it was tuned from; ``say(stage, sentence)`` tells whoever watches."""
        self.run, self.config, self.fabric, self.splits, self.say, self.heed = run, config, fabric, splits, say, heed
        self.parent, self.inherited = parent, inherited
        self.total = config.train.warmup_steps + config.train.adversarial_steps

    def finish(self, detector: torch.nn.Module, *, seconds: float) -> None:
        """Write the model folder, which appears whole and last, and the status "done"."""
        splits = self.splits
        self._warn_of_known()
        percept = self._fit_percept(splits.train)
        card = Card(
            name=self.run.name,
            title=self.run.name,
            config=self.config,
            data=DataCard(
                description=f"Normal images of the folder {self.run.data.name}",
                licence=_licence(self.parent),
                sources=(),
                train=len(splits.train),
                validation=len(splits.validation),
                fingerprint=splits.fingerprint,
            ),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=versions(),
            parent=self.parent.name if self.parent else "",
        )
        model = Model(self.run.name, self.config, cast(DetectorModule, detector.eval()), percept, None, card)
        self.say("calibrate", "Calibrating on held-out images.")
        model.calibration = calibrate(
            model,
            splits.validation,
            anomalous_paths=splits.anomalous,
            scoring=self.config.scoring,
            seed=self.config.train.seed,
            on_progress=self.heed,
        )
        model.images = self._images(labelled=model.calibration.source == "labelled")
        report = self._measure(model)
        self._compare(model, report)
        save_model(self.run.model_path, model)
        boundary = model.calibration.boundary
        self.run.record({"event": "done", "seconds": seconds, "boundary": boundary.value, "boundary_kind": boundary.kind})
        self.run.write_status("done", detail=boundary.reason, step=self.total, total=self.total)

    def _warn_of_known(self) -> None:
        held = self.splits.validation
        known = sum(self.inherited.has_trained_on(self.splits.digests[path]) for path in held)
        if known:
            self._warn(
                f"The model it came from was trained on {known} of the {len(held)} images held out: the boundary promises too much. "
                "Calibrate it on other normal images."
            )

    def _images(self, *, labelled: bool) -> Origins:
        digests, fitted = self.splits.digests, (*self.splits.validation, *(self.splits.anomalous if labelled else ()))
        found = Origins.of(trained=map(digests.__getitem__, self.splits.train), calibrated=map(digests.__getitem__, fitted))
        return replace(found, trained=found.trained | self.inherited.trained)

    def _measure(self, model: Model) -> Report | None:
        """`_measured`, or None and a warning where that fails: hours of training are not lost for want of a number beside them."""
        try:
            return self._measured(model)
        except (PandaError, OSError) as error:
            self._warn(f"The test images could not be measured: {error}")
            return None

    def _measured(self, model: Model) -> Report | None:
        """The finished model on the folder's labelled test images, where it has some; nothing was or will be chosen by them.

        The model's card gets the metric. Raises PandaError or OSError where the images cannot be read.
        """
        try:
            samples = labelled_test(self.run.data) if (self.run.data / "test").is_dir() else []
        except FolderError:
            samples = []
        if not samples:
            return None
        self.say("evaluate", "Measuring on the folder's test images.")
        report = self._on_test_images(Inspector(model))
        if report.warning:
            self._warn(f"Test images: {report.warning}")
        metric = report.metric(
            f"{self.run.data.name} test", trivial_auroc=trivial_baseline(self.splits.train, samples, deep=stretch_for(self.config.data))
        )
        model.card = replace(model.card, metrics=(metric,))
        return report

    def _on_test_images(self, inspector: Inspector) -> Report:
        # Not `evaluate`, which reads the training images again for the trivial baseline.
        samples = labelled_test(self.run.data)
        images, seed = inspector.model.images, self.config.train.seed
        return measure(samples, inspector.inspect, self.run.data, images=images, seed=seed, on_progress=self.heed)

    def _compare(self, model: Model, report: Report | None) -> None:
        """Beside the model this one came from: mistakes on held-out images and, where it was measured (``report``), on test images."""
        if self.run.parent is None:
            return
        self.say("compare", "Comparing with the model it came from.")
        try:
            parent = Inspector(load_model(self.run.parent, device=self.fabric.device))
            found = compare(parent, Inspector(model), self.splits.validation, self.splits.anomalous, on_image=self.heed)
            if report is not None:
                found["test"] = compare_reports(self._on_test_images(parent), report)
        except (PandaError, OSError) as error:
            self._warn(f"There is no comparison: {error}")
            return
        replace_text(self.run.path / "comparison.json", json.dumps(found), durable=False)
        self.run.record({"event": "compared", **_without_examples(found)})

    def _warn(self, message: str) -> None:
        self.run.record({"event": "warning", "step": self.total, "message": message})

    def _fit_percept(self, paths: Sequence[Path]) -> PerceptualEvidence | None:
        if not self.config.percept.enabled:
            return None
        self.say("percept", "Fitting perceptual evidence.")
        percept = PerceptualEvidence(self.config.percept, pretrained=True)
        self.fabric.to_device(percept)
        percept.fit(self._prepared(_spread_out(paths, FITTED_IMAGES)))
        return percept.eval()

    def _prepared(self, paths: Sequence[Path], *, batch: int = 16) -> Iterator[Tensor]:
        images = []
        for _, image in readable(paths, deep=stretch_for(self.config.data)):
            self.heed()
            images.append(torch.from_numpy(prepare(image, self.config.percept.size)))
            if len(images) == batch:
                yield self.fabric.to_device(torch.stack(images))
                images = []
        if images:
            yield self.fabric.to_device(torch.stack(images))


def _spread_out(paths: Sequence[Path], most: int) -> Sequence[Path]:
    """At most that many of them, evenly spread."""
    return paths if len(paths) <= most else [paths[index * len(paths) // most] for index in range(most)]


def _licence(parent: Card | None) -> str:
    """That of the folder's images is not known; a fine-tuned model is also what its parent was made of."""
    known = parent.data.licence if parent else UNKNOWN_LICENCE
    return known if parent is None or known == UNKNOWN_LICENCE else f"{UNKNOWN_LICENCE}; the model it began as, “{parent.name}”: {known}"


def _without_examples(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "changed"}
