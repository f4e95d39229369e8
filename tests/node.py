"""Runs ONNX models with onnxruntime-web under node."""

import json
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from browsing import npm_package

PARTS = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
SCRIPT = """
import { readFileSync, writeFileSync } from "node:fs";
import * as ort from "./ort.wasm.bundle.min.mjs";
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmBinary = readFileSync("ort-wasm-simd-threaded.wasm");
const kinds = { float32: Float32Array, int64: BigInt64Array };
for (const name of JSON.parse(readFileSync("names.json"))) {
  const session = await ort.InferenceSession.create(readFileSync(`${name}.onnx`));
  const feeds = {};
  for (const [input, { type, dims, data }] of Object.entries(JSON.parse(readFileSync(`${name}.json`)))) {
    const numbers = type === "int64" ? data.map(BigInt) : data;
    feeds[input] = new ort.Tensor(type, kinds[type].from(numbers), dims);
  }
  const found = {};
  for (const [output, { dims, data }] of Object.entries(await session.run(feeds))) {
    found[output] = { dims, data: Array.from(data) };
  }
  writeFileSync(`${name}.out.json`, JSON.stringify(found));
}
"""


def run_in_node(
    folder: Path, cases: Mapping[str, tuple[onnx.ModelProto, Mapping[str, np.ndarray]]]
) -> dict[str, dict[str, np.ndarray]]:
    """The outputs of models, by the case's name and theirs; skips the test where node is missing."""
    if shutil.which("node") is None:
        pytest.skip("no node here (apt install nodejs)")
    with tarfile.open(npm_package("onnxruntime-web")) as archive:
        for part in PARTS:
            file = archive.extractfile(f"package/dist/{part}")
            assert file
            (folder / part).write_bytes(file.read())
    (folder / "run.mjs").write_text(SCRIPT)
    (folder / "names.json").write_text(json.dumps(list(cases)))
    for name, (model, feeds) in cases.items():
        onnx.save(model, folder / f"{name}.onnx")
        given = {
            k: {"type": str(a.dtype), "dims": a.shape, "data": a.ravel().tolist()} for k, a in feeds.items()
        }
        (folder / f"{name}.json").write_text(json.dumps(given))
    done = subprocess.run(["node", "run.mjs"], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    results = {name: json.loads((folder / f"{name}.out.json").read_text()) for name in cases}
    return {
        name: {k: np.array(v["data"], np.float32).reshape(v["dims"]) for k, v in found.items()}
        for name, found in results.items()
    }
