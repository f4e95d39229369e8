"""Runs of sessions whose inputs or outputs stay on a device."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .array import DeviceArray

if TYPE_CHECKING:
    import onnxruntime


def run(
    session: onnxruntime.InferenceSession,
    names: Sequence[str],
    feeds: Mapping[str, np.ndarray | DeviceArray],
    kept: Collection[str] = (),
) -> list:
    """The outputs of a session: numpy arrays, as `session.run` gives them.

    Args:
        session: runs on the device of the arrays that are there.
        names: of the outputs.
        feeds: the inputs by name.
        kept: outputs that stay on the device, as `DeviceArray`, if an input is there.
    """
    there = [array.device for array in feeds.values() if isinstance(array, DeviceArray)]
    held = {k: v if isinstance(v, DeviceArray) else np.asarray(v, order="C") for k, v in feeds.items()}
    if not there:
        return session.run(names, held)  # type: ignore[return-value]
    binding = session.io_binding()
    for name, array in held.items():
        if isinstance(array, DeviceArray):
            binding.bind_ortvalue_input(name, array.value())
        else:
            binding.bind_cpu_input(name, array)
    for name in names:
        binding.bind_output(name, there[0] if name in kept else "cpu")
    binding.synchronize_inputs()
    session.run_with_iobinding(binding)
    binding.synchronize_outputs()
    found = zip(names, binding.get_outputs(), strict=True)
    return [
        DeviceArray.holding(value, there[0]) if name in kept else np.array(value.numpy())
        for name, value in found
    ]


def typed(array: np.ndarray | DeviceArray, dtype: np.dtype) -> np.ndarray | DeviceArray:
    """An array in a type, where it is."""
    return array.astype(dtype) if isinstance(array, DeviceArray) else np.asarray(array, dtype)


def rounded_up(count: int) -> int:
    """The next power of two: a GPU's batch sizes, few of which serve all."""
    return 1 << max(count - 1, 0).bit_length()
