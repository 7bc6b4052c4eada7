"""A corpus of sentences explained by this project and by what users would otherwise run.

    python benchmarks/corpus.py --texts dev.tsv [--sizes minilm,base] [--peers PYTHON] [--rounds 3]

`--peers` is the Python of an environment with torch, transformers 4.57, lxt 2.1 and captum 0.9; without it only ours is
measured. Every system gets the same sentences and weights (random: time does not depend on them), float32, and does the
whole job: tokenize, explain, write. Loading is not counted. Systems take turns, each in a process of its own; the best
round of each counts.

  ours          `explain_corpus` into Parquet, `attnlrp`, as explain.py runs it; a first pass in a fresh process with
                the compilation cache warm, and later ones
  forward       our own logits of the same sentences in the same batches, tokenized before; nothing is written
  lxt           LXT's efficient AttnLRP, one sentence at a time, as its README shows
  lxt batched   the same in batches of 32 by sorted length
  captum        integrated gradients with 50 steps, in internal batches of 50, one sentence at a time

The ceiling is what the machine's matrix products would allow: the multiplications of a forward and a backward pass over
the sentences' own tokens, the last layer for [CLS] alone, at the rate of one large product in the same run.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

OURS, FORWARD, LXT, BATCHED, CAPTUM = SYSTEMS = ("ours", "forward", "lxt", "lxt batched", "captum")
BATCH = 32
PASSES = 2  # of ours; the first includes tracing and reading compiled programs
SHARE = {LXT: 200, CAPTUM: 16}  # sentences, spread evenly, that a slow system explains
PRINTED = "seconds of each pass:"
PRODUCT = 2048  # rows of the product that measures the machine


def main() -> None:
    """Measures and prints a table for each size; or, started by itself in a process of its own, runs one system."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--texts", required=True, type=Path, help=".tsv with a column `sentence`")
    made.add_argument("--sizes", default="minilm,base")
    made.add_argument("--peers", help="the Python that has lxt and captum")
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--run", choices=SYSTEMS, help=argparse.SUPPRESS)
    made.add_argument("--model", help=argparse.SUPPRESS)
    args = made.parse_args()
    if args.run:
        texts = sentences(args.texts)
        run = {OURS: ours, FORWARD: forward}.get(args.run, peers)
        print(PRINTED, json.dumps(run(args.model, texts[:: step(args.run, len(texts))], args.run)))
        return
    for size in args.sizes.split(","):
        compare(args, size)


def sentences(path: Path) -> list[str]:
    """The column `sentence`."""
    with path.open(encoding="utf-8", newline="") as file:
        return [row["sentence"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]


def step(name: str, texts: int) -> int:
    """A system takes every so many sentences."""
    return max(texts // SHARE.get(name, texts), 1)


def compare(args: argparse.Namespace, size: str) -> None:
    """One table: every system in turn, in each round."""
    from autorel_jax import weights
    from autorel_jax.text.tokens import load_tokenizer
    from explain import SIZES, random_params

    texts = sentences(args.texts)
    names = SYSTEMS if args.peers else (OURS, FORWARD)
    with tempfile.TemporaryDirectory() as folder:
        vocabulary, model = Path(folder) / "vocab.txt", Path(folder) / "model"
        vocabulary.write_text("\n".join(words_of(texts, SIZES[size].vocab_size)), encoding="utf-8")
        tokenizer = load_tokenizer(vocabulary)
        lengths = [len(row.ids) for row in tokenizer(texts, max_length=512)]
        weights.write(model, SIZES[size], random_params(SIZES[size]), tokenizer)
        environment = os.environ | {"XDG_CACHE_HOME": f"{folder}/cache"}
        start(args, OURS, model, environment)  # fills the compilation cache
        passes: dict[str, list[list[float]]] = {name: [] for name in names}
        for _ in range(args.rounds):
            for name in names:
                passes[name].append(start(args, name, model, environment))
    needed = sum(multiplications(SIZES[size], length) for length in lengths) / len(texts)
    report(f"{size}, {len(texts)} sentences of {sum(lengths) / len(texts):.1f} tokens", passes, len(texts), needed)


def words_of(texts: list[str], size: int) -> list[str]:
    """A vocabulary of the corpus's own words and letters, filled up to `size`: as many tokens as words, or more."""
    words = sorted({word for text in texts for word in text.lower().split()})
    letters = sorted({letter for word in words for letter in word})
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    found = dict.fromkeys([*special, *letters, *(f"##{letter}" for letter in letters), *words])
    return [*found, *(f"[unused{number}]" for number in range(size))][:size]


def start(args: argparse.Namespace, name: str, model: Path, environment: dict[str, str]) -> list[float]:
    """Runs a system in a process of its own: the seconds of each of its passes."""
    python = args.peers if name in (LXT, BATCHED, CAPTUM) else sys.executable
    command = [python, __file__, "--texts", str(args.texts), "--run", name, "--model", str(model)]
    printed = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(printed.rpartition(PRINTED)[2])


def multiplications(config: Any, length: int) -> float:
    """Floating-point operations that explaining one sentence of so many tokens needs in matrix products."""
    width, inner = config.hidden_size, config.intermediate_size
    layer = length * (4 * width**2 + 2 * width * inner) + 2 * length**2 * width
    last = 2 * length * width**2 + 2 * width**2 + 2 * width * inner + 2 * length * width
    # A multiplication and an addition each; forward, and backward to the inputs: of attention's products to both.
    linear = 2 * 2 * ((config.num_hidden_layers - 1) * layer + last)
    return linear + 2 * (config.num_hidden_layers - 1) * 2 * length**2 * width


def product_rate() -> float:
    """Operations a second of one large product in float32."""
    import jax
    import jax.numpy as jnp

    x = jnp.ones((PRODUCT, PRODUCT))
    call = jax.jit(jnp.matmul)
    taken = []
    for _ in range(12):
        begun = time.perf_counter()
        call(x, x).block_until_ready()
        taken.append(time.perf_counter() - begun)
    return 2 * PRODUCT**3 / min(taken)


def report(title: str, passes: dict[str, list[list[float]]], texts: int, needed: float) -> None:
    """The table: sentences a second, and how many times faster ours is, steady and in a fresh process."""
    shares = {name: len(range(0, texts, step(name, texts))) for name in passes}
    best = {name: min(run[-1] for run in runs) / shares[name] for name, runs in passes.items()}
    first = min(run[0] for run in passes[OURS]) / texts
    print(f"\n{title}\n\n| | sentences/s | ours / | ours, first pass / |\n|---|---|---|---|")
    for name, seconds in best.items():
        print(f"| {name} | {1 / seconds:.1f} | {seconds / best[OURS]:.2f} | {seconds / first:.2f} |")
    print(f"| ours, first pass | {1 / first:.1f} | | |")
    rate = product_rate()
    print(
        f"\nceiling: {needed / 1e9:.2f} GFLOP a sentence at {rate / 1e9:.0f} GFLOP/s, {rate / needed:.0f} sentences/s;"
    )
    print(f"ours reaches {needed / rate / best[OURS]:.0%} of it", flush=True)


def ours(model: str, texts: list[str], name: str) -> list[float]:
    """Passes over the texts with one Explainer, as explain.py makes it."""
    from autorel_jax.corpus.job import explain_corpus
    from autorel_jax.data.row import Row
    from autorel_jax.data.sources import of_texts
    from autorel_jax.explaining.config import ExplainConfig
    from autorel_jax.explaining.explainer import Explainer

    classifier = loaded(model)
    corpus = of_texts([Row(number, text, None, None) for number, text in enumerate(texts, 1)])
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(PASSES):
            begun = time.perf_counter()
            if not turn:
                explainer = Explainer(classifier, ExplainConfig())
            explain_corpus(explainer, corpus, Path(folder) / f"{turn}.parquet")
            taken.append(time.perf_counter() - begun)
    return taken


def forward(model: str, texts: list[str], name: str) -> list[float]:
    """Passes of the plain model."""
    from methods import passes

    from autorel_jax.explaining.config import BATCH_SIZES

    classifier = loaded(model)
    run, taken = passes(classifier, classifier.tokens(texts), BATCH_SIZES["cpu"]), []
    for _ in range(PASSES):
        begun = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begun)
    return taken


def loaded(model: str) -> Any:
    """The classifier, in a process that is set up as the commands are."""
    from autorel_jax.classifier import load
    from autorel_jax.cli.device import keep_compiled_programs
    from autorel_jax.cli.memory import keep_freed_memory

    keep_compiled_programs()
    keep_freed_memory()
    return load(model)


def peers(model: str, texts: list[str], name: str) -> list[float]:
    """Two passes of a PyTorch system."""
    from transformers import BertTokenizerFast

    tokenizer = BertTokenizerFast.from_pretrained(model)
    explained, taken = captum_scores(model) if name == CAPTUM else lxt_scores(model), []
    for _ in range(2):
        with tempfile.TemporaryFile("w") as file:
            begun = time.perf_counter()
            for batch in batches(tokenizer, texts, BATCH if name == BATCHED else 1):
                scores = explained(batch)
                for ids, mask, row in zip(batch["input_ids"], batch["attention_mask"], scores.tolist(), strict=True):
                    count = int(mask.sum())
                    tokens = tokenizer.convert_ids_to_tokens(ids[:count])
                    file.write(json.dumps({"tokens": tokens, "relevance": row[:count]}) + "\n")
            taken.append(time.perf_counter() - begun)
    return taken


def batches(tokenizer: Any, texts: list[str], size: int) -> Iterator[Any]:
    """The texts in batches, sorted by length where a batch has several."""
    if size > 1:
        texts = sorted(texts, key=lambda text: -len(text.split()))
    for place in range(0, len(texts), size):
        yield tokenizer(texts[place : place + size], padding=True, truncation=True, return_tensors="pt")


def lxt_scores(model: str) -> Callable[[Any], Any]:
    """AttnLRP by LXT: a batch -> relevance [B, T] of the predicted class."""
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    import torch

    # It imports vision models that a BERT does not need.
    for absent in ("torchvision", "torchvision.models", "torchvision.models.vision_transformer"):
        sys.modules.setdefault(absent, ModuleType(absent)).__spec__ = ModuleSpec(absent, None)
    sys.modules["torchvision.models"].vision_transformer = sys.modules[absent]
    sys.modules[absent].nn = torch.nn
    from lxt.efficient import monkey_patch
    from transformers.models.bert import modeling_bert

    monkey_patch(modeling_bert, verbose=False)
    net = modeling_bert.BertForSequenceClassification.from_pretrained(model, attn_implementation="eager").eval()
    for parameter in net.parameters():
        parameter.requires_grad_(False)

    def scores(batch):
        words = net.get_input_embeddings()(batch["input_ids"]).requires_grad_()
        logits = net(inputs_embeds=words, attention_mask=batch["attention_mask"]).logits
        logits.max(dim=-1).values.sum().backward()
        return (words.grad * words).sum(-1).detach()

    return scores


def captum_scores(model: str) -> Callable[[Any], Any]:
    """Integrated gradients by Captum: a batch of one text -> attribution [1, T] of the predicted class."""
    from captum.attr import IntegratedGradients
    from transformers import BertForSequenceClassification

    net = BertForSequenceClassification.from_pretrained(model).eval()

    def logits(words, mask):
        return net(inputs_embeds=words, attention_mask=mask.expand(len(words), -1)).logits

    method = IntegratedGradients(logits)

    def scores(batch):
        words, mask = net.get_input_embeddings()(batch["input_ids"]).detach(), batch["attention_mask"]
        target = int(logits(words, mask).argmax())
        options = {"n_steps": 50, "internal_batch_size": 50, "additional_forward_args": (mask,)}
        return method.attribute(words, target=target, **options).sum(-1)

    return scores


if __name__ == "__main__":
    main()
