"""Tiny models of masked words, with random weights and the tokenizers of the tests."""

from pathlib import Path

import numpy as np
from family_models import CHANGES, tokenizer_of
from models import random_params, tiny_config

from autorel_jax.families.family import MASKED
from autorel_jax.weights import write

TEXT = "the [MASK] film, a witty one."


def masked_config(model_type: str = "bert", **changes):
    """A tiny config; `changes` are fields of BertConfig."""
    values = {"labels": (), "task": MASKED, "max_position_embeddings": 42, "num_hidden_layers": 2}
    return tiny_config(**CHANGES[model_type] | values | changes, model_type=model_type)


def write_masked(folder: Path, model_type: str = "bert", **changes) -> Path:
    """A directory whose likeliest fillings differ from text to text."""
    tokenizer = tokenizer_of(folder.with_name(f"{folder.name}-tokenizer"), model_type)
    config = masked_config(model_type, vocab_size=tokenizer.max_id + 1, **changes)
    params = random_params(config, scale=0.3)
    rng = np.random.default_rng(1)
    params["decoder"]["bias"] = rng.standard_normal(config.vocab_size).astype(np.float32) / 10
    write(folder, config, params, tokenizer)
    return folder
