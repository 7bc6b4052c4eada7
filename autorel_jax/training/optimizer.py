"""Optimizer: TrainConfig -> an optax transformation, its schedule, and what of the parameters stays as it is.

The layers but the last are stacked, so a leaf of `params["layers"]` is L-1 tensors and may be frozen in part. The
state is a pytree of arrays: moments of what is trained, and step counts. Used by the training loop, where a step is

    gradients = jax.grad(lambda params: loss(hold(params, held)))(params)
    updates, state = transformation.update(gradients, state, params)
    params = optax.apply_updates(params, updates)
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from autorel_jax.errors import InputError
from autorel_jax.model.ops import Array
from autorel_jax.training.config import TrainConfig

Tree = Any  # nested dicts as the parameters
NO_DECAY = ("bias", "scale")  # the last part of a parameter's path; only LayerNorm has a scale
CLIP_EPSILON = 1e-6  # added to the norm that is clipped, as in PyTorch's clip_grad_norm_


def schedule(config: TrainConfig, steps: int) -> optax.Schedule:
    """The learning rate of each of `steps` optimizer steps, counted from 0.

    With W = warmup * steps, rounded and less than steps, step k uses

        peak * (k + 1) / (W + 1)                             k < W: the warm-up
        peak * r,  r = (steps - k) / (steps - W)             linear
        peak * (1 - cos(π r)) / 2                            cosine
        peak                                                 constant

    So the peak is reached at step W, the last step still learns, and the rate is 0 from k = steps on. This is Hugging
    Face's get_linear_schedule_with_warmup but for the warm-up, which there is k / W: its first step changes nothing.
    """
    peak, shape = config.learning_rate, config.schedule
    warmup = min(round(config.warmup * steps), steps - 1)

    def rate(count: Array) -> Array:
        k = jnp.asarray(count, float)  # of the default width; float32 is exact to 16.7 million steps
        left = jnp.clip((steps - k) / (steps - warmup), 0, 1)
        # sin² in place of (1 - cos) / 2: exact for small r.
        after = {"linear": left, "cosine": jnp.sin(left * math.pi / 2) ** 2, "constant": jnp.ones_like(k)}[shape]
        return peak * jnp.where(k < warmup, (k + 1) / (warmup + 1), after)

    return rate


def optimizer(config: TrainConfig, steps: int, params: Tree) -> optax.GradientTransformation:
    """The transformation of gradients into updates for `steps` steps.

    `adamw` clips the norm of the whole gradient and corrects Adam's bias, as torch.optim.AdamW behind clip_grad_norm_.
    `bert_adam` is that of BERT's first PyTorch version: each tensor's gradient is clipped by itself, and the bias is
    not corrected. In both the decay is decoupled and scaled by the learning rate. What is frozen gets updates of -0.0,
    which change no bit, counts into no norm, and has no moments where the whole leaf is frozen.

    Args:
      config: the hyperparameters.
      steps: optimizer steps that the schedule spans.
      params: the parameters or their `jax.ShapeDtypeStruct`s.

    Raises:
      InputError: more layers to freeze than there are.
    """
    held = frozen(config, params)
    if config.optimizer == "bert_adam":
        rules = (clip_each(config.clip), scale_uncorrected(config))
    else:
        rules = (clip_whole(config.clip), optax.scale_by_adam(config.beta1, config.beta2, config.epsilon))
    decay = optax.add_decayed_weights(config.weight_decay, decayed(params))
    train = optax.chain(*rules, decay, optax.scale_by_learning_rate(schedule(config, steps)))
    trained = jax.tree.map(lambda hold: hold is not True, held)
    return optax.chain(still(held), optax.masked(train, trained), still(held))


def decayed(params: Tree) -> Tree:
    """For each leaf, whether its weights decay: all but biases and LayerNorm."""
    return jax.tree.map_with_path(lambda path, _: path[-1].key not in NO_DECAY, params)


def frozen(config: TrainConfig, params: Tree) -> Tree:
    """For each leaf True (frozen), False (trained), or bools [L-1] where that holds of a part of the stack only.

    Raises:
      InputError: more layers to freeze than there are, or layers that share their parameters.
    """
    count, stacked = config.freeze_layers, max(leaf.shape[0] for leaf in jax.tree.leaves(params["layers"]))
    if count and "last_layer" not in params:
        raise InputError(f"freeze_layers={count}: this model's layers share their parameters; leave it out.")
    if count > stacked + 1:
        raise InputError(f"freeze_layers={count}: the model has {stacked + 1} layers; freeze at most that many.")
    part = np.arange(stacked) < count
    parts = {"embeddings": config.freeze_embeddings or count > 0, "last_layer": count > stacked}

    def hold(path: tuple[Any, ...], leaf: Any) -> Any:
        if path[0].key != "layers":
            return parts.get(path[0].key, False)
        own = part[stacked - leaf.shape[0] :]  # the lowest layers may lack it
        return count > 0 if own.all() else bool(own.any()) and own

    return jax.tree.map_with_path(hold, params)


def hold(params: Tree, held: Tree) -> Tree:
    """The parameters, those in leaves that are frozen as a whole as constants of the derivative.

    Their gradient is 0 and XLA computes none of it; with the whole stack frozen there is no backward pass through it
    either. For a stack that is frozen in part nothing is saved: one scan runs back through all of it, and `optimizer`
    drops the frozen layers' part of the gradient.
    """
    return jax.tree.map(lambda leaf, hold: jax.lax.stop_gradient(leaf) if hold is True else leaf, params, held)


def gradient_norm(gradients: Tree, held: Tree) -> Array:
    """The norm of the gradient of all that is trained, before clipping."""
    return optax.tree.norm(silence(gradients, held))


def silence(tree: Tree, held: Tree) -> Tree:
    """The tree with -0.0 for all that is frozen: the one number that changes no bit of what it is added to."""

    def quiet(leaf: Array, hold: Any) -> Array:
        if hold is False:
            return leaf
        return jnp.where(np.reshape(hold, (-1,) + (1,) * (leaf.ndim - 1)), jnp.asarray(-0.0, leaf.dtype), leaf)

    return jax.tree.map(quiet, tree, held)


def still(held: Tree) -> optax.GradientTransformation:
    """`silence` as a transformation: of gradients before all others, and of updates after them."""
    return optax.stateless(lambda updates, params: silence(updates, held))


def shrink(gradient: Array, norm: Array, limit: float) -> Array:
    """The gradient, scaled to the limit where its norm exceeds it."""
    return gradient * jnp.minimum(1, limit / (norm + CLIP_EPSILON)).astype(gradient.dtype)


def clip_whole(limit: float) -> optax.GradientTransformation:
    """Clips the norm of the whole gradient; 0 clips nothing.

    As PyTorch's clip_grad_norm_; optax's clip_by_global_norm has no CLIP_EPSILON, which shows in the tenth digit.
    """

    def clip(gradients: Tree, params: Tree) -> Tree:
        norm = optax.tree.norm(gradients)
        return jax.tree.map(lambda gradient: shrink(gradient, norm, limit), gradients)

    return optax.stateless(clip) if limit else optax.identity()


def clip_each(limit: float) -> optax.GradientTransformation:
    """Clips the norm of each tensor's gradient, in the stack that of each layer's; 0 clips nothing."""

    def clip(path: tuple[Any, ...], gradient: Array) -> Array:
        axes = tuple(range(path[0].key == "layers", gradient.ndim))
        return shrink(gradient, jnp.sqrt(jnp.sum(gradient**2, axis=axes, keepdims=True)), limit)

    return optax.stateless(lambda tree, params: jax.tree.map_with_path(clip, tree)) if limit else optax.identity()


def scale_uncorrected(config: TrainConfig) -> optax.GradientTransformation:
    """Adam's direction m / (sqrt v + ε) without the correction of the bias of m and v."""

    def init(params: Tree) -> tuple[Tree, Tree]:
        return optax.tree.zeros_like(params), optax.tree.zeros_like(params)

    def update(gradients: Tree, state: tuple[Tree, Tree], params: Tree = None) -> tuple[Tree, tuple[Tree, Tree]]:
        m = optax.tree.update_moment(gradients, state[0], config.beta1, 1)
        v = optax.tree.update_moment(gradients, state[1], config.beta2, 2)
        return jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + config.epsilon), m, v), (m, v)

    return optax.GradientTransformation(init, update)
