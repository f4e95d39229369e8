"""What the code of a TorchScript file may call: read as text, without running or unpickling any of it."""

from __future__ import annotations

import ast
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import VivavoceError
from .runtime import first_line

ARCHIVE_LIMIT = 2**31
"""Bytes that an archive may unpack to."""
CODE_LIMIT = 2**24
"""Bytes of code: ResNet-152's is 0.4 MB."""
WORDS = set("annotate bool float getattr hasattr int isinstance len list max min abs range tuple "
            "unchecked_cast uninitialized str".split())  # fmt: skip
"""Functions without a module in front."""
OPERATORS = set("""
    _native_multi_head_attention _set_item all any clamp_min_ copy_ fill_ is_autocast_enabled is_grad_enabled
    swapaxes zero_
    Int Float Bool FloatImplicit IntImplicit ScalarImplicit NumToTensor device dtype float32 float64 float16
    abs add add_ adaptive_avg_pool1d adaptive_avg_pool2d adaptive_max_pool2d addmm alpha_dropout amax amin
    append arange argmax avg_pool1d avg_pool2d baddbmm batch_norm bilinear bmm broadcast_tensors
    broadcast_to cat celu ceil channel_shuffle chunk clamp clamp_ clamp_max clamp_min clone concat
    constant_pad_nd contiguous conv1d conv2d conv_transpose1d conv_transpose2d _convolution
    _convolution_mode cos cosine_similarity cumsum detach dim div div_ dropout dropout_ einsum elu elu_
    embedding empty empty_like bernoulli bernoulli_ rand rand_like randn eq numpy_T t
    erf exp expand expand_as eye feature_dropout flatten flip floor floor_divide floordiv format full
    full_like
    gather ge gelu glu group_norm gt hardshrink hardsigmoid hardsigmoid_ hardswish hardswish_ hardtanh
    hardtanh_ im2col index index_select instance_norm is_floating_point items layer_norm le leaky_relu
    leaky_relu_ len lerp linalg_norm linalg_vector_norm linear log log10 log1p log2 log_softmax
    logical_and logical_not logical_or logsigmoid logsumexp lt masked_fill masked_fill_ matmul
    max max_pool1d max_pool2d maximum mean meshgrid min minimum mish mm movedim mul mul_ narrow ne neg
    neg_ new_full new_ones new_zeros norm numel one_hot ones ones_like pad permute pixel_shuffle
    pixel_unshuffle pow prelu reciprocal reflection_pad1d reflection_pad2d relu relu6 relu6_ relu_
    remainder repeat repeat_interleave replication_pad2d reshape roll round rsqrt rsub scalar_tensor
    scaled_dot_product_attention select selu selu_ sigmoid sigmoid_ sign silu silu_ sin size slice
    smooth_l1_loss mse_loss softmax softplus softshrink split split_with_sizes sqrt square squeeze squeeze_
    stack std sub sub_ sum tanh tanh_ tensor tensor_split threshold threshold_ tile to topk transpose
    tril triu type_as unbind unfold unflatten unsqueeze unsqueeze_ upsample_bicubic2d upsample_bilinear2d
    upsample_nearest2d var var_mean view view_as warn where zeros zeros_like __contains__ __getitem__
    __is__ __isnot__ __not__ __and__ __or__ __range_length __derive_index __interpolate extend
""".split())  # fmt: skip
"""Operators on tensors, lists and numbers, by their names in `torch`; none reads or writes a file."""
PRIMITIVES = {"prim": {"NumToTensor", "data", "device", "dtype", "unchecked_cast", "min", "max", "is_cuda",
                       "TupleIndex", "RaiseException",
                       "requires_grad", "shape", "layout", "abs", "rangelist",
                       "is_nested", "type"}}  # fmt: skip
"""Operators in other name spaces of `ops`."""
HARMFUL = {"save", "load", "from_file"}
"""Names that no method of a file may have: operators on tensors read and write files by them."""
REMOTE = {"rpc_async", "rpc_sync", "rpc_remote", "fork", "awaitable"}
"""Names with which TorchScript starts work elsewhere."""
FOREIGN = (ast.Import, ast.ImportFrom, ast.Lambda, ast.Await, ast.AsyncFunctionDef, ast.Global, ast.NamedExpr)
"""Python that TorchScript does not write."""


def checked(path: Path, trust: bool) -> io.BytesIO:
    """Read a TorchScript archive and check what its code calls.

    The archive is written out afresh, so that torch reads exactly what was checked here.

    Args:
        path: the file.
        trust: leave the code unchecked.

    Returns:
        The archive, for `torch.jit.load`.

    Raises:
        VivavoceError: the archive is damaged, unpacks to gigabytes, or its code calls an operator that is
            not known to be harmless.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > ARCHIVE_LIMIT:
                raise VivavoceError(f"{path}: unpacks to more than {ARCHIVE_LIMIT / 2**30:g} GiB")
            fresh = io.BytesIO()
            with zipfile.ZipFile(fresh, "w") as copy:
                code: list[ast.Module] = []
                for member in members:
                    content = archive.read(member)
                    # torch finds members by their names behind the first folder, in upper or lower case.
                    name = member.filename.split("/", 1)[-1].lower()
                    if not trust and name.endswith(".pkl") and b"torch.classes" in content:
                        raise _Unknown("holds objects of torch.classes")
                    if not trust and name.startswith("code/") and name.endswith(".py"):
                        code.append(_parsed(content))
                    copy.writestr(member.filename, content)
                check_code(code)
    except VivavoceError:
        raise
    except _Unknown as unknown:
        raise VivavoceError(
            f"{path}: its code {unknown}, which is not known to be harmless; torch runs the code of a "
            "TorchScript file when it opens it; if you trust where the file comes from, "
            "audit it with --trust-model"
        ) from None
    except Exception as error:  # zipfile and zlib raise many kinds for damaged files
        raise VivavoceError(f"{path}: the archive cannot be read ({first_line(error)})") from error
    fresh.seek(0)
    return fresh


class _Unknown(Exception):
    """Code that is not known to be harmless; the text says what it does."""


def _parsed(content: bytes) -> ast.Module:
    if len(content) > CODE_LIMIT:
        raise _Unknown(f"is longer than {CODE_LIMIT} bytes")
    try:
        return ast.parse(content.decode())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _Unknown(f"cannot be read ({first_line(error)})") from None


def check_code(modules: Sequence[ast.Module]) -> None:
    """Check all code of one archive: only what it defines itself, and harmless operators, may be used."""
    nodes = [node for module in modules for node in ast.walk(module)]
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    fields = {node.target.id for node in nodes
              if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)}  # fmt: skip
    own = (functions | fields | OPERATORS) - HARMFUL
    inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        if isinstance(node, FOREIGN):
            raise _Unknown(f"has a statement that TorchScript does not write ({type(node).__name__})")
        if isinstance(node, ast.FunctionDef) and node.name in ("__setstate__", "__getstate__"):
            raise _Unknown(f"defines {node.name}")
        if isinstance(node, ast.Call):
            _check_call(node)
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in inner:
            _check_chain(_dotted(node), own)


def _check_call(call: ast.Call) -> None:
    if isinstance(call.func, ast.Name) and not _known(call.func.id):
        raise _Unknown(f"calls {call.func.id}")
    if not isinstance(call.func, ast.Name | ast.Attribute):
        raise _Unknown("calls what it has computed")
    if isinstance(call.func, ast.Name) and call.func.id in ("getattr", "hasattr"):
        name = call.args[1] if len(call.args) > 1 else None
        if not isinstance(name, ast.Constant) or name.value in HARMFUL:
            raise _Unknown("calls getattr for a name that it may not use")


def _known(name: str) -> bool:
    """Whether a function without a module in front is harmless, or is `_0` and so on, a checked name."""
    return name in WORDS or (name[0] == "_" and name[1:].isdecimal())


def _dotted(node: ast.expr) -> list[str]:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return [node.id if isinstance(node, ast.Name) else "", *parts]


def _check_chain(parts: list[str], own: set[str]) -> None:
    """Check a name with dots: of an operator, or of what the file itself defines."""
    name = ".".join(parts)
    if parts[0] == "torch" and not (len(parts) == 2 and parts[1] in OPERATORS):
        raise _Unknown(f"calls {name}")
    if parts[0] == "ops" and not (len(parts) == 3 and parts[2] in PRIMITIVES.get(parts[1], ())):
        raise _Unknown(f"calls {name}")
    if parts[0] == "__torch__":
        if parts[1:3] == ["torch", "classes"]:
            raise _Unknown("uses torch.classes")
    elif parts[0] in REMOTE:
        raise _Unknown(f"calls {parts[0]}")
    elif parts[0] not in ("torch", "ops", "CONSTANTS") and not own.issuperset(parts[1:]):
        raise _Unknown(f"uses {name}")
