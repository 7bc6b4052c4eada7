"""Training steps on a device, ours and PyTorch's: tokens a second, and the share of the peak."""

import time
from typing import Any

import gpu_torch
import jax
import jax.numpy as jnp
import numpy as np
from gpu_record import Record
from gpu_speed import SIZES, flops, params_of, peak

from autorel_jax import sharding
from autorel_jax.data.presets import named
from autorel_jax.data.task import TaskConfig
from autorel_jax.errors import out_of_memory
from autorel_jax.model.config import BertConfig
from autorel_jax.model.encoder import Bert, Params
from autorel_jax.training.batches import TrainBatch
from autorel_jax.training.config import TrainConfig, read_train_config
from autorel_jax.training.optimizer import frozen, optimizer
from autorel_jax.training.step import Learner

BATCHES = (64, 256)


def training(record: Record) -> None:
    """Part (c): a BERT-base, 128 tokens, bfloat16, AdamW, clipping, dropout."""
    size, tokens = ("tiny", 16) if record.small else ("base", 128)
    batches = (4,) if record.small else BATCHES
    record.item(f"{size} bfloat16 {tokens} ours", lambda: ours(size, tokens, batches, record.small))
    for compiled in (True, False):
        name = f"{size} bfloat16 {tokens} torch{' compiled' if compiled else ''}"
        record.item(name, lambda compiled=compiled: torch_steps(size, tokens, batches, compiled, record.small))


def learner_of(config: BertConfig, params: Params, steps: int) -> Learner:
    """What takes our steps, with the settings of configs/sst2.toml, in bfloat16 on one device."""
    values = read_train_config(named("sst2"))
    plan = TrainConfig(**values | {"task": TaskConfig(**values["task"]), "model": "random"})
    return Learner(
        model=Bert(config, dtype=jnp.bfloat16),
        transform=optimizer(plan, steps, params),
        frozen=frozen(plan, params),
        class_weights=None,
        smoothing=0.0,
        seed=0,
        mesh=sharding.make_mesh(jax.devices()[:1]),
        layout=plan.layout,
    )


def random_batch(seed: int, rows: int, tokens: int, words: int, learner: Learner) -> TrainBatch:
    """Rows without padding, on the device."""
    ids = np.random.default_rng(seed).integers(2, words, (1, rows, tokens)).astype(np.int32)
    weights = np.ones((1, rows), np.float32)
    batch = TrainBatch(ids, np.ones_like(ids), np.zeros_like(ids), ids[..., 0] % 2, weights)
    return sharding.put(batch, TrainBatch(*[sharding.by_rows(learner.mesh, axis=1)] * len(batch)))


def best_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The batch with the most tokens a second."""
    return max(found, key=lambda each: each["tokens_per_s"])


def figures(size: str, count: int, tokens: int, each: float, first: float) -> dict[str, Any]:
    """Of steps that take `each` seconds; `first` is that of the first, which compiles."""
    made = {"batch": count, "tokens_per_s": count * tokens / each, "step_ms": 1e3 * each, "first_s": first}
    if limit := peak("bfloat16"):
        made["share_of_peak"] = 3 * flops(SIZES[size], count, tokens) / each / limit
    return made


def ours(size: str, tokens: int, batches: tuple[int, ...], small: bool) -> dict[str, Any]:
    """The steps of train.py over random rows."""
    config, params, found = SIZES[size], params_of(size), []
    learner = learner_of(config, params, 1000)
    for count in batches:
        batch = random_batch(1, count, tokens, 30000, learner)
        try:
            state = learner.begin(params)
            take, _ = learner.compiled(state)
            begun = time.perf_counter()
            state, _ = jax.block_until_ready(take(state, batch))
            first, steps, begun = time.perf_counter() - begun, 2 if small else 20, time.perf_counter()
            for _ in range(steps):
                state, _ = take(state, batch)
            jax.block_until_ready(state)
        except jax.errors.JaxRuntimeError as error:
            if found and out_of_memory(error):
                break
            raise
        found.append(figures(size, count, tokens, (time.perf_counter() - begun) / steps, first))
    return best_of(found)


def torch_steps(size: str, tokens: int, batches: tuple[int, ...], compiled: bool, small: bool) -> dict[str, Any]:
    """The same steps by PyTorch and transformers: bf16 autocast, SDPA, a fused AdamW."""
    import torch

    found = []
    for count in batches:
        net, device = gpu_torch.model_of(size, compiled)
        net.train()
        optimizer = torch.optim.AdamW(net.parameters(), lr=2e-5, fused=True)
        ids = torch.randint(1000, 30000, (count, tokens), device=device)
        labels, mask = ids[:, 0] % 2, torch.ones_like(ids)

        def step(ids=ids, mask=mask, labels=labels, net=net, optimizer=optimizer, device=device) -> None:
            with torch.autocast(device, torch.bfloat16):
                loss = net(input_ids=ids, attention_mask=mask, labels=labels).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        begun = time.perf_counter()
        step()
        first = time.perf_counter() - begun
        found.append(figures(size, count, tokens, gpu_torch.seconds(step, device, 0.01 if small else 2), first))
    return best_of(found)
