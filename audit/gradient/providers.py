"""Where onnxruntime runs a graph."""

from __future__ import annotations

import onnxruntime

from ...errors import VivavoceError

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def check(device: str) -> None:
    """Refuse a device that this installation cannot use.

    Raises:
        VivavoceError: there is no such device, or this onnxruntime was built without it.
    """
    if device not in PROVIDERS:
        raise VivavoceError(f"no device is called {device!r}; there are: {', '.join(PROVIDERS)}")
    if PROVIDERS[device] not in onnxruntime.get_available_providers():
        raise VivavoceError(
            "device cuda: the installed onnxruntime has no CUDA; install the extra `gpu` in place of `cpu` "
            "(pip uninstall onnxruntime; pip install 'vivavoce[gpu]')"
        )


def load(model: bytes, device: str = "cpu", threads: int | None = None) -> onnxruntime.InferenceSession:
    """Load a serialised model with every optimisation.

    Raises:
        VivavoceError: the device is there but cannot be used (a driver is missing, say).
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads or 0
    # With memory patterns the second run allocates everything anew, beside what the first one took: twice the
    # memory (ResNet-50, 8 images: 0.72 -> 0.24 GB over the session's own), and no faster.
    options.enable_mem_pattern = False
    # Idle threads that spin take the cores from whoever else in the process works: a second session, numpy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = [PROVIDERS[device], *(["CPUExecutionProvider"] if device != "cpu" else [])]
    session = onnxruntime.InferenceSession(model, options, providers=providers)
    if session.get_providers()[0] != PROVIDERS[device]:
        raise VivavoceError("device cuda: onnxruntime could not start it; are the CUDA libraries installed?")
    return session
