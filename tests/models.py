"""Tiny models with random weights, for tests: params, state dicts and directories; and how bad ones are refused.

NumPy draws them: jit(init) takes seconds.
"""

import contextlib
import functools
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from autorel_jax.errors import InputError
from autorel_jax.families.albert import AlbertDetails
from autorel_jax.families.deberta import DebertaDetails
from autorel_jax.families.modernbert import ModernDetails
from autorel_jax.model import encoder as bert
from autorel_jax.model.config import BertConfig
from autorel_jax.model.config_file import config_json
from autorel_jax.text.tokens import load_tokenizer
from autorel_jax.weights import write

LITTLE_MEMORY = 2**25  # bytes, for files of at most 200 kB; Python objects are bigger than their pickles
VOCAB = Path(__file__).parent / "fixtures" / "vocab.txt"


def tiny_config(**changes: Any) -> BertConfig:
    """A BERT of 3 layers of width 16, with two labels; `changes` are fields of BertConfig."""
    values = {
        "vocab_size": 60,
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 24,
        "max_position_embeddings": 20,
        "labels": ("negative", "positive"),
    }
    return BertConfig(**values | changes)


def deberta(**changes: Any) -> dict[str, Any]:
    """What a tiny DeBERTa of version 3 has in place of BERT's values; `changes` are keys of its config.json."""
    width = {"hidden_size": 12}  # the root of three times a head's width is exact, also in transformers' float32
    own = {
        "num_attention_heads": 4,
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 8,
        "max_relative_positions": 20,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "position_biased_input": False,
    }
    details = DebertaDetails.read(width | own | changes)
    return width | {"embedding_size": 12, "type_vocab_size": 0, "layer_norm_eps": 1e-7, "details": details}


AFTER_PAD = {"pad_token_id": 1, "max_position_embeddings": 22, "type_vocab_size": 1}
ONE_SEGMENT = {"type_vocab_size": 0, "classifier_dropout": 0.2, "answers_dropout": 0.1}
NO_TABLES = {
    "type_vocab_size": 0,
    "embedding_dropout": 0.0,
    "classifier_dropout": 0.0,
    "layer_norm_eps": 1e-5,
    "details": ModernDetails(local_attention=6, global_every=2),
}
SHARED = {"embedding_size": 8, "hidden_act": "gelu_new", "classifier_dropout": 0.1, "details": AlbertDetails()}
FAMILIES = {  # model_type -> a tiny classifier of it; a suite over families takes a line here
    "bert": tiny_config(),
    "roberta": tiny_config(**AFTER_PAD, model_type="roberta"),
    "xlm-roberta": tiny_config(**AFTER_PAD, model_type="xlm-roberta"),
    "distilbert": tiny_config(**ONE_SEGMENT, model_type="distilbert"),
    "electra": tiny_config(embedding_size=8, model_type="electra"),
    "deberta-v2": tiny_config(**deberta(), model_type="deberta-v2"),
    "mpnet": tiny_config(**AFTER_PAD | {"type_vocab_size": 0}, model_type="mpnet"),
    "camembert": tiny_config(**AFTER_PAD, model_type="camembert"),
    "modernbert": tiny_config(**NO_TABLES, model_type="modernbert"),
    "albert": tiny_config(**SHARED, model_type="albert"),
}


def random_params(config: BertConfig, seed: int = 0, scale: float = 0.1) -> dict[str, Any]:
    """Params as `weights.read` gives them: normal of that standard deviation, LayerNorm scales around 1."""
    rng = np.random.default_rng(seed)

    def draw(path: tuple[Any, ...], shape: jax.ShapeDtypeStruct) -> np.ndarray:
        values = scale * rng.standard_normal(shape.shape, np.float32)
        return values + 1 if path[-1].key == "scale" else values

    return jax.tree.map_with_path(draw, shapes(config))


@functools.cache
def shapes(config: BertConfig) -> dict[str, Any]:
    """`bert.shapes`, traced once for each config."""
    return bert.shapes(config)


def bert_tensors(config: BertConfig | None = None, prefix: str = "bert.", head: str = "") -> dict[str, np.ndarray]:
    """A state dict of PyTorch's BertForSequenceClassification, its names and shapes spelled out."""
    config = config or tiny_config()
    d, f, rng = config.hidden_size, config.intermediate_size, np.random.default_rng(1)
    sizes = {
        "embeddings.word_embeddings.weight": (config.vocab_size, d),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, d),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, d),
        "embeddings.LayerNorm.weight": (d,),
        "embeddings.LayerNorm.bias": (d,),
        "pooler.dense.weight": (d, d),
        "pooler.dense.bias": (d,),
    }
    for i in range(config.num_hidden_layers):
        for module, size in {
            "attention.self.query": (d, d),
            "attention.self.key": (d, d),
            "attention.self.value": (d, d),
            "attention.output.dense": (d, d),
            "attention.output.LayerNorm": (d,),
            "intermediate.dense": (f, d),
            "output.dense": (d, f),
            "output.LayerNorm": (d,),
        }.items():
            sizes[f"encoder.layer.{i}.{module}.weight"] = size
            sizes[f"encoder.layer.{i}.{module}.bias"] = size[:1]
    sizes = {prefix + name: size for name, size in sizes.items()}
    if config.labels:
        sizes |= {
            f"{head}classifier.weight": (config.num_labels, d),
            f"{head}classifier.bias": (config.num_labels,),
        }
    return {name: rng.standard_normal(size, np.float32) for name, size in sizes.items()}


def save(directory: Path, tensors: Any, config: BertConfig | None = None, file: str = "model.safetensors") -> Path:
    """A directory with config.json, and with model.safetensors where that is the file."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config_json(config or tiny_config())))
    if file.endswith("safetensors"):
        save_file(dict(tensors), directory / file)
    return directory


def refusal(call: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """The one line with which the call refuses its arguments."""
    with pytest.raises(InputError) as caught:
        call(*args, **kwargs)
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


@contextlib.contextmanager
def little_memory() -> Iterator[None]:
    """Fails where more is allocated than small files can need."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < LITTLE_MEMORY
    finally:
        tracemalloc.stop()


def write_model(directory: Path, **changes: Any) -> None:
    """Writes a tiny random classifier with the test vocabulary; `changes` are fields of BertConfig."""
    tokenizer = load_tokenizer(VOCAB)
    values = {"vocab_size": tokenizer.max_id + 1, "max_position_embeddings": 64}
    config = tiny_config(**values | {"labels": ("negative", "neutral", "positive")} | changes)
    write(directory, config, random_params(config, scale=0.3), tokenizer)
