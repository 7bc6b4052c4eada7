"""The bounds of NAOPC against exact ones: `python benchmarks/naopc.py --texts dev.tsv [--model DIR]`.

Beyond 10 words evaluate finds the least and the greatest sum of probabilities along an order by beam searches. For
texts of 11 and 12 words all parts are computed here.
"""

import argparse
from pathlib import Path

import numpy as np

import autorel_jax as ar
from autorel_jax.cli.memory import keep_freed_memory
from autorel_jax.data.row import Columns
from autorel_jax.data.rows import read_rows
from autorel_jax.faithfulness import naopc
from autorel_jax.faithfulness.asking import Job, found_by
from autorel_jax.faithfulness.predict import Predictor
from autorel_jax.faithfulness.units import DELETION, MASK, UNKNOWN, token_in_place
from autorel_jax.text import words

UNITS = (11, 12)


def main() -> None:
    """Prints where the exact bounds lie when those that are found are at 0 and 1."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a classifier, as autorel-explain takes it (default: the built-in one)")
    parser.add_argument("--texts", required=True, type=Path, help="a .tsv, .csv or .jsonl file")
    parser.add_argument("--text-column", default="sentence")
    parser.add_argument("--count", type=int, default=12, help="texts (default: 12)")
    args = parser.parse_args()
    keep_freed_memory()
    classifier = ar.load(args.model) if args.model else ar.load()
    predictor = Predictor(classifier, 128)
    print("| words | perturbation | least | greatest |\n|---|---|---|---|")
    done = 0
    for row in read_rows(args.texts, Columns(args.text_column)):
        (tokens,) = classifier.tokens([row.text])
        units = words.units(tokens, True)
        if (count := int(units.max()) + 1) in UNITS and done < args.count:
            done += 1
            target = int(ar.predict(classifier, [tokens.ids], [tokens.types]).logits.argmax())
            for kind in (MASK, UNKNOWN, DELETION):
                token = token_in_place(kind, classifier.tokenizer)
                jobs = [Job(tokens, units, token, target, naopc.bounds(count, most)) for most in (naopc.EXACT, count)]
                found, true = (np.array([one["least"], one["greatest"]]) for one in found_by(jobs, predictor))
                least, greatest = (true - found[0]) / (found[1] - found[0])
                print(f"| {count} | {kind} | {least:.3f} | {greatest:.3f} |", flush=True)
            predictor.forget()


if __name__ == "__main__":
    main()
