"""Names, files, and what a study must have for a figure."""

import subprocess
import sys
import xml.etree.ElementTree as ET

import msgspec
import pytest
from PIL import Image

from vivavoce.errors import VivavoceError
from vivavoce.study.figures import FIGURES, draw
from vivavoce.study.plan import read_plan, shipped


def test_every_shipped_study_names_figures_that_there_are():
    for study in shipped():
        figures = read_plan(study).figures
        assert figures
        assert set(figures) <= set(FIGURES)


def test_naming_figures_imports_no_framework():
    script = "import sys, vivavoce.study.figures; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"torch", "matplotlib", "numpy", "sklearn"} & set(done.stdout.split())


def test_light_and_dark_have_their_ground(labels, tmp_path):
    for dark, ground in ((False, (255, 255, 255)), (True, (21, 22, 27))):
        draw("curves", labels, tmp_path / "a.png", dark)
        with Image.open(tmp_path / "a.png") as picture:
            assert picture.convert("RGB").getpixel((2, 2)) == ground
            assert picture.width > 1000


def test_the_same_study_gives_the_same_file(labels, tmp_path):
    for ending in ("svg", "pdf"):
        files = [tmp_path / f"{k}.{ending}" for k in "ab"]
        for file in files:
            draw("curves", labels, file)
        assert files[0].read_bytes() == files[1].read_bytes()
    assert ET.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("figure", "file", "complaint"),
    [
        ("robustnes", "a.png", "no figure 'robustnes'; did you mean robustness"),
        ("labels", "a.gif", "a.gif: the file name must end in one of .png, .svg, .pdf"),
        ("labels", "a", "must end in one of .png"),
        ("labels", "nowhere/a.png", "nowhere: no such folder"),
        ("features", "a.png", "set `snapshots` in its plan"),
        ("learned-curves", "a.png", "compares labels.*lwal-speed; figures of this study: robustness, labels"),
        ("learned-curves-train-mode", "a.png", "compares labels"),
        ("dendrograms", "a.png", "compares labels"),
    ],
)
def test_refusals_of_a_study_of_labels(labels, tmp_path, figure, file, complaint):
    with pytest.raises(VivavoceError, match=complaint) as error:
        draw(figure, labels, tmp_path / file)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("a*"))


@pytest.mark.parametrize(
    ("figure", "complaint"),
    [
        ("robustness", r"audits nothing; give its plan an \[\[audit\]\] table"),
        ("labels", "labels are learned"),
        ("data", "one data level"),
    ],
)
def test_refusals_of_a_study_of_methods(methods, tmp_path, figure, complaint):
    with pytest.raises(VivavoceError, match=complaint) as error:
        draw(figure, methods, tmp_path / "a.png")
    assert "\n" not in str(error.value)


def test_no_finished_cell(tmp_path, label_plan, write, fill_labels):
    names = [cell.name for cell in label_plan.cells()]
    nothing = write(tmp_path, label_plan, fill_labels, unfinished=names)
    for figure in FIGURES:
        with pytest.raises(VivavoceError, match=r"no cell has finished yet.*`vivavoce study run`"):
            draw(figure, nothing, tmp_path / "a.png")


def test_an_unfinished_study_says_so(tmp_path, label_plan, write, fill_labels, style):
    from vivavoce.study.figures.curves import draw as curves

    study = write(tmp_path, label_plan, fill_labels, unfinished=["digits-resnet8-speech-1"])
    texts = " ".join(text.get_text() for text in curves(study, style).texts)
    assert "mean and range of 1 to 2 seeds" in texts
    assert "11 of 12 cells finished" in texts


def test_amounts_of_data_that_are_still_to_come(tmp_path, label_plan, write, fill_labels):
    later = [cell.name for cell in label_plan.cells() if cell.level == 100]
    study = write(tmp_path, label_plan, fill_labels, unfinished=later)
    with pytest.raises(
        VivavoceError, match=r"only one data level has finished cells; continue with `vivavoce study run`"
    ):
        draw("data", study, tmp_path / "a.png")


def test_a_single_epsilon_is_no_curve(tmp_path, label_plan, write, fill_labels, template):
    def fill(cell, folder):
        fill_labels(cell, folder)
        row = template.rows[0]
        protocol = msgspec.structs.replace(
            template.protocol, attacks=(row.attack,), epsilons=(row.epsilon,), targeted=(row.targeted,)
        )
        one = msgspec.structs.replace(template, rows=(row,), protocol=protocol)
        (folder / cell.audit[0].report).write_bytes(one.to_json())

    with pytest.raises(VivavoceError, match="several epsilons"):
        draw("robustness", write(tmp_path, label_plan, fill), tmp_path / "a.png")
