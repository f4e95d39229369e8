"""Label banks as anybody saves them: `numpy.savez("bank.npz", bank=rows, classes=names)`."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import VivavoceError


def read_plain(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The labels float32 [K, ...] and the names of an archive with the arrays `bank` and `classes`.

    Raises:
        VivavoceError: `bank` holds no finite numbers, or `classes` are not as many names.
    """
    bank = arrays["bank"]
    if bank.dtype.kind not in "fiub" or bank.ndim < 2 or not bank.size:
        raise VivavoceError(
            f"the array `bank` must hold numbers [classes, ...], and is {bank.dtype} {list(bank.shape)}"
        )
    with np.errstate(over="ignore"):
        labels = bank.astype(np.float32)
    bad = ~np.isfinite(labels.reshape(len(labels), -1)).all(1)
    names = _names(arrays.get("classes"), len(bank))
    if bad.any():
        first = names[int(bad.argmax())]
        raise VivavoceError(f"the label of {first!r} has an entry that is not a finite number in float32")
    return labels, names


def _names(classes: np.ndarray | None, count: int) -> tuple[str, ...]:
    if classes is None:
        return tuple(map(str, range(count)))
    if classes.shape != (count,) or classes.dtype.kind not in "UTSiu":
        raise VivavoceError(
            f"the array `classes` must hold {count} names, one for each label of `bank`, and is "
            f"{classes.dtype} {list(classes.shape)}"
        )
    return tuple(c.decode("utf-8", "replace") if isinstance(c, bytes) else str(c) for c in classes.tolist())
