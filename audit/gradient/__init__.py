"""The input-gradient graph: from an ONNX classifier to one graph that also computes the gradient."""
