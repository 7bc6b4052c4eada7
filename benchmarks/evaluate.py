"""What evaluating one method costs, in passes of the plain model over the same texts.

    python benchmarks/evaluate.py reviews.tsv --text-column sentence --limit 872

One method, one perturbation, both orders in eleven steps (the protocol curves): 20 parts of each text and the
explanation. Every run is warmed up, so that nothing is compiled while the clock runs; the time is that of the
process on all its cores, which other processes of the machine do not change.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

from autorel_jax.classifier import load
from autorel_jax.data.row import Columns
from autorel_jax.data.sources import open_corpus
from autorel_jax.faithfulness.config import EvaluateConfig
from autorel_jax.faithfulness.evaluator import Evaluator
from autorel_jax.faithfulness.parts import Parts
from autorel_jax.faithfulness.predict import Predictor
from autorel_jax.faithfulness.run import run
from autorel_jax.faithfulness.units import Reading


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--protocol", default="curves")
    parser.add_argument("--limit", type=int, default=872)
    args = parser.parse_args()
    classifier = load()
    rows = list(open_corpus([args.data], Columns(args.text_column)).rows())[: args.limit]
    config = EvaluateConfig(methods=["attnlrp"], protocols=[args.protocol], perturb=["mask"])
    evaluator = Evaluator(classifier, config)
    del evaluator.explainers["random"]
    tokens = evaluator.any_explainer.tokenize(rows)
    readings = [Reading(row.ids, row.types) for row in tokens]

    def evaluate() -> int:
        return run(evaluator, rows, Parts()).record["texts_computed"]

    plain, _ = seconds(lambda: Predictor(classifier).logits(readings))
    explained, _ = seconds(lambda: list(evaluator.any_explainer.explain(rows)))
    whole, computed = seconds(evaluate)
    print(f"{len(rows)} texts, attnlrp, {args.protocol}")
    print(f"a plain pass {plain:.2f} s of the processors")
    print(f"explaining   {explained:.2f} s = {explained / plain:.1f} plain passes")
    print(f"evaluating   {whole:.2f} s = {whole / plain:.1f} plain passes, {computed / len(rows):.1f} readings a text")


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    """The least time of three calls, after one that compiles, and what they return."""
    found, times = call(), []
    for _ in range(3):
        begun = time.process_time()
        found = call()
        times.append(time.process_time() - begun)
    return min(times), found


if __name__ == "__main__":
    main()
