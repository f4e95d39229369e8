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
    _adaptive_avg_pool2d _adaptive_avg_pool3d _assert_scalar _assert_tensor_metadata _convolution
    _convolution_mode _fake_quantize_learnable_per_tensor_affine _log_softmax
    _native_batch_norm_legit_no_training _native_multi_head_attention _reshape_alias _safe_softmax _set_item
    _shape_as_tensor _softmax _stack _trilinear _unique2 _unsafe_view _unwrap_optional
    _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact2d _weight_norm abs absolute acos
    acosh adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d
    adaptive_max_pool2d adaptive_max_pool3d add addbmm addcdiv addcmul addmm addmv addr adjoint
    affine_grid_generator alias alias_copy all alpha_dropout amax amin aminmax angle any append arange
    arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort argwhere as_tensor asin asinh
    atan atan2 atanh atleast_1d atleast_2d atleast_3d avg_pool1d avg_pool2d avg_pool3d baddbmm batch_norm
    bernoulli bilinear bin bincount bitwise_and bitwise_left_shift bitwise_not bitwise_or
    bitwise_right_shift bitwise_xor block_diag bmm Bool broadcast_shapes broadcast_tensors broadcast_to
    bucketize can_cast capitalize cartesian_prod cat cdist ceil celu chain_matmul channel_shuffle chunk
    clamp clamp_max clamp_min clear clip clone col2im column_stack Complex complex concat concatenate conj
    conj_physical constant_pad_nd contiguous conv1d conv2d conv3d conv_transpose1d conv_transpose2d
    conv_transpose3d convolution copy copysign cos cosh cosine_similarity count count_nonzero cpu cross
    cross_entropy_loss cummax cummin cumprod cumsum deg2rad degrees dequantize det detach detach_copy device
    diag diag_embed diagflat diagonal diagonal_scatter dict diff digamma dim dist div divide divmod dot
    dropout dsplit dstack dtype einsum element_size elu embedding embedding_bag empty empty_like endswith eq
    equal erf erfc erfinv exp exp2 expand expand_as expand_copy expm1 extend eye fabs
    fake_quantize_per_channel_affine fake_quantize_per_tensor_affine feature_alpha_dropout feature_dropout
    fft_fft fft_fft2 fft_fftn fft_fftshift fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_irfft fft_irfft2
    fft_irfftn fft_rfft fft_rfft2 fft_rfftn fill fill_diagonal find fix flatten flip fliplr flipud Float
    float16 float32 float64 float_power FloatImplicit floor floor_divide floordiv fmax fmin fmod format frac
    frobenius_norm full full_like gather ge gelu get glu greater greater_equal grid_sampler grid_sampler_2d
    grid_sampler_3d group_norm gru gru_cell gt hamming_window hann_window hardshrink hardsigmoid hardswish
    hardtanh heaviside histc hsplit hstack huber_loss hypot im2col imag index index_add index_copy
    index_fill index_put index_reduce index_select inner insert instance_norm Int int_repr IntImplicit
    inverse is_autocast_enabled is_complex is_conj is_contiguous is_floating_point is_grad_enabled is_neg
    is_nonzero is_same_size is_scripting is_signed isalnum isalpha isclose isdigit isfinite isin isinf
    islower isnan isneginf isposinf isreal isspace isupper item items join keys kl_div kron kthvalue l1_loss
    layer_norm ldexp le leaky_relu len lerp less less_equal lgamma lift lift_fresh linalg_cross linalg_det
    linalg_diagonal linalg_inv linalg_matmul linalg_matrix_norm linalg_multi_dot linalg_norm linalg_qr
    linalg_solve linalg_svd linalg_vecdot linalg_vector_norm linear linspace list log log10 log1p log2
    log_sigmoid log_softmax logaddexp logaddexp2 logcumsumexp logdet logical_and logical_not logical_or
    logical_xor logit logspace logsumexp lower lstm lstm_cell lstrip lt masked_fill
    masked_scatter masked_select mathremainder matmul matrix_exp matrix_H matrix_power max max_pool1d
    max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool3d max_unpool2d maximum mean median
    meshgrid mH min minimum mish mm mode moveaxis movedim mse_loss msort mT mul multinomial multiply mv
    nan_to_num nanmean nanmedian nansum narrow native_batch_norm native_channel_shuffle native_dropout
    native_group_norm native_layer_norm ne neg negative new_empty new_full new_ones new_zeros nll_loss
    nll_loss_nd nonzero nonzero_numpy norm norm_except_dim normal not_equal nuclear_norm numel numpy_T
    NumToTensor one_hot ones ones_like ord outer pad pairwise_distance percentFormat permute permute_copy
    pixel_shuffle pixel_unshuffle polar pop positive pow prelu prod promote_types q_scale q_zero_point
    quantile quantize_per_channel quantize_per_tensor rad2deg radians rand rand_like randint randint_like
    randn randn_like random randperm range ravel real reciprocal reflection_pad1d reflection_pad2d
    reflection_pad3d relu relu6 remainder remove renorm repeat repeat_interleave replace replication_pad1d
    replication_pad2d replication_pad3d requires_grad reshape reshape_as resize resolve_conj resolve_neg
    result_type reverse rfind rms_norm rnn_relu rnn_tanh roll rot90 round row_stack rpartition rrelu rsplit
    rsqrt rstrip rsub scalar_tensor ScalarImplicit scaled_dot_product_attention scatter scatter_add
    scatter_reduce searchsorted select select_copy selu sgn sigmoid sign signbit silu sin sinc sinh Size
    size slice slice_copy slice_scatter smooth_l1_loss softmax softplus softshrink sort sorted special_erf
    special_expit special_log_softmax special_logsumexp special_softmax split split_with_sizes
    sqrt square squeeze squeeze_copy stack startswith std std_mean stft str strip sub subtract sum
    sum_to_size svd swapaxes swapdims t t_copy take take_along_dim tan tanh tensor tensor_split tensordot
    threshold tile to topk trace transpose transpose_copy tril tril_indices triu triu_indices true_divide
    trunc type_as unbind unflatten unfold uniform unique_consecutive unique_dim unsafe_chunk unsafe_split
    unsafe_split_with_sizes unsqueeze unsqueeze_copy update upper upsample_bicubic2d upsample_bilinear2d
    upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d values
    var var_mean view view_as view_as_complex view_as_real view_copy vsplit vstack warn where xlogy zero
    zeros zeros_like __and__ __contains__ __derive_index __getitem__ __iand__ __interpolate __ior__ __is__
    __isnot__ __ixor__ __lshift__ __not__ __or__ __range_length __round_to_zero_floordiv __rshift__ __xor__
""".split())  # fmt: skip
"""Operators on tensors, lists, numbers and text, by their names in `torch`; none reads or writes a file.

The in-place form of each (with a final underscore) counts as well.
"""
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
    own = (functions | fields) - HARMFUL
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


def _harmless(name: str) -> bool:
    """Whether an operator, or the one of which it is the in-place form, is known to be harmless."""
    return name in OPERATORS or (name[-1:] == "_" and name[:-1] in OPERATORS)


def _dotted(node: ast.expr) -> list[str]:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return [node.id if isinstance(node, ast.Name) else "", *parts]


def _check_chain(parts: list[str], own: set[str]) -> None:
    """Check a name with dots: of an operator, or of what the file itself defines."""
    name = ".".join(parts)
    if parts[0] == "torch" and not (len(parts) == 2 and _harmless(parts[1])):
        raise _Unknown(f"calls {name}")
    if parts[0] == "ops" and not (len(parts) == 3 and parts[2] in PRIMITIVES.get(parts[1], ())):
        raise _Unknown(f"calls {name}")
    if parts[0] == "__torch__":
        if parts[1:3] == ["torch", "classes"]:
            raise _Unknown("uses torch.classes")
    elif parts[0] in REMOTE:
        raise _Unknown(f"calls {parts[0]}")
    elif parts[0] not in ("torch", "ops", "CONSTANTS") and not all(
        part in own or _harmless(part) for part in parts[1:]
    ):
        raise _Unknown(f"uses {name}")
