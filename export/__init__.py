"""From a trained run to one ONNX or TorchScript file."""
