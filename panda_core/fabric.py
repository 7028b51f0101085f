"""The devices of a training, as Lightning Fabric drives them."""

from __future__ import annotations

import logging
import os

from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException

from panda_core.config import Config
from panda_core.devices import autocast_dtype, pick_device
from panda_core.errors import TrainingError


def make_fabric(config: Config, device: str, devices: int, machines: int = 1) -> Fabric:
    """Raises TrainingError for no device, or where several machines would not find each other."""
    picked = pick_device(device)
    half = autocast_dtype(picked, config.train.precision) is not None
    if devices < 1:
        raise TrainingError(f"devices is {devices}; at least one is needed.")
    missing = [name for name in ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ] if machines > 1 else []
    if missing:
        raise TrainingError(
            f"{machines} machines are to train together, and {', '.join(missing)} is not set. On each machine set NODE_RANK to 0, 1, ... "
            "and MASTER_ADDR and MASTER_PORT to the address of the first and a free port there."
        )
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its advice on precision is for programmers
    chosen: int | list[int] = [picked.index] if picked.index is not None and devices == 1 else devices
    try:
        return Fabric(
            accelerator=picked.type,
            devices=chosen,
            num_nodes=machines,
            strategy="ddp" if devices * machines > 1 else "auto",
            precision="bf16-mixed" if half else "32-true",
        )
    except (MisconfigurationException, TypeError) as error:
        raise TrainingError(f"This machine has not the devices that were asked for ({error}). Lower --devices, or name another.") from error
