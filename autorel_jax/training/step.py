"""One optimizer step and one evaluation batch, compiled once for each length of batch.

Pure: (State, batch) -> (State, what to log). Dropout's keys come from the seed and the step number, so that a run
that was resumed, or that runs on another number of devices, draws the same.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from autorel_jax import sharding
from autorel_jax.model.encoder import Bert, Params
from autorel_jax.model.ops import Array
from autorel_jax.training.batches import TrainBatch
from autorel_jax.training.loss import loss, rows_of_labels
from autorel_jax.training.optimizer import gradient_norm, hold


class State(NamedTuple):
    """All that an optimizer step changes."""

    step: Array  # [] int32, optimizer steps taken
    params: Params
    moments: Any  # the optimizer's state


class Logged(NamedTuple):
    """Of one step."""

    loss: Array  # [], the mean over the rows of the step
    gradient_norm: Array  # [], before clipping


@dataclasses.dataclass(frozen=True, eq=False)
class Learner:
    """What stays the same over a run: the model, how it is optimized, and where arrays lie."""

    model: Bert
    transform: optax.GradientTransformation
    frozen: Any  # see optimizer.frozen
    class_weights: Array | None
    smoothing: float
    seed: int
    mesh: Mesh
    layout: str

    def shapes(self, params: Params) -> State:
        """The State that begins with such params, as shapes with their shardings; computes nothing."""
        state = jax.eval_shape(lambda: State(jnp.zeros((), jnp.int32), params, self.transform.init(params)))
        places = sharding.layout_of(self.mesh, state, self.layout)
        return jax.tree.map(
            lambda leaf, place: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), state, places
        )

    def begin(self, params: Params) -> State:
        """The State before the first step; every process has the same host arrays."""
        places = jax.tree.map(lambda leaf: leaf.sharding, self.shapes(params))
        params = sharding.put(params, places.params)
        moments = jax.jit(self.transform.init, out_shardings=places.moments)(params)
        return State(sharding.put(jnp.zeros((), jnp.int32), places.step), params, moments)

    def compiled(self, state: State) -> tuple[Any, Any]:
        """The functions (state, batch) -> (state, Logged) and (params, batch) -> (logits, loss, weight)."""
        places = jax.tree.map(lambda leaf: leaf.sharding, state)
        whole = sharding.copied(self.mesh)
        step = jax.jit(
            self.step,
            in_shardings=(places, sharding.by_rows(self.mesh, axis=1)),
            out_shardings=(places, Logged(whole, whole)),
            donate_argnums=0,
        )
        evaluate = jax.jit(
            self.evaluate,
            in_shardings=(places.params, sharding.by_rows(self.mesh)),
            out_shardings=(whole, whole, whole),
        )
        return step, evaluate

    def step(self, state: State, batch: TrainBatch) -> tuple[State, Logged]:
        """One optimizer step on the mean loss over all parts of the batch."""
        key = jax.random.fold_in(jax.random.key(self.seed), state.step)
        (total, weight), gradients = self.sums_of_parts(state.params, batch, key)
        gradients = jax.tree.map(lambda leaf: leaf / weight, gradients)
        updates, moments = self.transform.update(gradients, state.moments, state.params)
        params = optax.apply_updates(state.params, updates)
        logged = Logged(total / weight, gradient_norm(gradients, self.frozen))
        return State(state.step + 1, params, moments), logged

    def sums_of_parts(self, params: Params, batch: TrainBatch, key: Array) -> tuple[tuple[Array, Array], Params]:
        """Summed loss, summed weight, and the gradient of the former: one part after the other, memory for one."""
        keys = jax.random.split(key, batch.ids.shape[0])
        of_part = jax.value_and_grad(self.loss_of, has_aux=True)
        if len(keys) == 1:
            return of_part(params, jax.tree.map(lambda leaf: leaf[0], batch), keys[0])

        def add_part(sums, part):
            return jax.tree.map(jnp.add, sums, of_part(params, *part)), None

        zeros = (jnp.zeros(()), jnp.zeros(())), jax.tree.map(jnp.zeros_like, params)
        return jax.lax.scan(add_part, zeros, (batch, keys))[0]

    def loss_of(self, params: Params, batch: TrainBatch, key: Array) -> tuple[Array, Array]:
        """The sum of the rows' losses, and of their weights: batch leaves [R, …]."""
        logits = self.logits(hold(params, self.frozen), batch, key)
        return self.sums(logits, batch)

    def sums(self, logits: Array, batch: TrainBatch) -> tuple[Array, Array]:
        """Summed loss and weight of the rows that are there."""
        rows = rows_of_labels(self.model.config, logits, batch.labels, batch.mask, batch.weights)
        return loss(*rows, smoothing=self.smoothing, class_weights=self.class_weights)

    def evaluate(self, params: Params, batch: TrainBatch) -> tuple[Array, Array, Array]:
        """Logits [R, C], of tokens [R, T * C], summed loss and weight, without dropout."""
        logits = self.logits(params, batch, None)
        return logits, *self.sums(logits, batch)

    def logits(self, params: Params, batch: TrainBatch, key: Array | None) -> Array:
        """Logits [R, C], of tokens [R, T * C]; with dropout where a key is given."""
        return self.model.apply(
            {"params": params},
            batch.ids,
            batch.mask,
            batch.types,
            deterministic=key is None,
            rngs=None if key is None else {"dropout": key},
        )
