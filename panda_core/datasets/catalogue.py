"""The data sets of the paper and those that stand in for them, as data: nothing here looks at a disk."""

from __future__ import annotations

from dataclasses import dataclass

from panda_core.config import Augment


@dataclass(frozen=True, slots=True)
class Dataset:
    """One public data set. ``name`` is also its folder below the data root."""

    name: str
    title: str
    categories: tuple[str, ...]
    """What can be prepared; for leave-one-out sets the class that plays the anomaly."""
    augment: Augment
    """What leaves the objects normal, in general; `augment_of` knows the categories that differ."""
    where: str
    """Where to get it and how to lay it out below the root, as sentences."""
    licence: str
    cite: str


_MVTEC_AUGMENT: dict[str, Augment] = {
    # Mirrored, a metal nut or a row of cables becomes one of the defects; capsule and pill carry print.
    "bottle": "flip-rotate",
    "cable": "none",
    "capsule": "none",
    "carpet": "flip",
    "grid": "flip",
    "hazelnut": "flip-rotate",
    "leather": "flip-rotate",
    "metal_nut": "none",
    "pill": "none",
    "screw": "flip-rotate",
    "tile": "flip-rotate",
    "toothbrush": "flip",
    "transistor": "none",
    "wood": "flip",
    "zipper": "flip",
}
_CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_PLANTS = ("apple", "cherry", "corn", "grape", "peach", "pepper", "potato", "strawberry", "tomato")

_ALL = (
    Dataset(
        "plantvillage",
        "PlantVillage: photographs of single leaves, healthy and with diseases",
        _PLANTS,
        "flip-rotate",
        "github.com/spMohanty/PlantVillage-Dataset, folder raw/color. Put its class folders (Apple___healthy, Apple___Black_rot, ...) into "
        "plantvillage/, or a subset as plantvillage/<plant>/train/good and test/<disease>.",
        "CC BY-SA 3.0",
        "Hughes and Salathé 2015, arXiv 1511.08060; Mohanty, Hughes and Salathé 2016, Frontiers in Plant Science 7:1419",
    ),
    Dataset(
        "sixray",
        "SIXray: X-ray pictures of baggage with and without prohibited items",
        ("baggage",),
        "flip",
        "github.com/MeioJane/SIXray. Put images without an item into sixray/baggage/train/good and test/good, images with one "
        "into sixray/baggage/test/prohibited_item.",
        "academic use only",
        "Miao et al. 2019, CVPR: SIXray",
    ),
    Dataset(
        "sixray_tip",
        "SIXray bags into which guns and knives are projected (threat image projection), with exact masks",
        ("baggage",),
        "flip",
        "Made from SIXray, not published. Expected: sixray_tip/baggage/train/good, test/good, test/gun, test/knife and ground_truth/, "
        "files named after the host bag (N0000251_a.jpg).",
        "academic use only (derived from SIXray)",
        "Miao et al. 2019, CVPR: SIXray",
    ),
    Dataset(
        "elpv",
        "ELPV: electroluminescence pictures of solar cells",
        ("mono", "poly"),
        "flip",
        "github.com/zae-bayern/elpv-dataset. Put labels.csv and images/ into elpv/, or a copy of the repository.",
        "CC BY-NC-SA 4.0 (no commercial use)",
        "Buerhop-Lutz et al. 2018, EU PVSEC; Deitsch et al. 2019, Solar Energy 185; Deitsch et al. 2021, Machine Vision and Applic. 32",
    ),
    Dataset(
        "mvtec_ad",
        "MVTec AD: industrial objects and textures with defects and masks",
        tuple(_MVTEC_AUGMENT),
        "none",
        "mvtec.com/company/research/datasets/mvtec-ad. Unpack the archive into mvtec_ad/: mvtec_ad/bottle/train/good and so on.",
        "CC BY-NC-SA 4.0 (no commercial use)",
        "Bergmann et al. 2019, CVPR; Bergmann et al. 2021, IJCV 129",
    ),
    Dataset(
        "magnetic_tile",
        "Magnetic tile surfaces with defects and masks",
        ("tile",),
        "flip",
        "github.com/abin24/Magnetic-tile-defect-datasets. Put MT_Free/, MT_Crack/ and the others into magnetic_tile/.",
        "none stated; its authors welcome use with citation",
        "Huang, Qiu and Yuan 2020, The Visual Computer 36: Surface defect saliency of magnetic tile",
    ),
    Dataset(
        "ucsd_ped1",
        "UCSD Ped1: frames of a walkway; bikes, skaters and carts are anomalies",
        ("ped1",),
        "flip",
        "svcl.ucsd.edu/projects/anomaly, UCSD_Anomaly_Dataset. Put the folder UCSDped1 (Train/Train001, Test/Test001, "
        "Test/Test003_gt, ...) into ucsd_ped1/.",
        "none stated; research use",
        "Mahadevan et al. 2010, CVPR; Li, Mahadevan and Vasconcelos 2014, TPAMI 36",
    ),
    Dataset(
        "mnist",
        "MNIST digits, one digit left out as the anomaly",
        tuple("0123456789"),
        "none",
        "The four official IDX files (train-images-idx3-ubyte.gz, ...) in mnist/, or mnist/mnist.npz with x_train, y_train, x_test, "
        "y_test. `panda datasets prepare mnist --download` fetches them.",
        "CC BY-SA 3.0, as commonly stated",
        "LeCun, Cortes and Burges 1998",
    ),
    Dataset(
        "cifar10",
        "CIFAR-10 objects, one class left out as the anomaly",
        _CIFAR_CLASSES,
        "flip",
        "cs.toronto.edu/~kriz/cifar.html, the Python version: put cifar-10-batches-py/ into cifar10/, or an .npz with x_train, y_train, "
        "x_test, y_test. `panda datasets prepare cifar10 --download` fetches it.",
        "none stated; research use",
        "Krizhevsky 2009: Learning Multiple Layers of Features from Tiny Images",
    ),
    Dataset(
        "xray_laptops",
        "X-ray pictures of electronic devices: the paper's laptops, or your own scans",
        ("laptops",),
        "flip",
        "The paper's set is not public and cannot be had. Put scans of your own into xray_laptops/laptops/train/good, test/good and "
        "test/<what is hidden>.",
        "not published; your own scans are yours",
        "Barker and Breckon 2021, arXiv 2104.13702, section IV",
    ),
)

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in _ALL}


def augment_of(name: str, category: str) -> Augment:
    """The augmentation for one category; MVTec AD's differ from object to object."""
    return _MVTEC_AUGMENT.get(category, DATASETS[name].augment) if name == "mvtec_ad" else DATASETS[name].augment
