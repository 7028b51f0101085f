"""The published layouts of PlantVillage, ELPV, magnetic tiles and Ped1, each as a tiny stand-in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from panda_core.data.folders import labelled_test
from panda_core.datasets import prepare
from panda_core.datasets.plantvillage import BLOCK, shot_of
from panda_core.datasets.splitting import Shot, split
from panda_core.errors import FolderError

Write = Callable[..., Path]
SIDE = 48
UUID = "1f98b949-4df2-45cf-8572-3b4a753be21a"


def stems(folder: Path, part: str) -> set[str]:
    return {path.stem for path in (folder / part).iterdir()}


def number(stem: str) -> int:
    return int(stem.rpartition(" ")[2])


class TestPlantVillage:
    @pytest.fixture
    def home(self, root: Path, write: Write) -> Path:
        home = root / "plantvillage"
        for shot in range(240):
            write(home / f"Apple___healthy/{UUID}___RS_HL {7000 + shot}.JPG", shot)
        for shot in range(5):
            write(home / f"Apple___Black_rot/{UUID}___JR_FrgE.S {2700 + shot}.JPG", 1000 + shot)
            write(home / f"Apple___Cedar_apple_rust/{UUID}___FREC_C.Rust {3000 + shot}.JPG", 2000 + shot)
        write(home / f"Applewood___healthy/{UUID}___X 1.JPG")
        write(home / f"Pineapple___healthy/{UUID}___X 1.JPG")
        return home

    def test_healthy_is_split_and_diseases_are_for_testing(self, home: Path, root: Path, place: Path) -> None:
        prepared = prepare("plantvillage", "apple", root=root, place=place)
        assert prepared.augment == "flip-rotate"
        assert {image.label for image in labelled_test(prepared.folder)} == {"good", "black_rot", "cedar_apple_rust"}
        assert len(stems(prepared.folder, "test/black_rot")) == 5
        train, good = stems(prepared.folder, "train/good"), stems(prepared.folder, "test/good")
        assert 140 < len(train) < 220 and 20 < len(good) < 60

    def test_no_leaf_is_on_both_sides(self, home: Path, root: Path, place: Path) -> None:
        """A leaf is shot about four times in a row, so shots of the two sides are more than three numbers apart."""
        folder = prepare("plantvillage", "apple", root=root, place=place).folder
        train = np.array([number(stem) for stem in stems(folder, "train/good")])
        good = np.array([number(stem) for stem in stems(folder, "test/good")])
        assert np.abs(train[:, None] - good[None]).min() > 3

    @pytest.mark.parametrize("nested", ["color", "raw/color"])
    def test_the_repository_may_lie_there_as_it_is(self, home: Path, root: Path, place: Path, nested: str) -> None:
        flat = prepare("plantvillage", "apple", root=root, place=place / "flat")
        (root / "PlantVillage-Dataset" / nested).parent.mkdir(parents=True)
        home.rename(root / "PlantVillage-Dataset" / nested)
        assert prepare("plantvillage", "apple", root=root, place=place / "nested").fingerprint == flat.fingerprint

    @pytest.mark.parametrize(
        ("kind", "category"),
        [("Cherry_(including_sour)", "cherry"), ("Pepper,_bell", "pepper"), ("Corn_(maize)", "corn"), ("Grape", "grape")],
    )
    def test_plants_are_known_by_their_first_word(self, root: Path, place: Path, write: Write, kind: str, category: str) -> None:
        for shot in range(60):
            write(root / f"plantvillage/{kind}___healthy/{UUID}___RS_HL {shot}.JPG", shot)
        write(root / f"plantvillage/{kind}___Leaf_blight_(Isariopsis_Leaf_Spot)/{UUID}___FAM_L.Blight 1.JPG", 99)
        folder = prepare("plantvillage", category, root=root, place=place).folder
        assert stems(folder, "test/leaf_blight_isariopsis_leaf_spot")

    def test_a_plant_without_a_disease_is_not_there(self, root: Path, place: Path, write: Write) -> None:
        write(root / f"plantvillage/Apple___healthy/{UUID}___RS_HL 1.JPG")
        with pytest.raises(FolderError, match="apple, was not found"):
            prepare("plantvillage", "apple", root=root, place=place)

    @pytest.mark.parametrize(
        ("name", "shot"),
        [
            (f"{UUID}___RS_HL 0456.JPG", Shot("RS_HL", 456)),
            (f"{UUID}___GH_HL Leaf 259.1.JPG", Shot("GH_HL Leaf", 259)),
            (f"{UUID}___RS_HL 0456_180deg.JPG", Shot("RS_HL", 456)),
            (f"{UUID}___GHLB_PS Leaf 23 Day 11.jpg", Shot("GHLB_PS Leaf", 23)),
            ("RS_HL_0456.jpg", Shot("RS_HL", 456)),
            ("healthy96.jpg", Shot("healthy96", 0)),
        ],
    )
    def test_shot_numbers_are_read_off_names(self, name: str, shot: Shot) -> None:
        assert shot_of(Path(name)) == shot


class TestSplit:
    shots = tuple(Shot(series, number) for series in "abc" for number in range(0, 200, 2))

    @pytest.mark.parametrize("gap", [0, 2])
    def test_parts_are_disjoint_and_blocks_whole(self, gap: int) -> None:
        train, test = split(self.shots, block=BLOCK, gap=gap)
        assert not set(train) & set(test)
        blocks = [{(self.shots[i].series, self.shots[i].number // BLOCK) for i in part} for part in (train, test)]
        assert not blocks[0] & blocks[1]
        assert 0.1 * len(self.shots) < len(test) <= 0.2 * len(self.shots)

    def test_without_a_gap_nothing_is_dropped(self) -> None:
        train, test = split(self.shots, block=BLOCK)
        assert sorted(train + test) == list(range(len(self.shots)))

    def test_it_depends_on_names_not_on_their_order(self) -> None:
        back = self.shots[::-1]
        assert {self.shots[i] for i in split(self.shots, block=7)[1]} == {back[i] for i in split(back, block=7)[1]}

    def test_one_block_cannot_be_split(self) -> None:
        with pytest.raises(FolderError, match="cannot be split"):
            split([Shot("a", 1), Shot("a", 2)], block=24)


class TestElpv:
    @staticmethod
    def write_cells(home: Path, write: Write, *, sign: str = "  ") -> None:
        lines = []
        for cell in range(1, 201):
            probability = (0.0, 0.0, 0.0, 0.3333333333333333, 0.6666666666666666, 1.0)[cell % 6]
            write(home / f"images/cell{cell:04d}.png", cell)
            lines.append(sign.join((f"images/cell{cell:04d}.png", str(probability), "mono" if cell <= 160 else "poly")))
        (home / "labels.csv").write_text("\n".join(lines) + "\n")

    @pytest.mark.parametrize("home", ["elpv", "elpv-dataset", "elpv/elpv-dataset/src/elpv_dataset/data"])
    @pytest.mark.parametrize("sign", ["   ", ","])
    def test_labels_become_folders(self, root: Path, place: Path, write: Write, home: str, sign: str) -> None:
        self.write_cells(root / home, write, sign=sign)
        folder = prepare("elpv", "mono", root=root, place=place).folder
        cells = {part: {int(stem[4:]) for stem in stems(folder, part)} for part in ("train/good", "test/good")}
        cells |= {part: {int(stem[4:]) for stem in stems(folder, part)} for part in ("test/defective", "test/likely_defective")}
        assert all(cell <= 160 for found in cells.values() for cell in found)
        assert {cell % 6 for cell in cells["train/good"] | cells["test/good"]} == {0, 1, 2}
        assert {cell % 6 for cell in cells["test/likely_defective"]} == {4}
        assert {cell % 6 for cell in cells["test/defective"]} == {5}
        assert not {cell // 36 for cell in cells["train/good"]} & {cell // 36 for cell in cells["test/good"]}

    def test_the_two_kinds_are_apart(self, root: Path, place: Path, write: Write) -> None:
        self.write_cells(root / "elpv", write)
        found = [prepare("elpv", kind, root=root, place=place).folder for kind in ("mono", "poly")]
        mono, poly = ({path.name for path in folder.rglob("*.png")} for folder in found)
        assert mono and poly and not mono & poly

    def test_a_line_that_is_none_is_named(self, root: Path, place: Path, write: Write) -> None:
        self.write_cells(root / "elpv", write)
        table = root / "elpv/labels.csv"
        table.write_text(table.read_text() + "images/cell9999.png high mono\n")
        with pytest.raises(FolderError, match="line 201"):
            prepare("elpv", "mono", root=root, place=place)

    def test_images_that_are_not_there_are_named(self, root: Path, place: Path, write: Write) -> None:
        self.write_cells(root / "elpv", write)
        (root / "elpv/images/cell0007.png").unlink()
        with pytest.raises(FolderError, match="cell0007"):
            prepare("elpv", "mono", root=root, place=place)


class TestMagneticTile:
    @pytest.fixture
    def home(self, root: Path, write: Write) -> Path:
        home = root / "magnetic_tile"
        rng = np.random.default_rng(0)
        (home / "MT_Free/Imgs").mkdir(parents=True)
        for tile in range(20):
            coarse = rng.integers(0, 256, (6, 6), np.uint8)
            for shot in range(3):
                pixels = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC), np.int16)
                noisy = np.clip(pixels + rng.integers(-2, 3, pixels.shape), 0, 255).astype(np.uint8)
                Image.fromarray(noisy).save(home / f"MT_Free/Imgs/exp{shot}_num_{tile}.jpg", quality=95)
                write(home / f"MT_Free/Imgs/exp{shot}_num_{tile}.png", mask=0)
        for shot in range(4):
            write(home / f"MT_Crack/Imgs/exp1_num_{shot}.jpg", 50 + shot)
            write(home / f"MT_Crack/Imgs/exp1_num_{shot}.png", mask=1)
        write(home / "MT_Fray/Imgs/exp1_num_1.jpg", 60)
        (home / "README.md").write_text("about")
        return home

    def test_masks_go_with_defects(self, home: Path, root: Path, place: Path) -> None:
        found = labelled_test(prepare("magnetic_tile", "tile", root=root, place=place).folder)
        masks = {image.label: image.mask for image in found}
        assert set(masks) == {"good", "crack", "fray"}
        assert masks["good"] is None and masks["fray"] is None and masks["crack"] is not None
        values = np.asarray(Image.open(masks["crack"]))
        assert set(np.unique(values[:, :8])) == {255} and set(np.unique(values[:, 8:])) == {0}

    def test_shots_of_one_tile_stay_on_one_side(self, home: Path, root: Path, place: Path) -> None:
        folder = prepare("magnetic_tile", "tile", root=root, place=place).folder
        train, good = ({stem.rpartition("_")[2] for stem in stems(folder, part)} for part in ("train/good", "test/good"))
        assert train and good and not train & good

    def test_a_handful_cannot_be_split(self, root: Path, place: Path, write: Write) -> None:
        write(root / "magnetic_tile/MT_Free/Imgs/1.jpg")
        with pytest.raises(FolderError, match="at least 10"):
            prepare("magnetic_tile", "tile", root=root, place=place)


class TestPed1:
    """Two test clips of ten frames; from the fourth frame on, clip 2 has an anomaly, clip 1 from the eighth."""

    @pytest.fixture(params=["ucsd_ped1/UCSDped1", "UCSD_Anomaly_Dataset.v1p2/UCSDped1", "ucsd_ped1"])
    def home(self, root: Path, write: Write, request: pytest.FixtureRequest) -> Path:
        home = root / request.param
        for clip, begin in (("Test001", 8), ("Test002", 4)):
            for frame in range(1, 11):
                write(home / f"Test/{clip}/{frame:03d}.tif", frame)
                write(home / f"Test/{clip}_gt/{frame:03d}.bmp", mask=255 if frame >= begin else 0)
        for frame in range(1, 6):
            write(home / f"Train/Train001/{frame:03d}.tif", 100 + frame)
        (home / "Train/Train001/._001.tif").write_bytes(b"left by a Mac")
        return home

    @staticmethod
    def anomalous(folder: Path) -> set[str]:
        return stems(folder, "test/anomaly")

    def test_masks_tell_the_frames(self, home: Path, root: Path, place: Path) -> None:
        prepared = prepare("ucsd_ped1", "ped1", root=root, place=place)
        assert self.anomalous(prepared.folder) == {f"Test001_{n:03d}" for n in (8, 9, 10)} | {f"Test002_{n:03d}" for n in range(4, 11)}
        assert len(stems(prepared.folder, "test/good")) == 10
        assert stems(prepared.folder, "train/good") == {f"Train001_{n:03d}" for n in range(1, 6)}
        found = labelled_test(prepared.folder)
        assert all((image.mask is not None) == (image.label == "anomaly") for image in found)

    def test_clips_are_groups(self, home: Path, root: Path, place: Path) -> None:
        prepared = prepare("ucsd_ped1", "ped1", root=root, place=place, limit=4)
        tested = {path.relative_to(prepared.folder).as_posix() for path in (prepared.folder / "test").rglob("*.tif")}
        assert set(prepared.groups) == tested
        assert {name.split("/")[-1][:7]: group for name, group in prepared.groups.items()} == {"Test001": "Test001", "Test002": "Test002"}

    def test_the_official_list_goes_before_masks(self, home: Path, root: Path, place: Path) -> None:
        (home / "Test/UCSDped1.m").write_text(
            "% TestVideoFile{end+1}.gt_frame = [1:9];\nTestVideoFile = {};\n"
            "TestVideoFile{end+1}.gt_frame = [9:10];\nTestVideoFile{end+1}.gt_frame = [1:2, 6:7];\n"
        )
        folder = prepare("ucsd_ped1", "ped1", root=root, place=place).folder
        expected = {f"Test001_{n:03d}" for n in (9, 10)} | {f"Test002_{n:03d}" for n in (1, 2, 6, 7)}
        assert self.anomalous(folder) == expected
        without = {image.path.stem for image in labelled_test(folder) if image.label == "anomaly" and image.mask is None}
        assert without == {"Test002_001", "Test002_002"}

    def test_curated_labels_go_before_all(self, home: Path, root: Path, place: Path) -> None:
        labels = {"Test001": {f"{n:03d}": int(n == 1) for n in range(1, 10)}}
        (home / "frame_labels.json").write_text(json.dumps(labels))
        folder = prepare("ucsd_ped1", "ped1", root=root, place=place).folder
        assert self.anomalous(folder) == {"Test001_001"}
        assert stems(folder, "test/good") == {f"Test001_{n:03d}" for n in range(2, 10)}

    @pytest.mark.parametrize("content", ["{", "[1, 2]", '{"Test001": [1]}'])
    def test_damaged_labels_are_explained(self, home: Path, root: Path, place: Path, content: str) -> None:
        (home / "frame_labels.json").write_text(content)
        with pytest.raises(FolderError, match="frame_labels"):
            prepare("ucsd_ped1", "ped1", root=root, place=place)

    def test_a_clip_of_which_nothing_is_known_is_left_out(self, home: Path, root: Path, place: Path, write: Write) -> None:
        write(home / "Test/Test003/001.tif", 3)
        folder = prepare("ucsd_ped1", "ped1", root=root, place=place).folder
        assert not {path for path in folder.rglob("*") if "Test003" in path.name}


def test_clips_without_any_label_are_refused(root: Path, place: Path, write: Write) -> None:
    write(root / "ucsd_ped1/UCSDped1/Train/Train001/001.tif")
    write(root / "ucsd_ped1/UCSDped1/Test/Test001/001.tif")
    with pytest.raises(FolderError, match="no labels"):
        prepare("ucsd_ped1", "ped1", root=root, place=place)
