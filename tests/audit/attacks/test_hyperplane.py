"""The projection on a hyperplane within a box, against scipy's solvers."""

import numpy as np
import pytest
from scipy.optimize import linprog, minimize

from vivavoce.audit.attacks.hyperplane import project

RNG = np.random.default_rng(0)
D = 7


def problem(kind: str):
    points, normal = RNG.random(D), RNG.normal(size=D)
    if kind == "sparse":
        normal[RNG.random(D) < 0.5] = 0
        normal[0] = 1.0
    if kind == "corner":
        points = np.round(points)
    reach = np.where(normal > 0, 1 - points, -points) @ normal
    change = reach * RNG.random() * (1.5 if kind == "maybe out of reach" else 0.95)
    return points, normal, change, change <= reach


def smallest(points, normal, change, norm) -> float:
    """Norm of the smallest step, by linear or quadratic programming."""
    bounds = list(zip(-points, 1 - points, strict=True))
    if norm == "linf":
        rows = np.concatenate([np.c_[np.eye(D), -np.ones(D)], np.c_[-np.eye(D), -np.ones(D)]])
        found = linprog(
            np.r_[np.zeros(D), 1], rows, np.zeros(2 * D), [[*normal, 0]], [change], [*bounds, (0, None)]
        )
        return found.fun
    if norm == "l1":  # the step is up less down
        ends = [*((0, high) for _, high in bounds), *((0, -low) for low, _ in bounds)]
        return linprog(np.ones(2 * D), A_eq=[[*normal, *-normal]], b_eq=[change], bounds=ends).fun
    found = minimize(
        lambda d: d @ d, np.zeros(D), jac=lambda d: 2 * d, bounds=bounds, method="SLSQP", tol=1e-12,
        constraints={"type": "eq", "fun": lambda d: normal @ d - change, "jac": lambda d: normal},
    )  # fmt: skip
    return float(np.sqrt(found.fun))


@pytest.mark.parametrize("kind", ["any", "sparse", "corner", "maybe out of reach"])
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_projection_is_the_smallest_step(kind, norm):
    problems = [problem(kind) for _ in range(25)]
    points, normal, change, within = (np.array(column) for column in zip(*problems, strict=True))
    steps = project(points, normal, change, np.zeros(1), np.ones(1), norm)
    assert np.all(points + steps >= -1e-12)
    assert np.all(points + steps <= 1 + 1e-12)
    for k in range(len(problems)):
        if within[k]:
            assert normal[k] @ steps[k] == pytest.approx(change[k], abs=1e-9)
            size = np.linalg.norm(steps[k], {"linf": np.inf, "l2": 2, "l1": 1}[norm])
            assert size == pytest.approx(smallest(*problems[k][:3], norm), abs=1e-5)
        else:
            corner = np.where(normal[k] > 0, 1.0, 0.0)
            np.testing.assert_allclose((points[k] + steps[k])[normal[k] != 0], corner[normal[k] != 0])


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_nothing_to_do_and_nothing_that_can_be_done(norm):
    points = np.full((3, D), 0.5)
    normal = np.ones((3, D))
    normal[1] = 0
    change = np.array([0.0, 1.0, -1e9])
    steps = project(points, normal, change, np.zeros(1), np.ones(1), norm)
    assert not steps[:2].any()
    np.testing.assert_allclose(steps[2], -0.5)
