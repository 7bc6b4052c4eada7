"""Read-outs: shapes, the same by another way, and that they cost nothing when not asked for."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measures import relative_error
from models import random_params
from test_ledger import CONFIG, IDS, MASK, METHODS, TYPES, found, read, settings
from tolerances import RULE

from autorel_jax.attribution import readouts, relevance
from autorel_jax.attribution.method import Texts
from autorel_jax.lrp.composites import EMBEDDINGS

B, N, T, L, H, F = 4, 4, 9, 3, 4, 24


def test_shapes():
    _, scores, readings = found("attnlrp")
    assert scores.shape == (B, N, T)
    shapes = {name: array.shape for name, array in readings.items() if name not in ("absorbed", "logits")}
    assert shapes == {
        "positions": (B, N, T),
        "segments": (B, N, T),
        "layers": (B, N, L + 1, T),
        "attention": (B, N, L, T),
        "heads": (B, N, L, H, T),
        "neurons": (B, N, L, 5),
        "neuron_relevance": (B, N, L, 5),
    }
    assert readings["neurons"].dtype == np.int32


def test_any_subset_in_one_call():
    at = settings(METHODS["attnlrp"], audit=False, readouts=("heads", "neurons"))
    _, _, readings = read(at, np.float64)
    assert readings.keys() == {"heads", "neurons", "neuron_relevance"}
    for name, array in readings.items():
        assert relative_error(array, found("attnlrp")[2][name]) <= RULE


def test_only_cls_has_relevance_after_the_last_layer():
    _, _, readings = found("attnlrp")
    for name in ("layers", "attention", "heads"):
        last = readings[name][:, :, -1]
        assert last[..., 0].all()
        assert not last[..., 1:].any()


def test_the_first_of_the_layers_is_what_is_read_there():
    at = settings(METHODS["attnlrp"], EMBEDDINGS, audit=False, readouts=("layers",))
    _, scores, readings = read(at, np.float64)
    assert relative_error(readings["layers"][:, :, 0], scores) <= RULE


def moved(name, delta):
    """An op `tap` that adds delta at the point of that name."""
    return lambda point, x: x + delta if point == name else x


@dataclasses.dataclass(frozen=True, eq=False)
class Kept:
    """An op `tap` that keeps what it passes, for a model that runs outside of jit."""

    seen: dict

    def __call__(self, name, x):
        self.seen[name] = x
        return x


@pytest.mark.parametrize("method", ["attnlrp", pytest.param("epsilon", marks=pytest.mark.slow)])
def test_relevance_inside_is_activation_times_multiplier(method):
    """By moving the activation itself: no tap takes part. One layer, so that no scan stands between."""
    config = dataclasses.replace(CONFIG, num_hidden_layers=1)
    composite = METHODS[method]
    at = settings(composite, config=config, readouts=("attention", "heads", "neurons"), neurons=F)
    _, _, readings = read(at, np.float64)
    plain = settings(composite, config=config, audit=False, readouts=())
    with jax.enable_x64(True):
        params = jax.tree.map(np.float64, random_params(config, scale=0.2))
        x = relevance.embeddings(plain, params, IDS, TYPES)

        def first_logit(tap):
            own = dataclasses.replace(composite, ops=dataclasses.replace(composite.ops, tap=tap))
            f = relevance.from_embeddings(dataclasses.replace(plain, method=own), params, MASK, TYPES, plain.values)
            return f(x)[:, 0].sum()

        seen = Kept({})
        first_logit(seen)
        shares = {}
        for name in ("attention", "heads", "neurons"):
            a = seen.seen[name]
            shares[name] = np.asarray(
                a * jax.grad(lambda delta, name=name: first_logit(moved(name, delta)))(jnp.zeros_like(a))
            )
    assert relative_error(readings["attention"][:, 0, 0, 0], shares["attention"][:, 0].sum(axis=-1)) <= RULE
    assert relative_error(readings["heads"][:, 0, 0, :, 0], shares["heads"][:, 0].sum(axis=-1)) <= RULE
    order = np.argsort(-np.abs(shares["neurons"][:, 0]), axis=-1)
    assert (readings["neurons"][:, 0, 0] == order).all()
    expected = np.take_along_axis(shares["neurons"][:, 0], order, axis=-1)
    assert relative_error(readings["neuron_relevance"][:, 0, 0], expected) <= RULE


def test_every_neuron_once_the_strongest_first():
    _, _, readings = read(settings(METHODS["cp_lrp"], readouts=("neurons",), neurons=10**6), np.float64)
    assert readings["neurons"].shape == (B, N, L, F)
    assert (np.sort(readings["neurons"], axis=-1) == np.arange(F)).all()
    kept = np.abs(readings["neuron_relevance"])
    assert (np.diff(kept, axis=-1) <= 0).all()
    few = found("cp_lrp")[2]
    assert (few["neurons"] == readings["neurons"][..., :5]).all()


def test_they_cost_nothing_when_not_asked_for():
    """The program that explains is, but for its name, the one of a call that could read."""
    at = settings(METHODS["attnlrp"], audit=False, readouts=())
    given = random_params(CONFIG), Texts(IDS, MASK, TYPES), None, at.values
    explains, reads = (jax.jit(module.composite_result, static_argnums=0) for module in (relevance, readouts))
    plain, able = (program.lower(at, *given).as_text() for program in (explains, reads))
    assert plain == able
    asked = reads.lower(settings(METHODS["attnlrp"]), *given).as_text()
    assert len(asked) > len(plain)
