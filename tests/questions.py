"""Methods on tiny models: texts of random ids, what `token_scores` returns for them, and values of coalitions."""

from typing import Any

import jax
import numpy as np
from models import random_params, tiny_config

from autorel_jax.attribution.method import Method, Result, Texts
from autorel_jax.attribution.methods import METHODS
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.classifier import forward

CONFIG = tiny_config(labels=("a", "b", "c"))
LENGTHS = np.array([9, 9, 4, 1])  # with [CLS], which is no unit: 8, 8, 3 and 0 units
RNG = np.random.default_rng(0)
IDS = RNG.integers(0, CONFIG.vocab_size, (4, 9)).astype(np.int32)
MASK = (np.arange(9) < LENGTHS[:, None]).astype(np.int32)
TYPES = ((np.arange(9) > 4) * MASK).astype(np.int32)
UNITS = np.where((np.arange(9) > 0) & (MASK == 1), np.arange(9) - 1, -1).astype(np.int32)
TEXTS = Texts(IDS, MASK, TYPES, UNITS)
BASELINE_IDS = {"pad": 0, "mask": 7}
EYE = np.broadcast_to(np.eye(3, dtype=np.float32), (4, 3, 3))  # every class, one by one
FEW = {  # parameters that make each method quick
    "smoothgrad": {"samples": 3},
    "integrated_gradients": {"steps": 4},
    "expected_gradients": {"samples": 3},
    "lime": {"samples": 40},
    "kernel_shap": {"samples": 40},
    "shapley_sampling": {"samples": 2},
    "contrast_cat": {"below": 1.0},  # a tiny model is sure of nothing
}
REFERENCES = RNG.standard_normal((3, CONFIG.depth, 7, CONFIG.hidden_size), np.float32)  # means, by label
OTHER_TEXTS = ["a film", "not a bad film", "good"]
QUICK = {name: made.set(FEW.get(name)) for name, made in METHODS.items()}


def rows(*places: int, length: int | None = None) -> Texts:
    """Some of TEXTS, cut to a length."""
    return Texts(*(part[list(places), :length] for part in TEXTS))


def answer(
    method: Method,
    texts: Texts = TEXTS,
    weights: Any = None,
    params: Any = None,
    config: Any = CONFIG,
    read_at: Any = None,
) -> list[np.ndarray]:
    """Logits [B, C], scores [B, N, T] and diagnostics [B, N, M]."""
    params = random_params(config, scale=0.3) if params is None else params
    settings = Settings(config, method, read_at or method.reads[0])
    return parts(method, token_scores(settings, params, texts, weights, values_of(method, config)))


def values_of(method: Method, config: Any = CONFIG) -> Any:
    """The parameters as arrays, and references for a method that contrasts."""
    return method.values(config, BASELINE_IDS) | ({"references": REFERENCES} if method.contrasts else {})


def call_of(name: str) -> dict[str, Any]:
    """What `ar.explain` takes for a method of QUICK."""
    references = {"references": OTHER_TEXTS} if QUICK[name].contrasts else {}
    return {"method": name, "parameters": QUICK[name].record(), **references}


def parts(method: Method, result: Result) -> list[np.ndarray]:
    """Logits [B, C], scores [B, N, T] and diagnostics [B, N, M] of a Result."""
    measured = [np.asarray(result.diagnostics[name]) for name in method.diagnostics]
    nothing = np.zeros((*result.relevance.shape[:2], 0))
    diagnostics = np.stack(measured, axis=-1) if measured else nothing
    return [np.asarray(result.logits), np.asarray(result.relevance), diagnostics]


def token_relevance(settings: Settings, params: Any, ids: Any, mask: Any, types: Any, weights: Any, values: Any) -> Any:
    """Logits [B, C] and relevance [B, N, T]."""
    result = token_scores(settings, params, Texts(ids, mask, types), weights, values)
    return result.logits, result.relevance


def token_readouts(settings: Settings, params: Any, ids: Any, mask: Any, types: Any, weights: Any, values: Any) -> Any:
    """Logits, relevance, and by name what was read and counted."""
    result = token_scores(settings, params, Texts(ids, mask, types), weights, values)
    return result.logits, result.relevance, readings(result)


def readings(result: Result) -> dict[str, Any]:
    """Read-outs and what an audit counted, by name."""
    read = dict(result.readouts)
    if result.absorbed is not None:
        counted = result.absorbed._asdict()
        read |= {"absorbed": counted.pop("items")} | {name: part for name, part in counted.items() if part is not None}
    return read


def exact(method: Method, texts: Texts = TEXTS, weights: Any = EYE, **options: Any) -> list[np.ndarray]:
    """As `answer`, in float64."""
    with jax.enable_x64(True):
        return answer(method, texts, weights, jax.tree.map(np.float64, random_params(CONFIG, scale=0.3)), **options)


def part_logits(row: int, on: np.ndarray) -> np.ndarray:
    """Logits [P, C] in float64 of a row of TEXTS in parts: on [P, U], with [MASK] for a token that is off."""
    ids = np.repeat(IDS[[row]], len(on), axis=0)
    for place in np.flatnonzero(UNITS[row] >= 0):
        ids[~on[:, UNITS[row, place]], place] = BASELINE_IDS["mask"]
    mask, types = (np.repeat(part[[row]], len(on), axis=0) for part in (MASK, TYPES))
    with jax.enable_x64(True):
        params = jax.tree.map(np.float64, random_params(CONFIG, scale=0.3))
        return np.asarray(forward(CONFIG, None, params, ids, mask, types))
