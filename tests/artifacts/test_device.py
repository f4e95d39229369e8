"""Arrays that stay on a device, against numpy. The device is onnxruntime's CPU provider."""

import numpy as np
import onnxruntime
import pytest

from vivavoce.artifacts.device import DeviceArray, expression, on_host, rounded_up
from vivavoce.errors import VivavoceError

SHAPE = (4, 3, 5, 6)
ODD = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, 2.5, -0.5, 1e-42, 3e38)
SMALL = [
    2,
    0.3,
    np.float32(0.7),
    *([np.float64(0.1)] if np.lib.NumpyVersion(np.__version__) >= "2.0.0" else []),
    np.linspace(0.1, 2, 3, dtype=np.float32).reshape(3, 1, 1),
    np.linspace(-1, 2, 4, dtype=np.float32).reshape(4, 1, 1, 1),
    np.linspace(-1, 2, 4).reshape(4, 1, 1, 1),
]
"""What meets images in an attack: numbers, radii, steps of each image. Before numpy 2 the type of its own
numbers had less say."""


def images(shape=SHAPE, odd=True, seed=0, dtype: type = np.float32) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    if odd and found.size:
        found.flat[: len(ODD)] = ODD
    return found


def put(array: np.ndarray) -> DeviceArray:
    return DeviceArray.upload(array, "cpu")


def same(found, expected) -> None:
    """The same values, type and shape: NaN is NaN, and zeros may differ in their sign."""
    found = on_host(found)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found, expected)


def both(operation, *arrays) -> None:
    """The operation on device arrays and on numpy's; a second run has the session already."""
    with np.errstate(all="ignore"):
        expected = operation(*arrays)
    for _ in range(2):
        same(operation(*map(put, arrays)), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "ufunc", [np.negative, np.abs, np.sign, np.ceil, np.floor, np.rint, np.trunc, np.isfinite]
)
def test_operations_on_one_array(ufunc, dtype):
    both(ufunc, images(dtype=dtype))
    both(ufunc, images((0, 3, 5, 6), dtype=dtype))


@pytest.mark.parametrize("other", SMALL, ids=repr)
@pytest.mark.parametrize(
    "ufunc", [np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.equal, np.not_equal,
              np.less, np.less_equal, np.greater, np.greater_equal]
)  # fmt: skip
def test_operations_with_small_arrays_have_the_types_of_numpy(ufunc, other):
    with np.errstate(all="ignore"):
        both(lambda array: ufunc(array, other), images())
        both(lambda array: ufunc(other, array), images())
        if isinstance(other, np.ndarray) and len(other) == 4:
            return
        both(lambda array: ufunc(array, other), images((0, 3, 5, 6)))


def test_operators_between_arrays_on_the_device():
    both(lambda a, b: 0.75 * (a - b) + (1 - 0.75) * (b - a) / a, images(), images(seed=1))
    both(lambda a, b: np.maximum(a, b) * np.float32(-1), images(), images(seed=1, dtype=np.float64))
    both(lambda a, b: a == b, images(), images())
    both(lambda a, b: a != b, images(), images())


def test_functions_of_numpy():
    flags = np.array([True, False, True, False]).reshape(4, 1, 1, 1)
    both(lambda a, b: np.where(a > 0, a, b), images(), images(seed=1))
    both(lambda a: np.where(np.isfinite(a), a, 0), images())
    both(lambda a, b: np.where(flags, a, b), images(), images(seed=1, dtype=np.float64))
    both(lambda a: np.where(flags, images(seed=2), a), images())
    both(lambda a: np.clip(a, 0, 1), images())
    radius = np.array([0.1, 0.2, 0.3], np.float32).reshape(3, 1, 1)
    both(lambda a, b: np.clip(a, b - radius, b + radius), images(odd=False), images(odd=False, seed=1))
    both(lambda a, b: np.concatenate([a, b]), images(), images((2, 3, 5, 6)))
    both(lambda a: np.concatenate([a]), images())


def test_types_and_shapes():
    both(lambda a: a.astype(np.float64), images())
    both(lambda a: a.astype(np.float32), images(dtype=np.float64))
    both(lambda a: (a > 0).astype(np.float32), images())
    both(lambda a: a.reshape(4, -1), images())
    both(lambda a: a.reshape(0, 90), images((0, 3, 5, 6)))
    array = put(images())
    assert (array.shape, array.dtype, array.ndim, len(array)) == (SHAPE, np.float32, 4, 4)


ROWS = [
    np.array([2, 0]),
    np.array([3, -1, 3]),
    np.arange(4),
    np.array([], np.int64),
    np.array([True, False, False, True]),
    np.zeros(4, bool),
    np.ones(4, bool),
    slice(0, 4),
    slice(1, 3),
    slice(2, 9),
    slice(4, 8),
]


@pytest.mark.parametrize("rows", ROWS, ids=repr)
def test_rows_are_taken_and_assigned(rows):
    both(lambda a: a[rows], images())
    if not isinstance(rows, slice) and rows.dtype != bool and len(set(rows % 4)) < len(rows):
        with pytest.raises(TypeError, match="only once"):
            put(images())[rows] = images()[rows]
        return

    def assign(a, b):
        changed = a.copy()
        changed[rows] = b[rows]
        return changed

    both(assign, images(), images(seed=1))
    array = put(images())
    array[rows] = images(seed=1)[rows]  # from the host
    same(array, assign(images(), images(seed=1)))
    with pytest.raises(IndexError):
        array[np.array([7])]


def test_a_copy_is_independent_both_ways():
    array = put(images())
    other = array.copy()
    other[np.array([1])] = images(seed=1)[:1]
    array[np.array([2])] = images(seed=2)[:1]
    first, second = images(), images()
    second[1], first[2] = images(seed=1)[0], images(seed=2)[0]
    same(array, first)
    same(other, second)
    host = images()
    uploaded, step = put(host), np.ones((4, 1, 1, 1), np.float32)
    moved = uploaded * step
    host[:], step[:] = 7, 7  # after the operation, before its result is needed
    same(moved, images())
    moved.numpy()[:] = 9
    same(moved, images())


@pytest.mark.parametrize("shape", [SHAPE, (0, 3, 5, 6), (4, 1, 1, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_leave_one_number_for_each_row(shape, keepdims):
    some = images(shape, odd=False)
    both(lambda a: np.abs(a).max((1, 2, 3), keepdims=keepdims), some)
    both(lambda a: (a > 0).all((1, 2, 3), keepdims=keepdims), some)
    both(lambda a: (a > 0).any((1, 2, 3), keepdims=keepdims), some)
    both(lambda a: a.reshape(len(a), int(np.prod(shape[1:]))).max(1), some)
    found, expected = (a.sum((1, 2, 3), keepdims=keepdims) for a in (put(some), some))
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    flat = put(some).astype(np.float64).reshape(len(some), int(np.prod(shape[1:])))
    square = np.einsum("nd,nd->n", flat, flat)
    np.testing.assert_allclose(square, (some.astype(np.float64) ** 2).sum((1, 2, 3)), rtol=1e-14)


@pytest.mark.parametrize("place", range(5))
def test_a_maximum_sees_every_nan(place):
    row = np.array([[1, 2, -1, 0, 3]], np.float32)
    row[0, place] = np.nan
    both(lambda a: a.max(1), row)
    both(lambda a: a.max(1), np.full((2, 5), -np.inf, np.float32))


@pytest.mark.parametrize(
    "wrong",
    [
        np.asarray,
        np.sqrt,
        np.median,
        bool,
        list,
        lambda a: a[0],
        lambda a: a[:, 0],
        lambda a: a.sum(1),
        lambda a: (a > 0).sum((1, 2, 3)),
        lambda a: a.any((1, 2, 3)),
        lambda a: a + "x",
        lambda a: np.add.reduce(a),
        lambda a: np.add(a, a, out=images()),
        lambda a: np.einsum("nchw->n", a),
        lambda a: np.concatenate([a, images()]),
        lambda a: a.__setitem__(slice(0, 2), images()),
    ],
)
def test_anything_else_is_refused(wrong):
    with pytest.raises(TypeError):
        wrong(put(images()))


def test_a_device_that_fails_is_one_line(monkeypatch):
    def full(*given) -> None:
        raise RuntimeError("Failed to allocate memory for requested buffer\nat some place")

    array = put(images())
    monkeypatch.setattr(onnxruntime.InferenceSession, "run_with_iobinding", full)
    with pytest.raises(VivavoceError, match=r"^device cpu: .* requested buffer; .* smaller --batch-size$"):
        (array + 1).numpy()
    monkeypatch.setattr(onnxruntime.OrtValue, "ortvalue_from_numpy", full)
    with pytest.raises(VivavoceError, match=r"^device cpu: .* requested buffer; .* smaller --batch-size$"):
        put(images())


def test_arithmetic_runs_as_one_graph_and_is_not_repeated(monkeypatch):
    runs, run = [], expression._run
    monkeypatch.setattr(expression, "_run", lambda *given: runs.append(given) or run(*given))
    array, radius = put(images(odd=False)), np.float32(0.1)
    moved = np.clip(array + radius * np.sign(array), array - radius, array + radius).astype(np.float32)
    assert not runs
    moved.numpy()
    moved.numpy()
    assert len(runs) == 1
    sessions = expression._session.cache_info().misses
    for count in (1, 3):  # other sizes need no other session
        part = array[:count]
        np.clip(part + radius * np.sign(part), part - radius, part + radius).numpy()
    for _ in range(300):  # a long chain runs in parts
        array = array * 1.0
    same(array, images(odd=False))
    assert expression._session.cache_info().misses - sessions < 8


def test_batches_of_a_gpu_are_powers_of_two():
    assert [rounded_up(n) for n in (1, 2, 3, 5, 64, 65)] == [1, 2, 4, 8, 64, 128]
