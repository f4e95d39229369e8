"""What a study is: the shipped files, budgets, other values, what is refused."""

import pytest

from vivavoce.errors import VivavoceError
from vivavoce.study.methods import METHODS
from vivavoce.study.plan import BUDGETS, read_plan, shipped
from vivavoce.study.work import choose
from vivavoce.train.adversarial import Adversarial, make_adversarial
from vivavoce.train.labels.kinds import KINDS


@pytest.mark.parametrize("study", shipped())
def test_every_shipped_study_has_all_budgets(study):
    paper, short, smoke = (read_plan(study, budget) for budget in BUDGETS)
    assert len(paper.cells()) > len(short.cells()) > len(smoke.cells()) > 0
    assert {cell.data for cell in smoke.cells()} == {"digits"}
    assert {cell.kind for cell in paper.cells()} <= KINDS.keys() | METHODS.keys() | paper.voices.keys()
    folders = [cell.folder for cell in paper.cells()]
    assert len(set(folders)) == len(folders)
    assert paper.title
    assert paper.figures


def test_the_papers_grids():
    """Chen et al. 2021: three encoders, three seeds, two data sets; five seeds and six levels in figure 4."""
    robustness, data = read_plan("robustness"), read_plan("data-efficiency")
    assert {cell.encoder for cell in robustness.cells()} == {"vgg19", "resnet32", "resnet110"}
    assert data.grid.level == (1, 2, 4, 8, 10, 20)
    assert len(data.grid.seed) == 5
    assert [audit.protocol for audit in robustness.audit] == ["paper", "standard"]
    assert read_plan("lwal-speed").grid.seed == (12, 123, 1234)


def test_little_data_comes_first():
    levels = [cell.level for cell in read_plan("student-report").cells()]
    assert levels == sorted(levels)
    assert set(levels) == {1, 4, 100}


FILE = """
title = "mine"
recipe = "fast"
[grid]
dataset = ["digits"]
label = ["speech"]
seed = [0, 1]
[set]
epochs = 4
ema = 0.5
[budget.small]
[budget.small.grid]
seed = [3]
[budget.small.set]
epochs = 1
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(FILE)
    return path


def test_a_budget_replaces_keys_and_the_command_line_both(file):
    plan = read_plan(str(file), "small")
    assert (plan.name, plan.grid.seed, plan.set) == ("mine", (3,), {"epochs": 1, "ema": 0.5})
    plan = read_plan(str(file), "small", {"seed": ["7", "8"], "label": ["constant"]}, {"epochs": 2})
    assert [(cell.label, cell.seed) for cell in plan.cells()] == [("constant", 7), ("constant", 8)]
    assert plan.set == {"epochs": 2, "ema": 0.5}


def test_cells_are_known_by_what_decides_their_outcome(file):
    (a, b), (c, d) = read_plan(str(file)).cells(), read_plan(str(file), changes={"epochs": 5}).cells()
    assert len({cell.folder for cell in (a, b, c, d)}) == 4
    again = read_plan(str(file), grid={"seed": ["1", "0", "5"]}).cells()
    assert {a.folder, b.folder} < {cell.folder for cell in again}


@pytest.mark.parametrize(
    ("study", "budget", "grid", "changes", "complaint"),
    [
        ("tabel1", "paper", {}, {}, "no study 'tabel1'; did you mean table1?"),
        ("nowhere.toml", "paper", {}, {}, "no such file"),
        ("table1", "huge", {}, {}, "no budget 'huge'; it has paper, short, gpu, smoke"),
        ("table1", "smoke", {"colour": ["red"]}, {}, "the axes are dataset, level, encoder"),
        ("table1", "smoke", {"seed": ["one"]}, {}, "'one' is not a whole number"),
        ("table1", "smoke", {"label": ["loud"]}, {}, "no label 'loud'; choose one of category"),
        ("lwal-speed", "smoke", {"method": ["lwal"]}, {}, "must have std among them"),
        ("table1", "smoke", {}, {"epochs": -1}, "epochs must be positive"),
    ],
)
def test_what_is_no_study_is_told_in_one_line(study, budget, grid, changes, complaint):
    with pytest.raises(VivavoceError, match=complaint) as told:
        read_plan(study, budget, grid, changes)
    assert "\n" not in str(told.value)


LABELLED = "[grid]\ndataset = ['digits']\nlabel = ['speech']\n"


@pytest.mark.parametrize("epsilon", ["8/255", 0.1, "0.1"])
def test_adversarial_training_reaches_the_run(epsilon, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f"{LABELLED}[adversarial]\nmethod = 'pgd'\nepsilon = {epsilon!r}\nsteps = 3\n")
    (cell,) = read_plan(str(path)).cells()
    plan = make_adversarial(**choose(cell).adversarial)
    assert plan == Adversarial("pgd", 8 / 255 if epsilon == "8/255" else 0.1, 3)
    path.write_text(LABELLED)
    (ordinary,) = read_plan(str(path)).cells()
    assert not choose(ordinary).adversarial
    assert ordinary.folder != cell.folder


SPOKEN = """
[grid]
dataset = ["digits"]
label = ["category", "german"]
[voices.german]
engine = "espeak-ng"
language = "de"
words = { 0 = "null", 1 = "eins" }
"""


def test_a_voice_is_a_label_in_its_own_words(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(SPOKEN)
    category, german = read_plan(str(path)).cells()
    assert (category.voice, german.kind) == (None, "german")
    choices = choose(german)
    assert choices.label == "speech"
    assert choices.speech["language"] == "de"
    with pytest.raises(VivavoceError, match="no word for the class '2'"):
        choices.labels(("0", "1", "2"))
    with pytest.raises(VivavoceError, match="there is no class '1'"):
        choices.labels(("0",))
    path.write_text(SPOKEN.replace('1 = "eins"', '1 = "zwei"'))
    assert read_plan(str(path)).cells()[1].folder != german.folder


def test_the_words_of_the_languages_are_those_of_the_digits():
    """Every voice but the English ones names every class, each with a word of its own."""
    for name, voice in read_plan("languages").voices.items():
        if voice.language != "en":
            assert [*voice.words] == [*"0123456789"], name
            assert len(set(voice.words.values())) == 10, name


def test_cells_without_adversarial_training_keep_their_folders():
    """Finished cells of older studies are found."""
    assert read_plan("student-report", "smoke").cells()[0].folder == "digits-resnet8-category-10--0-e01d4b90"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[grid", "not a study"),
        ("recipe = 'fast'", "missing required field `dataset`"),
        ("[grid]\ndataset = ['digits']", "neither labels nor methods"),
        ("[grid]\ndataset = ['digits']\nlabel = ['speech']\ncolour = 1", "unknown field `colour`"),
        ("[grid]\ndataset = []\nlabel = ['speech']", "no dataset"),
        ("[grid]\ndataset = ['digits']\nlabel = ['speech']\nlevel = [0]", "level"),
        (f"{LABELLED}[adversarial]\nmethod = 'cw'", "--adversarial cw: give pgd, fgsm, trades"),
        (f"{LABELLED}[adversarial]\nmethod = 'pgd'\nepsilon = 8", "above 0 and below 1"),
        (f"{LABELLED}[adversarial]\nmethod = 'pgd'\nsize = 8", "unknown field `size`"),
        (f"{LABELLED}[voices.speech]\nengine = 'flite'", "the name of a label kind"),
        (f"{LABELLED}[voices.mine]\nengine = 'flight'", "no speech engine 'flight'; did you mean flite"),
        (f"{LABELLED}[voices.mine]\nlanguage = 'de'", "missing required field `engine`"),
        (f"reach = [90]\n{LABELLED}", "reach 90: give accuracies"),
        (f"{LABELLED}[adversarial]\nepsilon = 0.1", "missing required field `method`"),
        (
            f"{LABELLED.replace('speech', 'category')}[adversarial]\nmethod = 'pgd'\nloss = 'smooth-l1'",
            "smooth-l1 needs a label bank, which category lacks; take category out",
        ),
        (f"{LABELLED}[adversarial]\nmethod = 'pgd'\nepsilon = 0", "above 0 and below 1"),
        (f"{LABELLED}[adversarial]\nmethod = 'pgd'\nsteps = 0", "at least 1"),
        ("adversarial = 'pgd'\n[grid]\ndataset = ['digits']\nlabel = ['speech']", "adversarial"),
        ("[grid]\ndataset = ['digits']\nmethod = ['std']\n[adversarial]\nmethod = 'pgd'", "is for labels"),
    ],
)
def test_a_file_that_is_none(tmp_path, text, complaint):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(VivavoceError, match=complaint):
        read_plan(str(path))
