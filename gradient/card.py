"""The memory of the GPU that sessions run on, by CUDA's own driver."""

from __future__ import annotations

import ctypes
import sys

SHARE = 0.7
"""Of the free memory: arenas have gaps, and convolutions need room to work in. Not measured on a GPU yet."""
UNKNOWN = 4_000_000_000
"""Bytes that are taken for free where the driver does not say."""
DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def card_budget() -> int:
    """Bytes of the card's memory that the sessions of an audit may take."""
    free = free_on_card()
    return int(SHARE * (UNKNOWN if free is None else free))


def free_on_card() -> int | None:
    """Free bytes on CUDA's device 0, which onnxruntime uses; None where the driver does not say.

    The driver counts devices as onnxruntime does: in CUDA's order, those of CUDA_VISIBLE_DEVICES alone, and
    parts of a card as devices. Its calls are those of the CUDA driver API, and 0 is success.
    """
    try:
        cuda = ctypes.CDLL(DRIVER)
    except OSError:
        return None
    device, context = ctypes.c_int(), ctypes.c_void_p()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0):
        return None
    if cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device):
        return None
    try:
        if cuda.cuCtxPushCurrent_v2(context):
            return None
        failed = cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        cuda.cuCtxPopCurrent_v2(ctypes.byref(context))
    finally:
        cuda.cuDevicePrimaryCtxRelease_v2(device)
    return None if failed else free.value
