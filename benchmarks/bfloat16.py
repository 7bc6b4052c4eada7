"""What bfloat16 costs in accuracy: `python benchmarks/bfloat16.py [--model PATH] [--method attnlrp]`.

Fifty sentences of our own by the built-in model, against float32: the error of scores, whether words keep their order,
whether predictions change. Time is said too, which on a processor that does not multiply it is worse.
"""

import argparse
import statistics
import time

import numpy as np

import autorel_jax as ar
from autorel_jax.builtin import BUILTIN

SUBJECTS = ("The film", "This story", "Her first novel", "The second season", "A quiet little play")
OPINIONS = (
    "is a joy from the first scene to the last.",
    "never finds out what it wants to say.",
    "has charm, wit and, above all, patience.",
    "is too long by half, and I did not laugh once.",
    "looks wonderful but leaves you cold.",
    "works better than it has any right to.",
    "was not bad, only forgettable.",
    "is so badly written that even the good actors look lost.",
    "surprised me: it is tender, strange and very funny.",
    "would be a fine half hour if somebody had cut the other two.",
)
SENTENCES = [f"{subject} {opinion}" for opinion in OPINIONS for subject in SUBJECTS]


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=BUILTIN)
    parser.add_argument("--method", default="attnlrp")
    args = parser.parse_args()
    exact, seconds = explained(args, "float32", None)
    print("| dtype | seconds | error: median, most | of a word | rank correlation: mean, least | |")
    print("|---|---|---|---|---|---|")
    print(f"| float32 | {seconds:.1f} | | | | |")
    found, seconds = explained(args, "bfloat16", [each.target for each in exact])
    print(f"| bfloat16 | {seconds:.1f} | {compared(exact, found)}")


def explained(args: argparse.Namespace, dtype: str, labels: list[str] | None) -> tuple[list[ar.Explanation], float]:
    """The sentences' explanations, of the predicted labels or those given, and the seconds of a second pass."""
    classifier, target = ar.load(args.model, dtype=dtype), "given" if labels else "predicted"
    for _ in range(2):
        begun = time.perf_counter()
        found = ar.explain(classifier, SENTENCES, method=args.method, target=target, labels=labels)
    return found, time.perf_counter() - begun


def compared(exact: list[ar.Explanation], found: list[ar.Explanation]) -> str:
    """The columns. An error of a text is |found - exact| / |exact| over its words, that of a word is in |largest|."""
    scores = ([each.word_relevance.astype(float) for each in some] for some in (exact, found))
    pairs = list(zip(*scores, strict=True))
    errors = [np.linalg.norm(b - a) / np.linalg.norm(a) for a, b in pairs]
    of_words = np.concatenate([np.abs(b - a) / np.abs(a).max() for a, b in pairs])
    ranks = [np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1] for a, b in pairs]
    same = sum(int(np.abs(a).argmax() == np.abs(b).argmax()) for a, b in pairs)
    flipped = sum(a.prediction.label != b.prediction.label for a, b in zip(exact, found, strict=True))
    return (
        f"{statistics.median(errors):.4f}, {max(errors):.4f} | {np.median(of_words):.4f}, {of_words.max():.4f} | "
        f"{statistics.mean(ranks):.4f}, {min(ranks):.4f} | the strongest word is the same in {same} of {len(pairs)}; "
        f"{flipped} predictions differ |"
    )


if __name__ == "__main__":
    main()
