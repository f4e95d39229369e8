import numpy as np
import pytest

rng = np.random.default_rng(5)
x = rng.standard_normal((2, 3, 4)).astype(np.float32)
image = rng.standard_normal((1, 4, 4, 6)).astype(np.float32)


def ints(*numbers):
    return np.array(numbers, np.int64)


CASES = [
    ("Reshape", {"x": x, "shape": ints(0, -1)}, {}),
    ("Flatten", {"x": x}, {"axis": 2}),
    ("Squeeze", {"x": x[:, :1], "axes": ints(1)}, {}),
    ("Unsqueeze", {"x": x, "axes": ints(0, -1)}, {}),
    ("Identity", {"x": x}, {}),
    ("Transpose", {"x": x}, {"perm": [2, 0, 1]}),
    ("Transpose", {"x": x}, {}),
    ("Expand", {"x": x[:, :1], "shape": ints(3, 1, 5, 1)}, {}),
    ("Tile", {"x": x, "repeats": ints(1, 2, 3)}, {}),
    ("Concat", {"xa": x, "b": x, "xc": x[:, :1]}, {"axis": -2}),
    ("Slice", {"x": image, "s": ints(1, 0), "e": ints(3, 100), "a": ints(2, -1)}, {}),
    ("Slice", {"x": image, "s": ints(0, 1), "e": ints(4, 6), "a": ints(2, 3), "p": ints(2, 3)}, {}),
    ("Slice", {"x": image, "s": ints(-1, 4), "e": ints(-100, 0), "a": ints(2, 3), "p": ints(-1, -2)}, {}),
    ("Slice", {"x": x, "s": ints(0, 1, 2), "e": ints(2, 3, 4)}, {}),
    ("Pad", {"x": x, "pads": ints(0, 1, 2, 0, 0, 1)}, {}),
    ("Pad", {"x": x, "pads": ints(0, 1, 2, 0, 0, 1), "value": np.array(3.0, np.float32)}, {}),
    ("Pad", {"x": image, "pads": ints(0, 0, 1, 2, 0, 0, 3, 1)}, {"mode": "reflect"}),
    ("Pad", {"x": image, "pads": ints(0, 0, 1, 2, 0, 0, 3, 1)}, {"mode": "edge"}),
    ("Pad", {"x": image, "pads": ints(1, 2), "v": None, "a": ints(3)}, {}),
    ("DepthToSpace", {"x": image}, {"blocksize": 2}),
    ("DepthToSpace", {"x": image}, {"blocksize": 2, "mode": "CRD"}),
    ("SpaceToDepth", {"x": image}, {"blocksize": 2}),
    ("Trilu", {"x": x}, {"upper": 0}),
    ("Trilu", {"x": x, "k": np.array(1, np.int64)}, {}),
    ("CumSum", {"x": x, "axis": np.array(1, np.int64)}, {}),
    ("CumSum", {"x": x, "axis": np.array(-1, np.int64)}, {"exclusive": 1, "reverse": 1}),
    ("Dropout", {"x": x}, {}),
]


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes"), CASES, ids=[f"{k}-{row[0]}" for k, row in enumerate(CASES)]
)
def test_rule(check_rule, operator, inputs, attributes):
    check_rule(operator, inputs, attributes)


@pytest.mark.parametrize("parts", [ints(1, 2), ints(3, 0)])
def test_split_with_an_unused_output(check_rule, parts):
    check_rule("Split", {"x": x, "parts": parts}, {"axis": 1}, outputs=2, second_opinion=False)


def test_pad_that_cuts(gradients_of):
    found = gradients_of("Pad", {"x": x, "pads": ints(0, -1, 1, 0, 2, -2)})["x"]
    weights = np.random.default_rng(7).standard_normal((2, 4, 3)).astype(np.float32)
    expected = np.zeros_like(x)
    expected[:, 1:, :2] = weights[:, :2, 1:]
    np.testing.assert_array_equal(found, expected)


MODES = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"]


@pytest.mark.parametrize("coordinates", MODES)
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("scales", [(1, 1, 2, 2), (1, 1, 0.5, 0.75), (1, 1, 1.5, 1)], ids=str)
def test_resize(check_linear, mode, coordinates, scales):
    inputs = {"x": image, "roi": None, "scales": np.array(scales, np.float32)}
    check_linear("Resize", inputs, {"mode": mode, "coordinate_transformation_mode": coordinates}, opset=19)


def test_resize_to_a_size_of_some_axes(check_linear):
    inputs = {"x": image, "roi": None, "scales": None, "sizes": ints(7, 5)}
    check_linear("Resize", inputs, {"mode": "linear", "axes": [3, 2]})


def test_resize_of_a_region(check_linear):
    roi = np.array([0, 0, 0.2, 0.1, 1, 1, 0.8, 1.3], np.float32)
    inputs = {"x": image, "roi": roi, "scales": None, "sizes": ints(1, 4, 4, 6)}
    attributes = {
        "mode": "linear",
        "coordinate_transformation_mode": "tf_crop_and_resize",
        "extrapolation_value": 2.0,
    }
    check_linear("Resize", inputs, attributes)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_resize_with_antialias(check_linear, mode):
    inputs = {"x": image, "roi": None, "scales": np.array([1, 1, 0.5, 0.5], np.float32)}
    check_linear("Resize", inputs, {"mode": mode, "antialias": 1})
