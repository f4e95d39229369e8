"""How sessions of onnxruntime are set up."""

import onnxruntime
import pytest
from onnx import TensorProto, helper

from vivavoce.artifacts.runtime import BLOCKING, SPINNING, make_session


def identity() -> bytes:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "identity", [x], [y])
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


@pytest.mark.parametrize(("version", "short"), [("1.25.1", False), ("1.26.0", True), ("2.0.1", True)])
def test_idle_threads_spin_only_where_onnxruntime_can_keep_it_short(monkeypatch, version, short):
    monkeypatch.setattr(onnxruntime, "__version__", version)
    options = make_session(identity()).get_session_options()
    found = {}
    for key in dict(SPINNING) | dict(BLOCKING):
        try:
            found[key] = options.get_session_config_entry(key)
        except RuntimeError:  # not set
            continue
    assert found == dict(SPINNING if short else BLOCKING)


def test_sessions_on_a_gpu_take_only_the_memory_that_they_need(monkeypatch):
    made = {}

    class Session:
        def __init__(self, model, options, providers) -> None:
            made.update(providers=providers)

        def get_providers(self) -> list[str]:
            return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    make_session(b"", device="cuda")
    cuda = ("CUDAExecutionProvider", {"arena_extend_strategy": "kSameAsRequested"})
    assert made["providers"] == [cuda, "CPUExecutionProvider"]
