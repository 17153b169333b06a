"""Undoing what the channel did to the colours: blur, mixing of neighbours, tints and shading.

A linear equaliser maps the samples around a cell to the cell's colour. It is trained by least squares, with a small ridge, on cells whose
colour is known (Proakis and Salehi, Digital Communications, section 9.4): first the pilots, then, decision-directed, all cells at the
colours decided so far. Interference cancellation then models what each cell's neighbours add to its samples, subtracts it, and looks at
the cell again through a whitened matched filter (section 9.5).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
_ENOUGH = 400  # equations for each unknown, after which more make no difference that can be measured


def windows(cells: Samples, radius: int) -> Samples:
    """The (2 radius + 1)^2 neighbourhood of each cell and a constant, (rows * columns, features).

    ``cells`` is (rows + 2 radius, columns + 2 radius, channels).
    """
    rows, columns = cells.shape[0] - 2 * radius, cells.shape[1] - 2 * radius
    parts = [
        cells[dy : dy + rows, dx : dx + columns].reshape(rows * columns, -1) for dy in range(2 * radius + 1) for dx in range(2 * radius + 1)
    ]
    return np.concatenate([*parts, np.ones((rows * columns, 1), np.float32)], 1)


def least_squares(inputs: Samples, targets: Samples, ridge: float) -> Samples:
    """Weights W that minimise ``|inputs W - targets|^2 + ridge n |W|^2``, over a random part of the rows where there are very many."""
    if len(inputs) > 1.5 * _ENOUGH * inputs.shape[1]:
        some = np.random.default_rng(0).integers(0, len(inputs), _ENOUGH * inputs.shape[1])
        inputs, targets = inputs[some], targets[some]
    gram = (inputs.T @ inputs).astype(np.float64)
    gram[np.diag_indices(len(gram))] += ridge * len(inputs)
    return np.asarray(np.linalg.solve(gram, (inputs.T @ targets).astype(np.float64)), np.float32)


def radius_for(pilots: int, channels: int) -> int:
    """The largest neighbourhood that this many pilots can train with five equations for each unknown."""
    for radius in (2, 1):
        if pilots >= 5 * ((2 * radius + 1) ** 2 * channels + 1):
            return radius
    return 0


def cancel_interference(features: Samples, colors: Samples, shape: tuple[int, int]) -> Samples:
    """Estimated colours after subtracting what the neighbours add.

    ``features`` are the windows of every cell (without the constant), ``colors`` the colours decided so far, (rows * columns, channels).
    """
    rows, columns = shape
    channels = colors.shape[1]
    radius = 2
    grid = np.pad(colors.reshape(rows, columns, channels), ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    neighbours = windows(grid, radius)
    response = least_squares(neighbours, features, 1e-6)
    middle = (2 * radius + 1) ** 2 // 2
    own = response[middle * channels : (middle + 1) * channels]
    every = max(1, len(features) // 8000)
    some = features[::every] - neighbours[::every] @ response
    noise = (some.T @ some / len(some)).astype(np.float64)
    noise[np.diag_indices(len(noise))] += 1e-5 + 0.01 * np.trace(noise) / len(noise)
    matched = np.linalg.solve(noise, own.T.astype(np.float64))
    information = own.astype(np.float64) @ matched
    weights = matched @ np.linalg.pinv(information, rcond=1e-4)
    step = features @ weights.astype(np.float32) - neighbours @ (response @ weights).astype(np.float32)  # the residual's, without making it
    return np.asarray(step + colors, np.float32)
