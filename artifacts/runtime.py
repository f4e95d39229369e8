"""onnxruntime, found and set up in one place."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import VivavoceError

if TYPE_CHECKING:
    import onnx
    import onnxruntime


def make_session(
    model: onnx.ModelProto, where: str = "model", device: str = "cpu"
) -> onnxruntime.InferenceSession:
    """Make an onnxruntime session for a model in memory.

    Threads do not spin while they wait: an audit holds several sessions at once, and spinning
    threads of one take the cores from the others.

    Args:
        model: the graph to run.
        where: what to call it in an error.
        device: `cpu` or `cuda`.

    Raises:
        VivavoceError: onnxruntime is not installed, cannot run the model, or lacks the device.
    """
    try:
        import onnxruntime
    except ImportError:
        raise VivavoceError(
            'running a model needs onnxruntime; install it with: pip install "vivavoce[cpu]" '
            "(or vivavoce[gpu] on a machine with CUDA)"
        ) from None
    if device == "cuda" and "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise VivavoceError(
            "this onnxruntime has no CUDA provider; install vivavoce[gpu] in place of vivavoce[cpu], "
            "or give --device cpu"
        )
    if device not in ("cpu", "cuda"):
        raise VivavoceError(f"no device {device!r}; give cpu or cuda")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if limit := os.environ.get("VIVAVOCE_THREADS"):
        options.intra_op_num_threads = int(limit)
    providers = ["CUDAExecutionProvider"] * (device == "cuda") + ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions share no base class
        raise VivavoceError(f"{where}: onnxruntime cannot run this model: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its type where there is none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
