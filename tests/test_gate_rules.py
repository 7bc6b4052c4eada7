"""The rules of a gate: by hand, by identity, by what they conserve, and in a composite. Oracle: test_rules.py."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measures import relative_error
from models import FAMILIES, random_params
from questions import token_relevance
from test_ledger import absorbed
from test_rules import drawn, pulled
from tolerances import CONSERVATION, RULE

from autorel_jax.attribution.settings import Settings
from autorel_jax.lrp import gates
from autorel_jax.lrp.composite_file import read_composite
from autorel_jax.lrp.composites import COMPOSITES, WORD_EMBEDDINGS
from autorel_jax.lrp.taps import COUNTED, Audited
from autorel_jax.model import ops


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def shares(rule, activated, linear, c):
    """The relevance of both factors."""
    activated, linear = jnp.asarray(activated), jnp.asarray(linear)
    to_activated = activated * pulled(lambda a: rule(a, linear), activated, c)
    to_linear = linear * pulled(functools.partial(rule, activated), linear, c)
    return np.asarray(to_activated), np.asarray(to_linear)


def test_gate_halved_by_hand():
    # 2 · 3 = 6 with c = 1: R = 6, of it 3 to each. -1 · 4 = -4 with c = 2: R = -8
    found = shares(gates.gate_halved, [2.0, -1.0], [3.0, 4.0], [1.0, 2.0])
    assert [part.tolist() for part in found] == [[3, -4], [3, -4]]


def test_gate_detached_by_hand():
    found = shares(gates.gate_detached, [2.0, -1.0], [3.0, 4.0], [1.0, 2.0])
    assert [part.tolist() for part in found] == [[0, 0], [6, -8]]


def test_gate_halved_is_half_the_gradient():
    a, b, c = drawn(3, 4), drawn(3, 4, seed=1), drawn(3, 4, seed=2)
    plain = [part / 2 for part in shares(ops.gate, a, b, c)]
    assert relative_error(np.stack(shares(gates.gate_halved, a, b, c)), np.stack(plain)) <= RULE


def test_gate_detached_is_the_gradient_of_the_linear_factor():
    a, b, c = drawn(3, 4), drawn(3, 4, seed=1), drawn(3, 4, seed=2)
    np.testing.assert_array_equal(shares(gates.gate_detached, a, b, c)[1], shares(ops.gate, a, b, c)[1])


@pytest.mark.parametrize("rule", [gates.gate_halved, gates.gate_detached])
def test_gate_conserves(rule):
    a, b, c = drawn(3, 4), drawn(3, 4, seed=1), drawn(3, 4, seed=2)
    assert relative_error(sum(shares(rule, a, b, c)), a * b * c) <= CONSERVATION


def test_gate_in_the_ledger_by_hand():
    """2 · 3 = 6 with c = 1: the plain gradient gives 6 to each factor, 6 too much; both rules give away 6."""
    for rule, kept in ((ops.gate, -6.0), (gates.gate_halved, 0.0), (gates.gate_detached, 0.0)):
        found = absorbed(Audited(rule, COUNTED["gate"][0]), [[2.0]], [[3.0]], taps=("rule",))
        assert found == {"rule": [kept]}


def test_gate_in_a_composite_file(tmp_path):
    """The rule that is asked for is the one that computes."""
    path = tmp_path / "own.toml"
    path.write_text('name = "own"\nbase = "cp_lrp"\n[ops]\ngate = "gate_detached"\n')
    config, ids = FAMILIES["modernbert"], np.arange(5, 12)[None]
    params = jax.tree.map(np.float64, random_params(config, scale=0.3))

    def scores(method):
        at = Settings(config, method, WORD_EMBEDDINGS)
        return token_relevance(at, params, ids, 1 + 0 * ids, 0 * ids, None, at.values)[1]

    cp_lrp = COMPOSITES["cp_lrp"]
    found = scores(read_composite(path))
    assert relative_error(found, scores(cp_lrp.derive("own", gate=gates.gate_detached))) <= RULE
    assert relative_error(found, scores(cp_lrp)) > 1e6 * RULE
