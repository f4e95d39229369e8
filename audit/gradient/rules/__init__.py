"""Reverse-mode rules, one small function per ONNX operator, grouped by family."""
