"""Random numbers that depend on the seed and on what they are for, never on the order of calls."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

FAR = 10**6


def stream(seed: int, purpose: str, number: int = 0) -> np.random.Generator:
    """Return the generator of one purpose, so that a change in one table leaves all others as they were.

    Parameters
    ----------
    seed : of the whole demo company.
    purpose : a word, such as ``"usage"``.
    number : period or block, where a purpose draws in pieces.

    Examples
    --------
    >>> bool(stream(7, "usage", 1).random() == stream(7, "usage", 1).random())
    True
    """
    key = (zlib.crc32(purpose.encode()), number)
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


def first_days(rng: np.random.Generator, chance: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draw the day (0, 1, …) on which a thing first happens that happens each day with a given chance.

    Parameters
    ----------
    rng : source of randomness.
    chance : daily chances, 0 to 1; 0 never happens and gives a day beyond any history.

    Examples
    --------
    >>> first_days(stream(1, "x"), np.array([1.0, 0.0])).tolist()
    [0, 1000000]
    """
    uniform = rng.random(chance.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        days = np.log1p(-uniform) / np.log1p(-chance)
    return np.minimum(np.where(chance > 0, np.floor(days), FAR), FAR).astype(np.int64)
