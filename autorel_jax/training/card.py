"""Card: a finished run -> README.md of the model, what it was made from and how good it is.

Used by finish.py.
"""

import dataclasses
import platform
from importlib import metadata

import autorel_jax
from autorel_jax.data.task import TEST, TRAIN
from autorel_jax.families.family import ANSWERS, TEXT_LABELS, TOKEN_LABELS
from autorel_jax.training.config import TrainConfig
from autorel_jax.training.prepare import Prepared

VERSIONS = ("jax", "flax", "optax", "orbax-checkpoint", "numpy", "tokenizers")
PIPELINES = {  # what a head is for -> its name on the hub, and in words
    TEXT_LABELS: ("text-classification", "classifier"),
    TOKEN_LABELS: ("token-classification", "classifier of words"),
    ANSWERS: ("question-answering", "model for question answering"),
}
ONE_TEXT = '"some text"'
EXAMPLES = {ANSWERS: '"a question" --pair "the text that answers it"'}
# Fields that do not say how it was trained.
WHERE = ("task", "model", "model_config", "vocab", "revision", "data_dir", "output")


def card(prepared: Prepared, step: int, metrics: dict[str, dict[str, float]], command: str) -> str:
    """A model card in the form that the Hugging Face hub reads: data, command, seed, metrics, versions."""
    task, config = prepared.task, prepared.start.config
    pipeline, kind = PIPELINES[config.task]
    return "\n".join(
        [
            "---",
            "library_name: transformers",
            f"pipeline_tag: {pipeline}",
            f"tags: [{config.model_type}, autorel-jax]",
            "---",
            f"# {task.name}",
            "",
            f"A {config.family.name} {kind} ({config.num_hidden_layers} layers of width {config.hidden_size}, "
            f"{prepared.task.problem}), fine-tuned with autorel_jax. Labels: {', '.join(config.labels)}.",
            "",
            "## Training",
            f"- Data: {source(prepared)}, {prepared.splits[TRAIN].texts:,} rows.",
            f"- Parameters of step {step} of {prepared.steps}"
            + (f", the best {prepared.select} on dev." if metrics.get("dev") else "."),
            f"- Seed {prepared.config.seed}, {prepared.learner.mesh.size} device(s).",
            f"- Command: `{command}`" if command else "- Called as a library.",
            f"- Settings other than the defaults: {settings(prepared.config)}.",
            "",
            "## Metrics",
            *metric_table(prepared, metrics),
            "",
            "## Versions",
            ", ".join(versions()) + ".",
            "",
            "## Explain it",
            "```",
            f"autorel-explain {EXAMPLES.get(config.task, ONE_TEXT)} --model path/to/this/folder",
            "```",
            "",
        ]
    )


def source(prepared: Prepared) -> str:
    """What was trained on."""
    task = prepared.task
    return f"{task.name}, TFDS `{task.tfds}` split `{task.train}`" if task.tfds else f"{task.name}, `{task.train}`"


def settings(config: TrainConfig) -> str:
    """The fields that say how it was trained and are not the default."""
    changed = {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(config)
        if field.name not in WHERE and getattr(config, field.name) != field.default
    }
    return ", ".join(f"{name} {value}" for name, value in changed.items()) or "none"


def metric_table(prepared: Prepared, metrics: dict[str, dict[str, float]]) -> list[str]:
    """A line of a Markdown table for each metric."""
    if not metrics:
        return ["Not evaluated: the task names neither dev nor test data."]
    lines = [f"| metric | {' | '.join(metrics)} |", "|---" * (len(metrics) + 1) + "|"]
    names = next(iter(metrics.values()))
    lines += [f"| {name} | {' | '.join(f'{values[name]:.4f}' for values in metrics.values())} |" for name in names]
    rows = [str(prepared.splits[split].texts) for split in metrics]
    note = "" if TEST in metrics else ["", "The dev data also chose the checkpoint: expect a little less on new data."]
    return [*lines, f"| rows | {' | '.join(rows)} |", *note]


def versions() -> list[str]:
    """What it was made with."""
    packages = [f"{name} {metadata.version(name)}" for name in VERSIONS]
    return [f"autorel_jax {autorel_jax.__version__}", f"Python {platform.python_version()}", *packages]
