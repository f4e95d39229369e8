"""Ensembles of decision trees, as ai.onnx.ml holds them."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper


def write_majority(path: Path, pixels: int = 4, voters: int = 3, threshold: float = 0.5) -> Path:
    """Trees of one split each: class 1 where most of the first `voters` pixels are above the threshold."""
    nodes = [(tree, node) for tree in range(voters) for node in range(3)]
    # onnxruntime treats trees that give one of two classes a score as trees of a single score.
    votes = [(tree, node, label) for tree, node in nodes if node for label in (0, 1)]
    split = helper.make_node(
        "TreeEnsembleClassifier", ["x"], ["label", "scores"], domain="ai.onnx.ml",
        nodes_treeids=[tree for tree, _ in nodes],
        nodes_nodeids=[node for _, node in nodes],
        nodes_featureids=[tree for tree, _ in nodes],
        nodes_values=[threshold if node == 0 else 0.0 for _, node in nodes],
        nodes_modes=["BRANCH_LEQ" if node == 0 else "LEAF" for _, node in nodes],
        nodes_truenodeids=[1 if node == 0 else 0 for _, node in nodes],
        nodes_falsenodeids=[2 if node == 0 else 0 for _, node in nodes],
        nodes_hitrates=[1.0] * len(nodes),
        nodes_missing_value_tracks_true=[0] * len(nodes),
        class_treeids=[tree for tree, _, _ in votes],
        class_nodeids=[node for _, node, _ in votes],
        class_ids=[label for _, _, label in votes],
        class_weights=[float(label == node - 1) for _, node, label in votes],
        classlabels_strings=["dark", "bright"], post_transform="NONE",
    )  # fmt: skip
    graph = helper.make_graph(
        [split],
        "majority",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, pixels])],
        [
            helper.make_tensor_value_info("label", TensorProto.STRING, [None]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, [None, 2]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 3)], ir_version=8)
    onnx.save(model, path)
    return path
