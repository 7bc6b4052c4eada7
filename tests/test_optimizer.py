"""The schedule by hand, both optimizers against independent ones, and what is frozen bit by bit."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from models import random_params, refusal, shapes, tiny_config
from tolerances import GRADIENT_NORM, OPTIMIZER, SCHEDULE

from autorel_jax.data.task import TaskConfig
from autorel_jax.model.encoder import Bert
from autorel_jax.training.config import TrainConfig
from autorel_jax.training.optimizer import decayed, frozen, gradient_norm, hold, optimizer, schedule

STEPS = 20


def train_config(**changes):
    """Hyperparameters whose every effect is large."""
    values = {"learning_rate": 0.05, "warmup": 0.3, "weight_decay": 0.1, "epsilon": 1e-3}
    return TrainConfig(TaskConfig(train="train.tsv"), **values | changes)


def tree(seed, stacked=2):
    """Numbers in the shape of the parameters: a smaller tree than BERT's, with a leaf of each kind."""
    draw = np.random.default_rng(seed).standard_normal
    return {
        "embeddings": {"word": draw((5, 3)), "norm": {"scale": draw(3), "bias": draw(3)}},
        "layers": {"query": {"kernel": draw((stacked, 3, 4)), "bias": draw((stacked, 4))}},
        "last_layer": {"output_norm": {"scale": draw(3), "bias": draw(3)}},
        "classifier": {"kernel": draw((3, 4)), "bias": draw(4)},
    }


def gradient(step, stacked=2):
    """Gradients of norm 0.1 to 20, so that some are clipped to 1 and some are not."""
    return jax.tree.map(lambda leaf: leaf * (2 if step % 3 else 0.04) / (1 + step % 4), tree(100 + step, stacked))


def trajectory(config, gradients, params):
    """The parameters after each step, compiled once."""
    transformation, compiled = optimizer(config, STEPS, params), []

    @jax.jit
    def update(gradients, state, params):
        compiled.append(1)
        updates, state = transformation.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    params = jax.tree.map(jnp.asarray, params)
    state, found = transformation.init(params), []
    for step in gradients:
        params, state = update(jax.tree.map(jnp.asarray, step), state, params)
        found.append(jax.tree.map(np.asarray, params))
    assert len(compiled) == 1
    return found


def named(values):
    """Leaves by path, such as layers/query/bias."""
    return {"/".join(key.key for key in path): leaf for path, leaf in jax.tree.leaves_with_path(values)}


def tensors(values):
    """`named`, the stack cut into layers 0, 1, …, as independent optimizers see them."""
    found = {}
    for name, leaf in named(values).items():
        if name.startswith("layers/"):
            found |= {f"{name}/{row}": part for row, part in enumerate(leaf)}
        else:
            found[name] = leaf
    return found


def assert_close(ours, theirs, tolerance):
    """Two dicts of tensors have the same names and numbers."""
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=0, atol=tolerance, err_msg=name)


def half_cosine(left):
    return (1 - math.cos(math.pi * left)) / 2


RATES = [  # schedule, warmup, the rates of each step and of the two after the last, as parts of the peak
    ("linear", 0.0, [1, 3 / 4, 1 / 2, 1 / 4, 0, 0]),
    ("linear", 0.4, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3, 0, 0]),
    ("linear", 0.3, [1 / 3, 2 / 3, 1, 3 / 4, 1 / 2, 1 / 4, 0, 0]),  # W = 1.8, rounded to 2
    ("linear", 0.9, [1 / 4, 2 / 4, 3 / 4, 1, 0, 0]),  # W = 3.6, at most 3
    ("linear", 0.9, [1, 0, 0]),
    ("cosine", 0.4, [1 / 3, 2 / 3, 1, half_cosine(2 / 3), half_cosine(1 / 3), 0, 0]),
    ("constant", 0.5, [1 / 3, 2 / 3, 1, 1, 1, 1]),
]


@pytest.mark.parametrize(("shape", "warmup", "parts"), RATES)
def test_schedule_by_hand(shape, warmup, parts):
    config = train_config(schedule=shape, warmup=warmup, learning_rate=0.5)
    with jax.enable_x64(True):
        rate = jax.jit(schedule(config, len(parts) - 2))
        found = [float(rate(np.int32(k))) for k in range(len(parts))]
    np.testing.assert_allclose(found, [0.5 * part for part in parts], rtol=0, atol=SCHEDULE)
    assert [value == 0 for value in found] == [part == 0 for part in parts]  # exactly


def oracle(config, rates, gradients, params):
    """BertAdam of pytorch_pretrained_bert from its definition, one tensor after the other."""
    found = [{} for _ in gradients]
    for name, p in tensors(params).items():
        decay = 0 if "bias" in name or "norm" in name else config.weight_decay
        m, v = np.zeros_like(p), np.zeros_like(p)
        for k, step in enumerate(gradients):
            g = tensors(step)[name]
            size = math.sqrt(sum(x * x for x in g.ravel()))
            if config.clip and size > config.clip:
                g = g * (config.clip / (size + 1e-6))
            m = config.beta1 * m + (1 - config.beta1) * g
            v = config.beta2 * v + (1 - config.beta2) * g * g
            p = p - rates[k] * (m / (np.sqrt(v) + config.epsilon) + decay * p)
            found[k][name] = p
    return found


def linear_rates(config):
    """Of STEPS steps, the first 0.3 * 20 = 6 being the warm-up."""
    return [config.learning_rate * ((k + 1) / 7 if k < 6 else (20 - k) / 14) for k in range(STEPS)]


@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_bert_adam(clip):
    config = train_config(optimizer="bert_adam", clip=clip)
    gradients, params = [gradient(k) for k in range(STEPS)], tree(0)
    sizes = [np.linalg.norm(g) for step in gradients for g in tensors(step).values()]
    assert min(sizes) < 1 < max(sizes)
    with jax.enable_x64(True):
        ours = trajectory(config, gradients, params)
    for found, expected in zip(ours, oracle(config, linear_rates(config), gradients, params), strict=True):
        assert_close(tensors(found), expected, OPTIMIZER)


@pytest.mark.parity
@pytest.mark.parametrize("clip", [0.0, 1.0])
def test_adamw_of_pytorch(clip):
    torch = pytest.importorskip("torch")
    config = train_config(clip=clip)
    gradients, params = [gradient(k) for k in range(STEPS)], tree(0)
    theirs = {name: torch.nn.Parameter(torch.tensor(leaf)) for name, leaf in tensors(params).items()}
    plain = [name for name in theirs if "bias" in name or "norm" in name]
    groups = [
        {"params": [theirs[name] for name in plain], "weight_decay": 0},
        {"params": [leaf for name, leaf in theirs.items() if name not in plain], "weight_decay": config.weight_decay},
    ]
    adam = torch.optim.AdamW(groups, lr=1, betas=(config.beta1, config.beta2), eps=config.epsilon)
    with jax.enable_x64(True):
        ours = trajectory(config, gradients, params)
    sizes = []
    for step, rate, found in zip(gradients, linear_rates(config), ours, strict=True):
        for name, leaf in tensors(step).items():
            theirs[name].grad = torch.tensor(leaf)
        sizes.append(torch.nn.utils.clip_grad_norm_(theirs.values(), clip or math.inf).item())
        for group in adam.param_groups:
            group["lr"] = rate
        adam.step()
        assert_close(tensors(found), {name: leaf.detach().numpy() for name, leaf in theirs.items()}, OPTIMIZER)
    assert min(sizes) < 1 < max(sizes)


def test_decay_spares_biases_and_layer_norm():
    names = [name for name, decays in named(decayed(shapes(tiny_config()))).items() if decays]
    maps = ("query", "key", "value", "attention_output", "inner", "output")
    expected = {f"embeddings/{table}" for table in ("word", "position", "type")}
    expected |= {f"{part}/{name}/kernel" for part in ("layers", "last_layer") for name in maps}
    assert set(names) == expected | {"pooler/kernel", "classifier/kernel"}


FROZEN = [  # settings, rows of the stack, frozen rows of the stack, whether the embeddings and the last layer are
    ({}, 2, 0, False, False),
    ({"freeze_embeddings": True}, 2, 0, True, False),
    ({"freeze_layers": 1}, 2, 1, True, False),
    ({"freeze_layers": 1, "optimizer": "bert_adam"}, 2, 1, True, False),
    ({"freeze_layers": 2}, 2, 2, True, False),
    ({"freeze_layers": 3, "optimizer": "bert_adam"}, 2, 2, True, True),
    ({"freeze_layers": 1}, 0, 0, True, True),  # a model of one layer
]


def expected_frozen(values, rows, embeddings, last):
    """The names of the tensors that stay as they are."""
    parts = {"embeddings": embeddings, "last_layer": last}
    return {
        name
        for name in tensors(values)
        if parts.get(name.split("/")[0], False) or (name.startswith("layers") and int(name.split("/")[-1]) < rows)
    }


@pytest.mark.parametrize(("settings", "stacked", "rows", "embeddings", "last"), FROZEN)
def test_the_frozen_stay_bit_by_bit(settings, stacked, rows, embeddings, last):
    params = jax.tree.map(np.float32, tree(0, stacked))
    held = expected_frozen(params, rows, embeddings, last)
    gradients = [jax.tree.map(np.float32, gradient(k, stacked)) for k in range(3)]
    for name, leaf in tensors(params).items():
        leaf[0] = -0.0  # to which a sum with 0.0 would give another sign
        for step in gradients:
            tensors(step)[name][...] *= np.nan if name in held else 1
    before = {name: leaf.tobytes() for name, leaf in tensors(params).items()}
    after = tensors(trajectory(train_config(**settings), gradients, params)[-1])
    assert {name for name, leaf in after.items() if leaf.tobytes() == before[name]} == held
    assert all(np.isfinite(leaf).all() for leaf in after.values())


@pytest.mark.parametrize(("settings", "stacked", "rows", "embeddings", "last"), FROZEN)
def test_the_norm_is_that_of_the_trained(settings, stacked, rows, embeddings, last):
    step = gradient(1, stacked)
    held = expected_frozen(step, rows, embeddings, last)
    squares = sum((leaf**2).sum() for name, leaf in tensors(step).items() if name not in held)
    with jax.enable_x64(True):
        norm = float(gradient_norm(step, frozen(train_config(**settings), step)))
    np.testing.assert_allclose(norm, math.sqrt(squares), rtol=GRADIENT_NORM)


@pytest.mark.parametrize("kind", ["adamw", "bert_adam"])
def test_the_trained_move_as_if_the_frozen_had_no_gradient(kind):
    config, params = train_config(optimizer=kind, freeze_layers=1), tree(0)
    held, loud, silent = expected_frozen(params, 1, True, False), [gradient(k) for k in range(3)], []
    for step in loud:
        silent.append(jax.tree.map(np.copy, step))
        for name in held:
            tensors(step)[name][...] = 1e3
            tensors(silent[-1])[name][...] = 0
    with jax.enable_x64(True):
        found = tensors(trajectory(config, loud, params)[-1])
        expected = tensors(trajectory(train_config(optimizer=kind), silent, params)[-1])
    trained = found.keys() - held
    assert_close({name: found[name] for name in trained}, {name: expected[name] for name in trained}, OPTIMIZER)


@pytest.mark.parametrize("kind", ["adamw", "bert_adam"])
@pytest.mark.parametrize(("layers", "parts"), [(0, 4), (1, 3), (2, 2), (3, 1)])
def test_no_moments_of_leaves_frozen_as_a_whole(kind, layers, parts):
    params = jax.tree.map(np.float32, tree(0))
    transformation = optimizer(train_config(optimizer=kind, freeze_layers=layers), STEPS, params)
    state = jax.tree.leaves(jax.eval_shape(transformation.init, params))
    moments = [leaf.shape for leaf in state if leaf.shape]
    trained = ("embeddings", "layers", "last_layer", "classifier")[-parts:]
    assert sorted(moments) == sorted(2 * [leaf.shape for name in trained for leaf in jax.tree.leaves(params[name])])


def test_the_frozen_by_leaf():
    params = shapes(tiny_config(num_hidden_layers=4))
    by_part = {name: jax.tree.leaves(part) for name, part in frozen(train_config(freeze_layers=2), params).items()}
    assert all(hold is True for hold in by_part["embeddings"])
    assert all(hold.tolist() == [True, True, False] for hold in by_part["layers"])
    assert all(hold is False for name in ("last_layer", "pooler", "classifier") for hold in by_part[name])


def test_more_layers_than_there_are():
    config = train_config(freeze_layers=4)
    for call in (lambda: frozen(config, tree(0)), lambda: optimizer(config, STEPS, tree(0))):
        assert refusal(call) == "freeze_layers=4: the model has 3 layers; freeze at most that many."


@pytest.mark.parametrize("kind", ["adamw", "bert_adam"])
def test_the_state_is_arrays_and_continues_from_a_copy(kind):
    config, params = train_config(optimizer=kind, freeze_layers=1), jax.tree.map(jnp.float32, tree(0))
    structs = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), params)
    transformation = optimizer(config, STEPS, structs)
    update, state = jax.jit(transformation.update), transformation.init(params)
    _, state = update(jax.tree.map(jnp.float32, gradient(0)), state, params)
    leaves, structure = jax.tree.flatten(state)
    assert all(isinstance(leaf, jax.Array) for leaf in leaves)
    assert structure == jax.tree.structure(jax.eval_shape(transformation.init, structs))
    copy = jax.tree.unflatten(structure, [jnp.asarray(np.array(leaf)) for leaf in leaves])
    step = jax.tree.map(jnp.float32, gradient(1))
    jax.tree.map(np.testing.assert_array_equal, update(step, copy, params), update(step, state, params))


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, (2, True)),
        ({"freeze_embeddings": True}, (2, False)),
        ({"freeze_layers": 1}, (2, False)),  # the scan runs back through the frozen layer of the stack too
        ({"freeze_layers": 2}, (1, False)),
    ],
)
def test_hold_saves_what_leads_to_the_frozen_alone(settings, found):
    """Scans of a gradient, forward and back, and whether it adds up rows of the word embeddings."""
    model = tiny_config()
    held, ids = frozen(train_config(**settings), shapes(model)), np.ones((2, 5), np.int32)

    def loss(params):
        return Bert(model).apply({"params": hold(params, held)}, ids, ids, ids).sum()

    text = str(jax.make_jaxpr(jax.grad(loss))(random_params(model)))
    scatter = f"f32[{model.vocab_size},{model.hidden_size}] = scatter-add"
    assert (text.count(" scan["), scatter in text) == found
