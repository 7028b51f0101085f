"""MNIST and CIFAR-10 by torchvision's downloaders, which check what arrives. Only where a person asks for it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

from panda_core.datasets.preparing import dataset_of
from panda_core.errors import FolderError


def _mnist(home: Path) -> None:
    from torchvision.datasets import MNIST

    MNIST(str(home), download=True)


def _cifar10(home: Path) -> None:
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import download_and_extract_archive

    # Not CIFAR10(download=True): that loads the pickles, and `cifar` does so with a reader that cannot be harmed by them.
    download_and_extract_archive(CIFAR10.url, str(home), filename=CIFAR10.filename, md5=CIFAR10.tgz_md5)


_FETCH: dict[str, Callable[[Path], None]] = {"mnist": _mnist, "cifar10": _cifar10}


def download(name: str, root: Path) -> None:
    """Fetch a set into ``root/name``. Raises FolderError: a set that must be fetched by hand, no network, no torchvision."""
    dataset = dataset_of(name)
    elsewhere = f"{dataset.where} Licence: {dataset.licence}."
    if name not in _FETCH:
        raise FolderError(f"{name} is not downloaded by this program; only {' and '.join(_FETCH)} are. Get it: {elsewhere}")
    try:
        with redirect_stdout(sys.stderr):
            _FETCH[name](root / name)
    except (OSError, RuntimeError, ImportError) as error:
        raise FolderError(f"{name} could not be downloaded ({' '.join(str(error).split())}). Get it by hand: {elsewhere}") from error
