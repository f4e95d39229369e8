"""The nearest point of a hyperplane within a box, exactly."""

from __future__ import annotations

import numpy as np

from .norms import Norm


def project(
    points: np.ndarray, normal: np.ndarray, change: np.ndarray, low: np.ndarray, high: np.ndarray, norm: Norm
) -> np.ndarray:
    """The smallest step to a hyperplane that stays in a box (Croce and Hein 2020, FAB, section 2).

    Minimises |d| subject to <normal, d> = change and low <= points + d <= high. Where the box does not
    reach the hyperplane, d goes as far towards it as the box allows.

    Every coordinate moves towards the plane at its own speed v_i until it meets the box, at all of them
    the same time t: d_i = sign_i min(t v_i, room_i), with v_i = 1 for l-infinity and |normal_i| for l2
    (the conditions of Karush, Kuhn and Tucker say no more than this). The change so far,
    sum_i |normal_i| min(t v_i, room_i), grows piecewise linearly and ever more slowly, so Newton's method
    from t = 0 never overshoots and ends at the exact t after a few of the corners.

    For l1 one coordinate after the other goes to its end, those first that change most for their length.

    Args:
        points: float [N, D], in the box.
        normal: float [N, D].
        change: float [N].
        low: float [N, D] or of a shape that broadcasts to it.
        high: likewise.
        norm: which norm of d is smallest.

    Returns:
        The step d, float64 [N, D].
    """
    weight = np.abs(normal).astype(np.float64)
    way = np.sign(normal) * np.sign(change)[:, None]
    room = np.where(way > 0, high - points, np.where(way < 0, points - low, 0)).astype(np.float64)
    room = np.maximum(room, 0)
    if norm == "l1":
        return way * _in_turn(weight, room, np.abs(change).astype(np.float64))
    speed = weight if norm == "l2" else (weight > 0).astype(np.float64)
    time = _arrival(weight, speed, room, np.abs(change).astype(np.float64))
    return way * np.minimum(time[:, None] * speed, room)


def _in_turn(weight: np.ndarray, room: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Steps 0 <= s_i <= room_i of the smallest sum with sum_i weight_i s_i = wanted, as far as they reach."""
    order = np.argsort(-weight, axis=1, kind="stable")
    slopes, rooms = (np.take_along_axis(rows, order, axis=1) for rows in (weight, room))
    gains = slopes * rooms
    needed = np.maximum(wanted[:, None] - (np.cumsum(gains, axis=1) - gains), 0)
    taken = np.where(needed >= gains, rooms, np.minimum(needed / np.maximum(slopes, 1e-30), rooms))
    steps = np.empty_like(room)
    np.put_along_axis(steps, order, np.where(slopes > 0, taken, 0), axis=1)
    return steps


def _arrival(weight: np.ndarray, speed: np.ndarray, room: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The t with sum_i weight_i min(t speed_i, room_i) = wanted, or one when all has stopped: [N]."""
    time, slopes, ends = np.zeros(len(wanted)), weight * speed, weight * room
    count = np.full(len(wanted), -1)
    while True:
        moving = time[:, None] * speed < room
        slope = np.einsum("nd,nd->n", slopes, moving)
        stopped = ends.sum(1) - np.einsum("nd,nd->n", ends, moving)
        with np.errstate(divide="ignore", invalid="ignore"):
            time = np.where(slope > 0, np.maximum(time, (wanted - stopped) / slope), time)
        if np.array_equal(count, moving.sum(1)):
            return time
        count = moving.sum(1)
