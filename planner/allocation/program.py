"""A mixed-integer program as plain arrays, so that any solver can be given the same one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["INFINITY", "Program", "ProgramBuilder"]

INFINITY = float("inf")
_LEAST_VALUE = 1e-9
"""HiGHS takes smaller values for zero (its option ``small_matrix_value``)."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """Minimise ``cost @ x``, ``row_lower <= A @ x <= row_upper``, ``lower <= x <= upper``; A in compressed rows."""

    cost: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    integer: NDArray[np.bool_]
    row_lower: NDArray[np.float64]
    row_upper: NDArray[np.float64]
    starts: NDArray[np.int32]
    indices: NDArray[np.int32]
    values: NDArray[np.float64]


class ProgramBuilder:
    """Collects columns and rows one at a time."""

    def __init__(self) -> None:
        self._columns: list[tuple[float, float, float, bool]] = []
        self._bounds: list[tuple[float, float]] = []
        self._starts: list[int] = [0]
        self._indices: list[int] = []
        self._values: list[float] = []

    def column(self, *, cost: float = 0.0, lower: float = 0.0, upper: float = INFINITY, integer: bool = False) -> int:
        """Add a column; its index is returned."""
        self._columns.append((cost, lower, upper, integer))
        return len(self._columns) - 1

    def row(
        self, columns: Sequence[int], values: Sequence[float], *, lower: float = -INFINITY, upper: float = INFINITY
    ) -> None:
        """Add ``lower <= sum(values * columns) <= upper``. Values too small to mean anything are left out: HiGHS warns
        of a matrix that holds one, and would then not be believed."""
        kept = [(column, value) for column, value in zip(columns, values, strict=True) if abs(value) > _LEAST_VALUE]
        self._indices.extend(column for column, _ in kept)
        self._values.extend(value for _, value in kept)
        self._starts.append(len(self._indices))
        self._bounds.append((lower, upper))

    def build(self) -> Program:
        """The program as arrays."""
        columns = np.array(self._columns, dtype=np.float64).reshape(-1, 4)
        bounds = np.array(self._bounds, dtype=np.float64).reshape(-1, 2)
        return Program(
            cost=columns[:, 0], lower=columns[:, 1], upper=columns[:, 2], integer=columns[:, 3] > 0,
            row_lower=bounds[:, 0], row_upper=bounds[:, 1], starts=np.array(self._starts, dtype=np.int32),
            indices=np.array(self._indices, dtype=np.int32), values=np.array(self._values, dtype=np.float64),
        )  # fmt: skip
