"""Undoing what the channel did to the colours: blur, mixing of neighbours, tints and shading.

A linear equaliser maps the samples around a cell to the cell's colour. It is trained by least squares, with a small ridge, on cells whose
colour is known (Proakis and Salehi, Digital Communications, section 9.4): first the pilots, then, decision-directed, all cells at the
colours decided so far. Interference cancellation then models what each cell's neighbours add to its samples, subtracts it, and looks at
the cell again through a whitened matched filter (section 9.5).
"""

from __future__ import annotations

import attrs
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
_ENOUGH = 400  # equations for each unknown, after which more make no difference that can be measured


@attrs.frozen(eq=False)
class Windows:
    """The neighbourhood of (2 radius + 1)^2 cells around each cell of a grid, and a constant: its *features*.

    They are made where they are needed, for some cells: all of a large page's would take gigabytes.

    Attributes:
        cells: (rows + 2 radius, columns + 2 radius, channels).
    """

    cells: Samples
    radius: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the grid."""
        return self.cells.shape[0] - 2 * self.radius, self.cells.shape[1] - 2 * self.radius

    @property
    def width(self) -> int:
        """Features of a cell, the constant included."""
        return int((2 * self.radius + 1) ** 2 * self.cells.shape[2] + 1)

    def __len__(self) -> int:
        rows, columns = self.shape
        return rows * columns

    def at(self, places: npt.NDArray[np.intp]) -> Samples:
        """Features of the cells with these numbers in row-major order, (places, width)."""
        y, x = np.divmod(places, self.shape[1])
        side = range(2 * self.radius + 1)
        return np.concatenate([*(self.cells[y + dy, x + dx] for dy in side for dx in side), np.ones((len(places), 1), np.float32)], 1)

    def times(self, weights: Samples) -> Samples:
        """Features times weights, (cells, weights' columns): a sum of correlations, one for each channel, of which no feature is made."""
        import cv2

        channels, side = self.cells.shape[2], 2 * self.radius + 1
        inner = slice(self.radius, self.radius + self.shape[0]), slice(self.radius, self.radius + self.shape[1])
        made = np.empty((*self.shape, weights.shape[1]), np.float32)
        made[:] = weights[-1]
        for channel in range(channels):
            plane = np.ascontiguousarray(self.cells[:, :, channel])
            for column in range(weights.shape[1]):
                kernel = np.ascontiguousarray(weights[channel:-1:channels, column]).reshape(side, side)
                made[:, :, column] += cv2.filter2D(plane, cv2.CV_32F, kernel)[inner]
        return made.reshape(len(self), -1)


def least_squares(windows: Windows, places: npt.NDArray[np.intp], targets: Samples, ridge: float) -> Samples:
    """Weights W that minimise ``|F W - targets|^2 + ridge n |W|^2``, F being the features of n cells at ``places``; a random part of
    them where there are very many. ``targets`` are those of the places."""
    if len(places) > 1.5 * _ENOUGH * windows.width:
        some = np.random.default_rng(0).integers(0, len(places), _ENOUGH * windows.width)
        places, targets = places[some], targets[some]
    return solved(windows.at(places), targets, ridge)


def solved(inputs: Samples, targets: Samples, ridge: float) -> Samples:
    """Weights W that minimise ``|inputs W - targets|^2 + ridge n |W|^2``."""
    gram = (inputs.T @ inputs).astype(np.float64)
    gram[np.diag_indices(len(gram))] += ridge * len(inputs)
    return np.asarray(np.linalg.solve(gram, (inputs.T @ targets).astype(np.float64)), np.float32)


def radius_for(pilots: int, channels: int) -> int:
    """The largest neighbourhood that this many pilots can train with five equations for each unknown."""
    for radius in (2, 1):
        if pilots >= 5 * ((2 * radius + 1) ** 2 * channels + 1):
            return radius
    return 0


def cancel_interference(seen: Windows, colors: Samples) -> Samples:
    """Estimated colours after subtracting what the neighbours add, (cells, channels).

    ``seen`` are the windows of every cell, ``colors`` the colours decided so far, (cells, channels).
    """
    rows, columns = seen.shape
    channels = colors.shape[1]
    radius = 2
    grid = np.pad(colors.reshape(rows, columns, channels), ((radius, radius), (radius, radius), (0, 0)), mode="edge")
    neighbours = Windows(grid, radius)
    response = _response(neighbours, seen)
    middle = (2 * radius + 1) ** 2 // 2
    own = response[middle * channels : (middle + 1) * channels]
    some = np.arange(0, len(seen), max(1, len(seen) // 8000))
    rest = seen.at(some)[:, :-1] - neighbours.at(some) @ response
    noise = (rest.T @ rest / len(rest)).astype(np.float64)
    noise[np.diag_indices(len(noise))] += 1e-5 + 0.01 * np.trace(noise) / len(noise)
    matched = np.linalg.solve(noise, own.T.astype(np.float64))
    information = own.astype(np.float64) @ matched
    weights = (matched @ np.linalg.pinv(information, rcond=1e-4)).astype(np.float32)
    made = seen.times(np.vstack([weights, np.zeros((1, channels), np.float32)]))  # the residual's product, without making the residual
    made -= neighbours.times(response @ weights)
    made += colors
    return made


def _response(neighbours: Windows, seen: Windows) -> Samples:
    """What the cells around add to the features of each cell, (neighbours' features, features without the constant)."""
    places = np.arange(len(seen))
    if len(places) > 1.5 * _ENOUGH * neighbours.width:
        places = np.random.default_rng(0).integers(0, len(places), _ENOUGH * neighbours.width)
    return solved(neighbours.at(places), seen.at(places)[:, :-1], 1e-6)
