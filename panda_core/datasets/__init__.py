"""Public data sets, in the layouts people download them in -> folders in MVTec layout. Nothing here is fetched unasked."""

from panda_core.datasets.catalogue import DATASETS, Dataset
from panda_core.datasets.preparing import Prepared, data_root, prepare

__all__ = ["DATASETS", "Dataset", "Prepared", "data_root", "prepare"]
