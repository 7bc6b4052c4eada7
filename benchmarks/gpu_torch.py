"""PyTorch beside it: gradient × input of transformers' model, the least that any LRP in PyTorch costs."""

import functools
import time
from collections.abc import Callable
from typing import Any

from gpu_record import Record
from gpu_speed import FILLS, SIZES, TOKENS

CASES = (*(("base", tokens) for tokens in (32, 128, 512)), *(("minilm", tokens) for tokens in TOKENS), ("large", 128))


def explain(record: Record) -> None:
    """Part (b) of PyTorch: one text at a time, and in batches, as it is and by torch.compile."""
    cases = (("tiny", 16),) if record.small else CASES
    size, tokens = cases[0]
    record.item(f"{size} bfloat16 {tokens} one at a time", lambda: rate(size, tokens, (1,), False, record.small))
    for compiled in (True, False):
        for size, tokens in cases:
            fills = (4,) if record.small else tuple(max(1, fill // tokens) for fill in FILLS)
            name = f"{size} bfloat16 {tokens}{' compiled' if compiled else ''}"
            record.item(name, functools.partial(rate, size, tokens, fills, compiled, record.small))


def model_of(size: str, compiled: bool, labels: int = 2) -> tuple[Any, Any]:
    """transformers' classifier with SDPA and random weights, and its device."""
    import torch
    import transformers

    config, device = SIZES[size], "cuda" if torch.cuda.is_available() else "cpu"
    made = transformers.BertConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        intermediate_size=config.intermediate_size,
        num_labels=labels,
        attn_implementation="sdpa",
    )
    net = transformers.BertForSequenceClassification(made).to(device)
    if not compiled:
        return net, device
    backend = "inductor" if device == "cuda" else "eager"
    return torch.compile(net, backend=backend, dynamic=False), device  # a program for each shape, as XLA's is


def rate(size: str, tokens: int, batches: tuple[int, ...], compiled: bool, small: bool) -> dict[str, Any]:
    """Sentences a second, of the batch of which a sentence takes the least time."""
    import torch

    net, device = model_of(size, compiled)
    net.eval().requires_grad_(False)
    table, best = net.get_input_embeddings().weight, {}
    for count in batches:
        ids = torch.randint(1000, 30000, (count, tokens), device=device)
        mask = torch.ones_like(ids)

        def call(ids: Any = ids, mask: Any = mask) -> Any:
            words = table[ids].requires_grad_()
            with torch.autocast(device, torch.bfloat16):
                logits = net(inputs_embeds=words, attention_mask=mask).logits
            logits.max(dim=-1).values.sum().backward()
            return (words.grad * words).sum(-1)

        try:
            begun = time.perf_counter()
            call()
            first, each = time.perf_counter() - begun, seconds(call, device, 0.01 if small else 0.3)
        except torch.cuda.OutOfMemoryError:
            break
        if best and count / each < 1.03 * best["sentences_per_s"]:
            break
        best = {
            "batch": count,
            "sentences_per_s": count / each,
            "tokens_per_s": count * tokens / each,
            "first_s": first,
        }
    return best | {"torch": torch.__version__, "device": device}


def seconds(call: Callable[[], Any], device: str, least: float) -> float:
    """Of one call, the mean over `least` seconds of them, after one to warm up."""
    import torch

    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    call()
    wait()
    done, begun = 0, time.perf_counter()
    while not done or time.perf_counter() - begun < least:
        for _ in range(max(1, done)):
            call()
        wait()
        done += max(1, done)
    return (time.perf_counter() - begun) / done
