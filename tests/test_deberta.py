"""DeBERTa's config and tensors with every trap that was found, and its convolution; MPNet's config."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measures import relative_error
from models import FAMILIES, deberta, random_params, refusal, tiny_config
from test_rules import drawn
from tolerances import BATCH, CONSERVATION, FORWARD, LEDGER_FLOAT64, RULE

from autorel_jax.attribution.method import Texts
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.lrp.composites import COMPOSITES, WORD_EMBEDDINGS
from autorel_jax.model.config_file import config_json, parse_config
from autorel_jax.model.convolution import convolve
from autorel_jax.model.encoder import Bert
from autorel_jax.model.ops import PLAIN
from autorel_jax.model.parameters import parameters
from autorel_jax.weights.params import to_params, to_tensors

TINY = FAMILIES["deberta-v2"]


def parsed(**changes):
    """The config of a file with keys changed; None: the key is absent."""
    raw = config_json(TINY) | changes
    return parse_config({key: value for key, value in raw.items() if value is not None})


def tiny(**changes):
    """The tiny config with other details."""
    return tiny_config(**deberta(**changes), model_type="deberta-v2")


@pytest.mark.parametrize(
    ("value", "terms"),
    [
        ("p2c|c2p", ("c2p", "p2c")),
        (" C2P | p2c", ("c2p", "p2c")),
        (["p2c", "c2p"], ("c2p", "p2c")),
        (["p2c"], ("p2c",)),
        ("c2p", ("c2p",)),
        ("", ()),
        ([], ()),
        (None, ()),
    ],
)
def test_the_terms_of_attention_scores(value, terms):
    config = parsed(pos_att_type=value)
    assert config.details.terms == terms
    assert config.details.summands == 1 + len(terms)
    off = parsed(pos_att_type=value, relative_attention=False)
    assert (off.details.terms, off.details.summands) == ((), 1 + len(terms))  # transformers scales by them all the same


def test_defaults_are_transformers():
    own = parse_config(
        {
            "model_type": "deberta-v2",
            **dict.fromkeys(("vocab_size", "hidden_size", "intermediate_size"), 16),
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": 40,
        }
    )
    assert (own.layer_norm_eps, own.type_vocab_size, own.pad_token_id, own.embedding_width) == (1e-7, 0, 0, 16)
    assert own.details.position_biased_input
    assert not any((own.details.relative_attention, own.details.norm_rel_ebd, own.details.convolves))
    assert (own.details.max_relative_positions, own.details.span) == (40, 40)
    assert parsed(max_relative_positions=-1).details.max_relative_positions == 20
    assert parsed(max_relative_positions=-1, position_buckets=-1).details.relative_rows == 40


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("pos_att_type", ["p2c", "p2p"], "accepted: any of c2p, p2c."),
        ("pos_att_type", "p2c|p2p", "accepted: any of c2p, p2c."),
        ("pos_att_type", 3, "accepted: any of c2p, p2c."),
        ("norm_rel_ebd", "batch_norm", "accepted: any of none, layer_norm."),
        ("pooler_hidden_size", 24, "accepted: 12, by hidden_size=12."),
        ("attention_head_size", 4, "accepted: 3, by hidden_size=12."),
        ("pooler_hidden_act", "swiglu", "is unknown; accepted: gelu, "),
        ("conv_act", "swiglu", "is unknown; accepted: gelu, "),
        ("relative_attention", "yes", "expected true or false."),
        ("position_buckets", 2.5, "expected a whole number."),
        ("position_buckets", 1, "is not supported; accepted: -1, or fewer"),
        ("conv_kernel_size", 4, "with conv_groups=1 is not supported; accepted: an odd size"),
        ("type_vocab_size", -1, "expected a whole number of at least 0."),
        ("position_embedding_type", "relative_key", "accepted: 'absolute'"),
    ],
)
def test_values_that_are_refused_by_name(key, value, said):
    refused = refusal(parsed, **{key: value})
    assert f"{key}={value!r}" in refused
    assert said in refused


def test_values_that_do_not_go_together():
    assert "conv_groups=5 is not supported" in refusal(parsed, conv_kernel_size=3, conv_groups=5)
    assert "position_buckets=8 with distances of up to 4 " in refusal(parsed, max_relative_positions=4)
    assert parsed(position_buckets=40).details.span == 40  # no text is long enough for distances that share a row


def test_parameters_by_config():
    def has(config):
        return {path.rpartition("/")[0].removeprefix("last_layer/") for path in parameters(config)}

    assert {"relative", "relative/norm"} <= has(TINY)
    assert not {"embeddings/widening", "convolution", "position_key", "position_query"} & has(TINY)
    assert "embeddings/position" not in parameters(TINY)
    assert {"position_key", "position_query"} <= has(tiny(share_att_key=False))
    assert "position_key" not in has(tiny(share_att_key=False, pos_att_type="p2c"))
    assert not {"relative", "position_key"} & has(tiny(relative_attention=False, norm_rel_ebd="", share_att_key=False))
    made = parameters(tiny(conv_kernel_size=3, conv_groups=2, position_biased_input=True))
    assert made["convolution/kernel"].shape == (3, 6, 12)
    assert made["embeddings/position"].shape == (20, 12)


def test_tensors_of_pre_training():
    tensors = to_tensors(random_params(TINY), TINY)
    needless = [
        "deberta.embeddings.position_embeddings.weight",  # where position_biased_input is false
        "deberta.embeddings.position_ids",
        "lm_predictions.lm_head.bias",
        "mask_predictions.classifier.weight",
        "cls.predictions.bias",
    ]
    found = to_params(tensors | dict.fromkeys(needless, np.zeros(2, np.float32)), TINY, "here")
    assert sorted(found.ignored) == sorted(needless)
    biased = tiny(position_biased_input=True)
    whole = to_tensors(random_params(biased), biased)
    assert to_params(dict(whole), biased, "here").ignored == ()
    own = "deberta.encoder.layer.0.attention.self.pos_key_proj.weight"
    assert own in refusal(to_params, tensors | {own: np.zeros((12, 12), np.float32)}, TINY, "here")
    said = refusal(to_params, whole | {"deberta.encoder.rel_embeddings.weight": np.zeros((8, 12))}, biased, "here")
    assert "relative_rows=16 in the config asks for [16, 12]" in said


# ---------------------------------------------------------------- the convolution

IDS = np.random.default_rng(0).integers(5, 60, (3, 11))
MASK = (np.arange(11) < np.array([[11], [4], [1]])).astype(np.int32)
CONVOLVED = {
    "3": {"conv_kernel_size": 3},
    "5, in groups": {"conv_kernel_size": 5, "conv_groups": 3, "conv_act": "gelu", "position_biased_input": True},
}
each_convolution = pytest.mark.parametrize("changes", CONVOLVED.values(), ids=CONVOLVED)


@each_convolution
def test_a_convolution_by_loops(changes):
    config = tiny(**changes)
    size, groups, width = config.details.conv_kernel_size, config.details.conv_groups, 12
    x, kernel, bias = drawn(3, 11, width), drawn(size, width // groups, width), drawn(width)
    expected, each = np.zeros_like(x), width // groups
    for b, t, out in np.ndindex(*x.shape):
        if MASK[b, t]:
            expected[b, t, out] = bias[out]
            for w in range(size):
                place = t + w - size // 2
                if 0 <= place < 11 and MASK[b, place]:
                    start = out // each * each
                    expected[b, t, out] += x[b, place, start : start + each] @ kernel[w, :, out]
    with jax.enable_x64(True):
        params = {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}
        found = convolve(PLAIN, config, params, jnp.asarray(x), jnp.asarray(MASK, bool), jnp.float64)
        assert relative_error(found, expected) <= RULE


def explained(config, rows=slice(None), method="attnlrp", dtype=np.float64, **asked):
    """The Result of the method for the first label of texts, with an audit."""
    with jax.enable_x64(dtype == np.float64):
        params = jax.tree.map(dtype, random_params(config, scale=0.3))
        at = Settings(config, COMPOSITES[method], WORD_EMBEDDINGS, **{"audit": True, "readouts": ("layers",)} | asked)
        texts = Texts(IDS[rows], MASK[rows], 0 * IDS[rows])
        weights = np.broadcast_to(np.eye(2)[:1], (len(texts.ids), 1, 2))
        return jax.device_get(token_scores(at, params, texts, weights, at.values))


@pytest.mark.parametrize(("name", "depth"), [("3", 1), ("5, in groups", 3)])
def test_relevance_through_a_convolution(name, depth):
    """Padding gets exactly 0, the ledger closes for the text and layer by layer, and the logits are the plain ones."""
    config = dataclasses.replace(tiny(**CONVOLVED[name]), num_hidden_layers=depth)
    result = explained(config)
    assert not result.relevance[:, 0][MASK == 0].any()
    kept = sum(result.absorbed.items.values())[:, 0]  # [B, L + 2]
    positions = 0 if result.absorbed.positions is None else result.absorbed.positions[:, 0].sum(axis=-1)
    words = result.relevance[:, 0].sum(axis=-1) + positions
    logits = result.logits[:, 0]
    size = abs(np.stack([*(item[:, 0] for item in result.absorbed.items.values())])).sum(axis=(0, 2))
    assert (abs(words + kept.sum(axis=-1) - logits) <= LEDGER_FLOAT64 * size).all()
    stream = result.readouts["layers"][:, 0].sum(axis=-1)  # [B, L + 1]
    ends = np.concatenate([words[:, None], stream, logits[:, None]], axis=1)
    assert relative_error(np.diff(ends), kept) <= CONSERVATION
    with jax.enable_x64(True):
        params = jax.tree.map(np.float64, random_params(config, scale=0.3))
        plain = Bert(config).apply({"params": params}, IDS, MASK, 0 * IDS)
    assert relative_error(result.logits, plain) <= FORWARD


def test_a_text_alone_through_a_convolution():
    config = tiny(**CONVOLVED["3"])
    together = explained(config, dtype=np.float32, audit=False, readouts=())
    alone = explained(config, slice(1, 2), dtype=np.float32, audit=False, readouts=())
    assert relative_error(together.relevance[1:2], alone.relevance) <= BATCH


@pytest.mark.slow  # compiles many programs
def test_dropout_and_rematerialisation_with_a_convolution():
    config = dataclasses.replace(tiny(**CONVOLVED["3"]), hidden_dropout_prob=0.5)
    params = random_params(config, scale=0.3)

    def loss(params, remat):
        model = Bert(config, remat=remat)
        logits = model.apply({"params": params}, IDS, MASK, 0 * IDS, deterministic=False, rngs={"dropout": key})
        return logits.sum()

    key = jax.random.key(1)
    plain, remat = (jax.jit(jax.grad(loss), static_argnums=1)(params, remat) for remat in (False, True))
    for path, found in jax.tree.leaves_with_path(plain):
        assert np.isfinite(found).all(), path
    assert abs(plain["convolution"]["kernel"]).max() > 0
    assert abs(plain["relative"]["table"]).max() > 0
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-5), plain, remat)


# ---------------------------------------------------------------- MPNet


def test_mpnets_config():
    config = FAMILIES["mpnet"]
    raw = config_json(config)
    assert config.longest_text == config.max_position_embeddings - 2
    assert parse_config(raw | {"pad_token_id": 0}).longest_text == config.longest_text  # transformers never reads it
    assert "accepted: 32, as transformers has it" in refusal(parse_config, raw | {"relative_attention_num_buckets": 64})
    absent = ("relative_attention_num_buckets", "pad_token_id")
    assert parse_config({key: value for key, value in raw.items() if key not in absent}) == parse_config(raw)
