"""Read-out shapes: the name of a read-out -> the axes of its array, and what it is the relevance of.

lrp/taps.py names the points that are read; this table says how they are stored and documented, without JAX. Used by
corpus/nested.py, by the flags of the command and for the table in docs/ledger.md.
"""

from typing import NamedTuple

TOKENS = "T"  # the last axis of what is read at every token


class Shape(NamedTuple):
    """The array of one text and target."""

    axes: tuple[str, ...]  # T tokens, L layers, H heads, k neurons
    meaning: str  # relevance of what


SHAPES = {
    "positions": Shape((TOKENS,), "the embeddings of position, for each token; read at `word_embeddings`"),
    "segments": Shape((TOKENS,), "the embeddings of type, for each token; read at `word_embeddings`"),
    "layers": Shape(
        ("L + 1", TOKENS), "the residual stream: the output of the embedding LayerNorm, then of each layer"
    ),
    "attention": Shape(
        ("L", TOKENS),
        "the residual stream after the attention sub-block of each layer, and the LayerNorm that follows",
    ),
    "heads": Shape(("L", "H", TOKENS), "the context that each head gives to each token"),
    "neurons": Shape(
        ("L", "k"),
        "– the numbers of the feed-forward neurons with the largest abs(relevance), summed over tokens; "
        "`neurons=10`, `--neurons 10`",
    ),
    "neuron_relevance": Shape(("L", "k"), "those neurons, the strongest first"),
}
WITH_NEURONS = "neuron_relevance"  # comes with `neurons`; it is not asked for by itself
CHOICES = tuple(name for name in SHAPES if name != WITH_NEURONS)  # what can be asked for
INTEGERS = ("neurons",)  # whole numbers; all others are float32
