"""Arrays that stay on an onnxruntime device, and sessions that read and write them there."""

from .array import DeviceArray, on_host
from .binding import rounded_up, run, typed

__all__ = ["DeviceArray", "on_host", "rounded_up", "run", "typed"]
