"""What values of a graph are for a few pictures, where the file does not say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx

from ..errors import VivavoceError
from .graph import part
from .runtime import first_line, make_session


def measure(model: onnx.ModelProto, values: Sequence[str], count: int) -> list[np.ndarray]:
    """Run a graph with the input `image` on random pictures.

    Args:
        model: nodes in topological order; every other input has its value inside.
        values: names of what to return.
        count: number of pictures, if the graph takes any.

    Raises:
        VivavoceError: the graph does not run on them.
    """
    image = next(v for v in model.graph.input if v.name == "image")
    dims = [d.dim_value for d in image.type.tensor_type.shape.dim]
    shape = (dims[0] if dims[0] > 0 else count, *dims[1:])
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    known = {o.name for o in whole.graph.output}
    whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in values if name not in known)
    pictures = np.random.default_rng(0).random(shape, dtype=np.float32)
    try:
        session = make_session(part(whole, values, ["image"]).SerializeToString(), optimise="basic")
        return [np.asarray(found) for found in session.run(list(values), {"image": pictures})]
    except Exception as error:  # onnxruntime's exceptions share no base class
        raise VivavoceError(f"it does not run on a picture ({first_line(error)})") from error
