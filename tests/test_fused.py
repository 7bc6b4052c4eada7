"""Attention by blocks against attention as it is written: values, rules, ledger, memory, and what is chosen."""

import dataclasses
import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measures import relative_error
from models import FAMILIES, random_params, tiny_config
from tolerances import BFLOAT16, BLOCKS, LEDGER_BLOCKS, LIBRARY_ATTENTION

from autorel_jax.attribution import relevance
from autorel_jax.attribution.method import Texts
from autorel_jax.attribution.methods import METHODS
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.explaining.shapes import few_if_long
from autorel_jax.lrp import by_blocks as blocks_module
from autorel_jax.lrp import fused, rules
from autorel_jax.lrp.by_blocks import by_blocks
from autorel_jax.lrp.composites import COMPOSITES, MULTIPLIER
from autorel_jax.model import ops

RNG = np.random.default_rng(0)


def drawn(queries, keys, texts=3):
    """Query, key, value, a cotangent, and a mask with a whole, a part and no text."""
    shapes = [(texts, queries, 2, 4), (texts, keys, 2, 4), (texts, keys, 2, 4), (texts, queries, 2, 4)]
    mask = np.arange(keys) < np.array([[keys], [keys // 2], [0]])[:texts]
    return [RNG.standard_normal(shape) for shape in shapes], mask


def value_and_cotangents(attention, parts, c):
    out, pull = jax.vjp(attention, *parts)
    return out, *pull(c)


@pytest.mark.parametrize("queries", [11, 3])
def test_blocks_are_attention_and_its_gradient(queries):
    """Blocks of 4 tokens, with padding. The window may be traced, as in a scan over layers of both kinds."""
    (*parts, c), mask = drawn(queries, 11)
    apart = np.abs(np.arange(queries)[:, None] - np.arange(11))

    @jax.jit
    def pairs(window):
        mine = value_and_cotangents(lambda *x: by_blocks(*x, mask, window, 4), parts, c)
        seen = mask[:, None] & (apart <= window)
        return mine, value_and_cotangents(lambda *x: ops.attention(ops.PLAIN, *x, seen), parts, c)

    with jax.enable_x64(True):
        for window in (0, 2, 6, 11):
            found, expected = pairs(window)
            for mine, other in zip(found, expected, strict=True):
                # A token that sees itself alone has a weight of 1, whose scores get nothing.
                assert np.abs(mine - other).max() <= BLOCKS * max(np.abs(other).max(), 1)
            assert not found[0][2].any()  # the text without a token


def test_many_texts_go_through_in_groups(monkeypatch):
    """Forward, and backward for two targets at once."""
    (*parts, c), mask = drawn(8, 8)

    def targets():
        out, pull = jax.vjp(lambda *x: by_blocks(*x, mask, 8, 4), *parts)
        return out, *jax.vmap(pull)(np.stack([c, 2 * c]))

    with jax.enable_x64(True):
        together = jax.jit(lambda: targets())()
        monkeypatch.setattr(blocks_module, "AT_ONCE", 2 * 4 * 4 * 2)  # two texts
        monkeypatch.setattr(jax, "device_count", lambda: 1)
        for mine, other in zip(jax.jit(lambda: targets())(), together, strict=True):
            assert relative_error(mine, other) <= BLOCKS


@pytest.mark.parametrize("contract", [ops.contract, rules.halved, rules.blended])
@pytest.mark.parametrize("softmax", [ops.softmax, rules.detached])
def test_rules_scale_the_gradient(contract, softmax, monkeypatch):
    monkeypatch.setattr(fused, "LEAST", 1)
    monkeypatch.setattr(fused, "BLOCK", 4)
    (*parts, c), mask = drawn(11, 11)
    table = dataclasses.replace(ops.PLAIN, contract=contract, softmax=softmax)
    scores = ops.Scores(products=lambda query, key: ops.Products(query, key, jnp.asarray(mask)))
    with jax.enable_x64(True):
        own = fused.fused(table)
        expected = value_and_cotangents(lambda *x: table.attention(table, *x, mask), parts, c)
        found = jax.jit(value_and_cotangents, static_argnums=0)(
            lambda *x: own.attention(own, *x, mask, scores=scores), parts, c
        )
    for mine, other in zip(found, expected, strict=True):
        assert relative_error(mine, other) <= BLOCKS if np.any(other) else not np.any(mine)


def test_other_rules_keep_their_attention():
    table = COMPOSITES["bert_lrp_jacobian"].ops
    assert fused.fused(table) is table
    own = dataclasses.replace(ops.PLAIN, softmax=lambda scores, mask: ops.softmax(scores, mask))
    assert fused.fused(own) == own


# ---------------------------------------------------------------- whole models

# Parts of 7 cancel to scores of 9e-4 there: 2.2e-12, where the other program moves by 1.5e-12 without an audit.
CANCELS = pytest.mark.xfail(reason="a miss of 1e-12, reported in docs/speed.md", strict=False)
FEW = {"bert": ("attnlrp",), "modernbert": ("attnlrp",)}  # each is two programs to compile
MISSED = ("modernbert", "gradient_x_input")
PAIRS = [
    pytest.param(
        family,
        name,
        marks=[] if name in FEW[family] else [pytest.mark.slow, *([CANCELS] if (family, name) == MISSED else [])],
    )
    for family in ("bert", "modernbert")
    for name, made in COMPOSITES.items()
    if family == "bert" or made.boundary is MULTIPLIER
]


def answers(family, name, least):
    """What `token_scores` finds where attention in blocks starts at `least` tokens."""
    config, made = dataclasses.replace(FAMILIES[family], num_hidden_layers=2), COMPOSITES[name]
    audit = made.boundary is MULTIPLIER
    settings = Settings(config, made, made.reads[0], None, audit, ("heads",) if audit else ())
    rng = np.random.default_rng(1)
    ids = rng.integers(2, config.vocab_size, (3, 18)).astype(np.int32)
    mask = (np.arange(18) < np.array([[18], [11], [1]])).astype(np.int32)
    weights = np.broadcast_to(np.eye(2), (3, 2, 2))
    with jax.enable_x64(True), pytest.MonkeyPatch.context() as patch:
        for constant, value in {"LEAST": least, "BLOCK": 5, "IN_WINDOWS": 4}.items():
            patch.setattr(fused, constant, value)
        params = jax.tree.map(np.float64, random_params(config, scale=0.3))
        given = params, Texts(ids, mask, np.zeros_like(ids)), weights, settings.values
        return jax.jit(functools.partial(token_scores.__wrapped__, settings))(*given)


@pytest.mark.parametrize(("family", "name"), PAIRS)
def test_every_composite_gives_the_same(family, name):
    """Logits, relevance, a read-out and what attention's ops absorb, for two targets of ragged texts."""
    found, expected = answers(family, name, 2), answers(family, name, 1000)
    assert relative_error(found.logits, expected.logits) <= BLOCKS
    assert relative_error(found.relevance, expected.relevance) <= BLOCKS
    if expected.absorbed:
        assert relative_error(found.readouts["heads"], expected.readouts["heads"]) <= BLOCKS
        size = np.abs(expected.relevance).sum(axis=-1).max()
        for item, absorbed in expected.absorbed.items.items():
            assert np.abs(found.absorbed.items[item] - absorbed).max() <= LEDGER_BLOCKS * size


@pytest.mark.slow
def test_layers_that_are_computed_again_give_the_same(monkeypatch):
    """Also with taps, of a read-out and of the ledger."""
    expected = answers("modernbert", "attnlrp", 2)
    monkeypatch.setattr(relevance, "recomputed", lambda config, texts, tokens: True)
    for mine, other in zip(*map(jax.tree.leaves, (answers("modernbert", "attnlrp", 2), expected)), strict=True):
        assert np.abs(mine - other).max() <= LEDGER_BLOCKS * np.abs(expected.relevance).sum(axis=-1).max()


def test_blocks_are_what_runs():
    """The two programs above differ: one has loops over blocks and no array of scores."""
    config, made = FAMILIES["bert"], COMPOSITES["attnlrp"]
    params = random_params(config)
    ids = np.ones((2, 18), np.int32)

    def text(least):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fused, "LEAST", least)
            patch.setattr(fused, "BLOCK", 6)
            settings = Settings(config, made, made.reads[0])
            f = functools.partial(token_scores.__wrapped__, settings)
            return jax.jit(f).lower(params, Texts(ids, ids, ids * 0), None, {}).as_text()

    assert "2x4x18x18xf32" in text(1000)
    assert "2x4x18x18xf32" not in text(2)


def test_memory_grows_with_the_tokens():
    """Of one text: twice the tokens, twice the temporary memory, where scores would need four times as much."""

    def bytes_of(tokens):
        like = jax.ShapeDtypeStruct((1, tokens, 2, 16), jnp.float32)
        mask = jax.ShapeDtypeStruct((1, tokens), bool)

        def pulled(query, key, value, c, mask):
            return jax.vjp(lambda *x: by_blocks(*x, mask, tokens, 256), query, key, value)[1](c)

        return jax.jit(pulled).lower(like, like, like, like, mask).compile().memory_analysis().temp_size_in_bytes

    small, large = bytes_of(4096), bytes_of(8192)
    assert large <= 2.1 * small
    assert large < 4 * 2 * 8192**2 / 16  # a sixteenth of the scores


# ---------------------------------------------------------------- what is chosen, and where it is said


def test_rules_and_shape_choose(monkeypatch):
    def chosen(family, method, tokens, read_at=None, dtype=None):
        method = COMPOSITES.get(method) or METHODS[method]
        config = dataclasses.replace(FAMILIES[family], num_attention_heads=2)
        return Settings(config, method, read_at or method.reads[0], dtype).attention(tokens)

    assert chosen("bert", "attnlrp", fused.LEAST - 1) == "scores"
    for name in ("attnlrp", "cp_lrp", "epsilon", "gradient_x_input", "bert_lrp", "saliency", "occlusion"):
        assert chosen("bert", name, fused.LEAST) == "blocks"
    for name in ("bert_lrp_jacobian", "rollout", "generic_attention"):
        assert chosen("bert", name, 512) == "scores"
    for family in ("deberta-v2", "mpnet"):
        assert chosen(family, "attnlrp", 512) == "scores"
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(compute_capability="9.0")])
    assert chosen("bert", "attnlrp", 512, dtype=jnp.bfloat16) == "cudnn"
    assert chosen("bert", "attnlrp", 512, dtype=jnp.float32) == "blocks"
    assert chosen("modernbert", "attnlrp", 512, dtype=jnp.bfloat16) == "blocks"
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(compute_capability="7.5")])
    assert chosen("bert", "attnlrp", 512, dtype=jnp.bfloat16) == "blocks"


def test_the_librarys_attention_agrees():
    """What a GPU computes with cuDNN, by XLA; a mask with a hole goes by blocks; a text without tokens gets zeros."""
    (*parts, c), mask = drawn(9, 9)
    last, holed = mask.copy(), mask.copy()
    last[2, 0], holed[0, 3] = True, False
    given = [part.astype(np.float32) for part in (*parts, c)]

    @jax.jit
    def library(seen, parts, c):
        return value_and_cotangents(lambda *x: fused.of_library(*x, seen, "xla"), parts, c)

    assert not mask.any(axis=1).all()
    for seen in (last, holed, mask):
        mine = library(jnp.asarray(seen), given[:3], given[3])
        other = value_and_cotangents(lambda *x, m=seen: ops.attention(ops.PLAIN, *x, m), given[:3], given[3])
        for one, expected in zip(mine, other, strict=True):
            assert relative_error(one, expected) <= LIBRARY_ATTENTION


def test_bfloat16_is_near_float32():
    (*parts, c), mask = drawn(9, 9)
    made = jax.jit(lambda parts, c: value_and_cotangents(lambda *x: by_blocks(*x, mask, 9, 4), parts, c))
    found = made([jnp.bfloat16(part) for part in parts], jnp.bfloat16(c))
    assert {part.dtype for part in found} == {jnp.dtype(jnp.bfloat16)}
    for mine, other in zip(found, made(parts, c), strict=True):
        assert relative_error(np.float32(mine), other) <= BFLOAT16


def test_long_texts_are_few_and_computed_again():
    assert [few_if_long(32, tokens) for tokens in (512, 1024, 1536, 8192, 32768)] == [32, 16, 8, 2, 1]
    base = tiny_config(hidden_size=768, num_hidden_layers=12, num_attention_heads=12)
    shapes = (32, 512), (1, 1024), (1, 4096), (1, 8192)
    assert [relevance.recomputed(base, *shape) for shape in shapes] == [False, False, True, True]
