"""What a training step costs: `python benchmarks/train.py --model DIR --data-dir DIR` (an SST-2 folder).

One process, one machine, the systems in turn, several rounds; the best round of each counts. Everybody trains on the
same rows with the same weights, AdamW, clipping, dropout, float32:

  buckets   this project as train.py runs it: rows of similar length share a batch, six padded lengths
  padded    this project, each batch padded to --padded tokens, as the original does
  torch     PyTorch + transformers, each batch padded to its longest row (dynamic padding), rows shuffled
  grouped   the same with rows of similar length together, in the batches of `buckets`

Tokens are real tokens: padding is not counted. Without torch installed only the first two are measured.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np

from autorel_jax import sharding
from autorel_jax.cli.device import keep_compiled_programs
from autorel_jax.cli.memory import keep_freed_memory
from autorel_jax.data.presets import named
from autorel_jax.data.task import TRAIN, TaskConfig
from autorel_jax.training.batches import Plan, TrainBatch
from autorel_jax.training.config import TrainConfig, read_train_config
from autorel_jax.training.prepare import Prepared, prepare

Run = Callable[[int], tuple[int, float]]  # steps -> real tokens and seconds


def main() -> None:
    """Measures and prints a table."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--model", required=True, help="a BERT encoder or classifier, as a Hugging Face directory")
    made.add_argument("--data-dir", required=True, type=Path, help="a folder with SST-2's train.tsv and dev.tsv")
    made.add_argument("--batch-size", type=int, default=32)
    made.add_argument("--steps", type=int, default=40, help="of a round; the same batches in every round")
    made.add_argument("--padded-steps", type=int, default=2, help="of a round padded to --padded tokens")
    made.add_argument("--padded", type=int, default=512)
    made.add_argument("--rounds", type=int, default=4)
    args = made.parse_args()
    keep_compiled_programs()
    keep_freed_memory()
    run_all(args)


def run_all(args: argparse.Namespace) -> None:
    """Every system, in turn, in each round."""
    begun = time.perf_counter()
    prepared = prepared_run(args)
    ready = time.perf_counter()
    print(f"reading and tokenizing: {ready - begun:.1f} s")
    ours = jax_steps(prepared, prepared.plan)
    ours(1)
    print(f"first step, its compilation included: {time.perf_counter() - ready:.1f} s")
    ours(args.steps)  # compiles the other lengths
    fixed = Plan(**vars(prepared.plan) | {"lengths": (args.padded,)})
    padded = jax_steps(prepared, fixed)
    padded(1)
    systems = {"buckets": (ours, args.steps), f"padded {args.padded}": (padded, args.padded_steps)}
    systems |= torch_systems(args, prepared)
    rates: dict[str, list[float]] = {name: [] for name in systems}
    for _, (name, (run, steps)) in itertools.product(range(args.rounds), systems.items()):
        tokens, seconds = run(steps)
        rates[name].append(tokens / seconds)
    report(rates)
    print(f"input pipeline: {pipeline(prepared, args.steps):.2f} ms a batch, in the step's own thread")


def report(rates: dict[str, list[float]]) -> None:
    """The table: the best round, the median round, and how many times slower than ours."""
    best = {name: max(found) for name, found in rates.items()}
    print(f"\n{'':12} {'tokens/s':>9} {'median':>9} {'ours /':>8}")
    for name, found in rates.items():
        print(f"{name:12} {best[name]:9,.0f} {statistics.median(found):9,.0f} {best['buckets'] / best[name]:8.2f}")


def prepared_run(args: argparse.Namespace) -> Prepared:
    """SST-2 and the model, as train.py prepares them; nothing is written."""
    values = read_train_config(named("sst2"))
    task = TaskConfig(**values.pop("task"))
    values |= {"model": args.model, "data_dir": args.data_dir, "batch_size": args.batch_size}
    config = TrainConfig(**values, task=task)
    return prepare(config, devices=jax.devices(), show=lambda line: None)


def jax_steps(prepared: Prepared, plan: Plan) -> Run:
    """Our steps over the first batches of an epoch, from the pretrained weights."""
    learner = prepared.learner
    take, _ = learner.compiled(learner.begin(prepared.start.params))
    place = sharding.by_rows(learner.mesh, axis=1)

    def run(steps: int) -> tuple[int, float]:
        state, tokens = learner.begin(prepared.start.params), 0
        jax.block_until_ready(state)
        begun = time.perf_counter()
        for batch in plan.batches(0, steps):
            state, logged = take(state, sharding.put(batch, TrainBatch(*[place] * len(batch))))
            tokens += int(batch.mask.sum())
        jax.block_until_ready((state, logged))
        return tokens, time.perf_counter() - begun

    return run


def pipeline(prepared: Prepared, steps: int) -> float:
    """Milliseconds that making a batch takes."""
    begun = time.perf_counter()
    for _ in prepared.plan.batches(0, steps):
        pass
    return (time.perf_counter() - begun) / steps * 1e3


def torch_systems(args: argparse.Namespace, prepared: Prepared) -> dict[str, tuple[Run, int]]:
    """PyTorch with rows shuffled, and with our batches; nothing where it is not installed."""
    try:
        import torch
        import transformers
    except ImportError:
        print("torch or transformers is not installed: measured without them")
        return {}
    transformers.logging.set_verbosity_error()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; transformers {transformers.__version__}")
    examples = prepared.splits[TRAIN]
    shuffled = np.random.default_rng(0).permutation(len(examples))
    random = [shuffled[i : i + args.batch_size] for i in range(0, len(shuffled), args.batch_size)]
    orders = {"torch": random, "grouped": prepared.plan.epoch(0)}
    return {name: (torch_steps(args.model, prepared, order), args.steps) for name, order in orders.items()}


def torch_steps(model: str, prepared: Prepared, order: list[np.ndarray]) -> Run:
    """PyTorch's steps over the first batches of an order, each padded to its longest row."""
    import torch
    from transformers import AutoModelForSequenceClassification

    def run(steps: int) -> tuple[int, float]:
        torch.manual_seed(0)
        net = AutoModelForSequenceClassification.from_pretrained(model, num_labels=2).train()
        optimizer = torch.optim.AdamW(net.parameters(), lr=prepared.config.learning_rate)
        begun, tokens = time.perf_counter(), 0
        for batch in torch_batches(prepared, order[:steps]):
            net(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), prepared.config.clip)
            optimizer.step()
            optimizer.zero_grad()
            tokens += int(batch["attention_mask"].sum())
        return tokens, time.perf_counter() - begun

    return run


def torch_batches(prepared: Prepared, order: list[np.ndarray]) -> Iterator[dict]:
    """The rows of each batch as tensors."""
    import torch

    examples = prepared.splits[TRAIN]
    for rows in order:
        batch = examples.batch(rows, int(examples.lengths[rows].max()), 1, len(rows))
        yield {
            "input_ids": torch.from_numpy(batch.ids[0]).long(),
            "attention_mask": torch.from_numpy(batch.mask[0]).long(),
            "token_type_ids": torch.from_numpy(batch.types[0]).long(),
            "labels": torch.from_numpy(batch.labels[0]).long(),
        }


if __name__ == "__main__":
    main()
