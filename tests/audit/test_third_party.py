"""Real files by other hands, audited with the options that each needs."""

import gzip
import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from vivavoce.artifacts import Preprocessing, open_model
from vivavoce.audit.plan import Settings
from vivavoce.audit.protocol import resolve
from vivavoce.audit.run import robustness
from vivavoce.errors import VivavoceError

IMAGENET = Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.225, 0.225, 0.225))
CIFAR = Preprocessing(mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))
COUNT = 60

# File, data, options, clean accuracy that its source saw.
FILES = [
    ("marabou-cifar10__cifar10_small", "cifar10", Preprocessing(), 0.61),
    ("marabou-cifar10__cifar10_medium", "cifar10", Preprocessing(), 0.69),
    ("oval21__cifar_deep_kw", "cifar10", IMAGENET, 0.61),
    ("oval21__cifar_wide_kw", "cifar10", IMAGENET, 0.67),
    ("vit_pgd_2_3_16", "cifar10", CIFAR, 0.63),
    ("vit_ibp_3_3_8", "cifar10", CIFAR, 0.64),
    ("cifar10_anshaj", "cifar10", Preprocessing(), 0.68),
    ("verivital__Convnet_avgpool", "mnist", Preprocessing(), 0.97),
    ("verivital__Convnet_maxpool", "mnist", Preprocessing(), 0.98),
    ("eran__mnist_relu_9_200", "mnist", Preprocessing(), 0.965),
    ("mnist_hyochan/mnist", "mnist", Preprocessing(), 0.99),
    ("mnist_wuhan_lg", "mnist", Preprocessing(), 0.83),
    ("akinobu_model", "mnist", Preprocessing(), None),
    ("fashion_bogdi", "mnist", Preprocessing(mean=(0.5,), std=(0.5,)), None),
    ("fashion_edwin19", "mnist", Preprocessing(output_name="output"), None),
    ("mnist_brandonki", "mnist", Preprocessing(size=(5, 5), channels="grey"), None),
    ("mnist_brandonki_quant", "mnist", Preprocessing(size=(5, 5), channels="grey"), None),
]


@pytest.fixture(scope="session")
def sets(shared, tmp_path_factory):
    """A few test images of MNIST and CIFAR-10 as `.npz`."""
    folder = tmp_path_factory.mktemp("sets")
    home = shared / "data" / "mnist-t10k"
    read = {
        n: gzip.decompress((home / f"t10k-{n}-ubyte.gz").read_bytes()) for n in ("images-idx3", "labels-idx1")
    }
    images = np.frombuffer(read["images-idx3"], np.uint8, offset=16).reshape(-1, 28, 28)
    labels = np.frombuffer(read["labels-idx1"], np.uint8, offset=8).astype(int)
    np.savez(folder / "mnist.npz", images=images[:COUNT], labels=labels[:COUNT])
    pixels, classes = zip(*_cifar10(shared / "data" / "cifar10-jpeg.tar.gz"), strict=True)
    np.savez(folder / "cifar10.npz", images=np.stack(pixels), labels=np.array(classes))
    return {name: str(folder / f"{name}.npz") for name in ("mnist", "cifar10")}


def _cifar10(path):
    """The first test images of each class, with the number of the class."""
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    taken = dict.fromkeys(names, 0)
    with tarfile.open(path) as archive:
        for member in archive:
            parts = member.name.split("/")
            if len(parts) == 4 and parts[1] == "test" and taken[parts[2]] < COUNT // 10:
                taken[parts[2]] += 1
                data = archive.extractfile(member)
                assert data is not None
                yield np.asarray(Image.open(io.BytesIO(data.read())).convert("RGB")), names.index(parts[2])


@pytest.mark.usefixtures("few_probes")
@pytest.mark.parametrize(("name", "data", "options", "accuracy"), FILES, ids=[f[0] for f in FILES])
def test_every_file_audits(third_party, sets, name, data, options, accuracy):
    model = open_model(third_party / f"{name}.onnx", options)
    protocol = resolve("paper", attacks=["fgsm"], epsilons=[0.02], space="pixel")
    report = robustness(model, Settings(protocol=protocol, data=sets[data], limit=0)).report
    assert report.data.n == COUNT
    if accuracy is not None:
        low, high = report.clean.interval
        assert low <= accuracy <= high
        assert report.rows[0].gradient_evaluations > 0
        assert report.rows[0].accuracy < report.clean.accuracy


def test_two_inputs_are_refused_with_the_reason(third_party):
    with pytest.raises(VivavoceError, match="2 inputs"):
        open_model(third_party / "mnist_akinobu_tf2onnx.onnx")


def test_two_outputs_ask_for_a_name(third_party):
    with pytest.raises(VivavoceError, match="--output-name"):
        open_model(third_party / "fashion_edwin19.onnx")


def test_torchscript_by_other_hands_is_told_apart_from_a_pickle(shared):
    folder = shared / "third-party" / "torchscript"
    entry = open_model(folder / "mnist_bsusheel_scripted.pt").manifest.input
    assert (entry.channels, entry.height, entry.width) == (1, 28, 28)
    with pytest.raises(VivavoceError, match="not a TorchScript file"):
        open_model(folder / "not-torchscript.pt")
