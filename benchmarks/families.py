"""What relevance costs beside a forward pass, for every family beside BERT in the same run at the same shape.

    python benchmarks/families.py [--families deberta-v2,mpnet] [--shapes 1x128,8x32] [--layers 12] [--repeats 9]

Models of base size with random weights and a small vocabulary: time does not depend on either. The calls of BERT and of
a family alternate in one process; the fastest of each counts. A family whose head reads every token stands beside a
BERT that computes all of them.
"""

import argparse
import dataclasses
import os
import time

import jax
import numpy as np

from autorel_jax.attribution.method import Texts
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.families import FAMILIES, family_of
from autorel_jax.lrp.composites import ATTNLRP
from autorel_jax.model.config import BertConfig
from autorel_jax.model.config_file import parse_config
from autorel_jax.model.encoder import Bert
from autorel_jax.model.heads import HEADS
from explain import alternate, random_params

# Seconds of the processor, where it is the device: what else runs on the machine does not count.
CLOCK = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
BASE = {  # field -> its value, under the key that a family has for it
    "vocab_size": 1000,
    "hidden_size": 768,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 514,
    "pad_token_id": 1,
}
V3 = {
    "position_biased_input": False,
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_buckets": 256,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
}
OWN = {
    "deberta-v2": V3,
    "modernbert": {"intermediate_size": 1152},
}  # keys of config.json that a model of the family has beside them


def main() -> None:
    """Prints a line for each family and shape."""
    every = list({family.name: name for name, family in reversed(FAMILIES.items())}.values())[::-1]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--families", default=",".join(name for name in every if name != "bert"))
    parser.add_argument("--shapes", default="1x128,8x32,4x256")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=9)
    args = parser.parse_args()
    print(
        f"{jax.devices()[0].device_kind}, {os.cpu_count()} cores, jax {jax.__version__}, float32, {args.layers} layers"
    )
    for shape in args.shapes.split(","):
        texts, tokens = map(int, shape.split("x"))
        for name in args.families.split(","):
            print(compared(name, args.layers, texts, tokens, args.repeats), flush=True)


def base(model_type: str, layers: int) -> BertConfig:
    """A model of base size."""
    values = BASE | {"num_hidden_layers": layers}
    keys = {setting.field: setting.keys[0] for setting in family_of(model_type).settings if setting.keys}
    sizes = {keys[field]: value for field, value in values.items() if field in keys}
    return parse_config({"model_type": model_type, "num_labels": 2} | sizes | OWN.get(model_type, {}))


def calls(config: BertConfig, texts: int, tokens: int, every_query: bool) -> list:
    """The compiled forward pass and explanation of random texts."""
    ids = np.random.default_rng(1).integers(5, 1000, (texts, tokens)).astype(np.int32)
    batch, params = Texts(ids, np.ones_like(ids), np.zeros_like(ids)), jax.device_put(random_params(config))
    settings = Settings(config, dataclasses.replace(ATTNLRP, every_query=every_query), ATTNLRP.reads[0])
    forward = jax.jit(Bert(config, every_query=every_query).apply).lower({"params": params}, *batch[:3]).compile()
    explain = token_scores.lower(settings, params, batch, None, settings.values).compile()
    return [
        lambda: forward({"params": params}, *batch[:3]),
        lambda: explain(params, batch, None, settings.values),
    ]


def compared(name: str, layers: int, texts: int, tokens: int, repeats: int) -> str:
    """A line: the times of the family and of BERT, and by how much its ratio is larger."""
    config = base(name, layers)
    all_tokens = HEADS[config.value("head_kind")].reads is None
    beside, own = calls(base("bert", layers), texts, tokens, all_tokens), calls(config, texts, tokens, False)
    times = [1e3 * min(column) for column in alternate([*beside, *own], repeats, CLOCK)]
    shown, bert, ours = [f"{value:.0f}" for value in times], times[1] / times[0], times[3] / times[2]
    return (
        f"{name:12} B={texts:<2} T={tokens:<4} forward {shown[2]:>5} ms, relevance {shown[3]:>5} ms, ratio {ours:.2f}; "
        f"BERT {shown[0]:>5}, {shown[1]:>5}, {bert:.2f}; ratio of ratios {ours / bert:.2f}"
    )


if __name__ == "__main__":
    main()
