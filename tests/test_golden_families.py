"""BERT's relatives, in float64, against what transformers and hand-written backward passes computed there.

tests/golden/README.md says what the arrays are.
"""

import functools
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from measures import relative_error
from tolerances import GOLDEN_FAMILIES

from autorel_jax.attribution import relevance
from autorel_jax.attribution.settings import Settings
from autorel_jax.families.family import ASKED_TOKEN, MASKED
from autorel_jax.lrp.composites import COMPOSITES, WORD_EMBEDDINGS
from autorel_jax.model.config_file import parse_config
from autorel_jax.weights.params import to_params

GOLDEN = Path(__file__).parent / "golden" / "families"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.npz"))
each = pytest.mark.parametrize("name", NAMES)


@functools.cache
def golden(name):
    """The arrays of a file, its config, and its weights as our params tree in float64."""
    arrays = np.load(GOLDEN / f"{name}.npz")
    config = parse_config(json.loads((GOLDEN / f"{name}.json").read_text()))
    tensors = {key.removeprefix("weight/"): arrays[key] for key in arrays.files if key.startswith("weight/")}
    made = to_params(tensors, config, name)
    return arrays, made.config, jax.tree.map(np.float64, made.params)


@functools.cache
def explained(name, composite):
    """Logits [B, C] and relevance [B, T, E] at the word embeddings, from 1 at the target."""
    arrays, config, params = golden(name)
    ids, mask = arrays["in/input_ids"], arrays["in/attention_mask"]
    types = arrays["in/token_type_ids"] if "in/token_type_ids" in arrays.files else 0 * ids
    onehot = np.zeros(arrays["out/logits"].shape)
    rows, target = np.arange(len(ids)), arrays["out/target"].T  # the class, or token and class
    onehot[rows, *target] = 1
    if config.task == MASKED:  # which gives the logits of one token
        onehot, mask = onehot[rows, target[0]], mask.copy()
        mask[rows, target[0]] = ASKED_TOKEN
    onehot = onehot.reshape(len(ids), -1)
    with jax.enable_x64(True):
        settings = Settings(config, COMPOSITES[composite], WORD_EMBEDDINGS)
        x = relevance.embeddings(settings, params, ids, types)
        f = relevance.from_embeddings(settings, params, mask, types, settings.values)
        logits, pull = jax.vjp(jax.jit(f), x)
        return np.asarray(logits), np.asarray(pull(onehot)[0])


@each
def test_logits(name):
    expected = golden(name)[0]["out/logits"]
    if golden(name)[1].task == MASKED:
        expected = expected[np.arange(len(expected)), golden(name)[0]["out/target"][:, 0]]
    found = explained(name, "gradient_x_input")[0].reshape(expected.shape)
    if expected.ndim == 3:  # transformers gives padding of a RoBERTa another position; nothing of it reaches a text
        there = golden(name)[0]["in/attention_mask"].astype(bool)
        found, expected = found[there], expected[there]
    assert relative_error(found, expected) <= GOLDEN_FAMILIES


@each
@pytest.mark.parametrize("composite", ["gradient_x_input", "attnlrp", "cp_lrp"])
def test_relevance(name, composite):
    arrays, found = golden(name)[0], explained(name, composite)[1]
    assert relative_error(found, arrays[f"out/{composite}"]) <= GOLDEN_FAMILIES
    assert not found[arrays["in/attention_mask"] == 0].any()
