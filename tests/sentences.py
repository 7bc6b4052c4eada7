"""Short sentences of words that the test vocabulary knows, for tests of corpora."""

import numpy as np

WORDS = ["a", "good", "film", "and", "not", "bad", "one", "the", "actors", "are", "great", ",", "boring", "but", "fine"]


def lines(count: int, seed: int = 0) -> list[str]:
    """Sentences of one to eight words; the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(1, 9))) for _ in range(count)]
