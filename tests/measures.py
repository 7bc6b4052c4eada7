"""Comparisons, by the definition of error that tests/tolerances.py uses."""

import numpy as np


def relative_error(found, expected) -> float:
    """max|found - expected| / max|expected|."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max() / np.abs(expected).max())
