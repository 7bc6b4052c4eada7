"""Export: a classifier, a method and a target -> one file that explains without Flax; program.py reads it.

Used by cli/export.py.
"""

import dataclasses
import json
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autorel_jax import __version__
from autorel_jax.attribution import targets
from autorel_jax.attribution.method import Texts
from autorel_jax.attribution.methods import METHODS
from autorel_jax.attribution.scores import token_scores
from autorel_jax.attribution.settings import Settings
from autorel_jax.classifier import Classifier, forward
from autorel_jax.errors import InputError
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.export.program import ABOUT, FLATBUFFERS, OF_TEXTS, PARAMS, PROGRAM, SCHEMA, SETTINGS, TOKENIZER
from autorel_jax.families.family import TEXT_LABELS, TOKEN_LABELS
from autorel_jax.files import disk_faults, new_file
from autorel_jax.lrp.composites import COMPOSITES, Composite, composite
from autorel_jax.model.ops import Array
from autorel_jax.weights.params import leaves

PLATFORMS = ("cpu", "cuda", "tpu")  # that the program can be compiled for


def export(
    classifier: Classifier, path: str | Path, config: ExplainConfig | None = None, platforms: Sequence[str] = PLATFORMS
) -> None:
    """Writes "token ids -> logits and relevance" with its weights as one file.

    The numbers of rows and of tokens stay open: the program is compiled for each shape where it runs. Of a model that
    labels tokens it also takes which of them are asked about; see Program.

    Args:
      classifier: from `load`.
      path: of the file; an older one is replaced at the end.
      config: method (a composite), parameters, target (any but "given"), read_at, split_words and split_punctuation;
        the other fields are of no effect.
      platforms: that it is to run on.

    Raises:
      InputError: another method than a composite, a target that depends on the row, a path that cannot be written, or
        flatbuffers is not installed.
    """
    config = config or ExplainConfig()
    check_exportable(classifier, config)
    model = classifier.config
    goal = targets.resolve(config.target, model.labels, classifier.label_id, [(0, None)], model.problem)
    settings = classifier.settings(exportable(config.method).set(config.parameters), config.read_at)
    settings = dataclasses.replace(settings, score=goal.score)
    program = (of_tokens if model.on_tokens else of_texts)(classifier, settings, goal)
    about = {
        "schema": SCHEMA if model.on_tokens else OF_TEXTS,
        "on_tokens": model.on_tokens,
        "version": __version__,
        "model_type": model.model_type,
        "labels": model.labels,
        "targets": [goal.prefix + targets.PREDICTED] if goal.names is None else goal.names[0],
        "method": {"name": settings.method.name, "read_at": settings.read_at, **settings.method.record()},
        "max_length": model.longest_text,
        "cased": classifier.tokenizer.cased,
        "split_words": config.split_words,
        "split_punctuation": config.split_punctuation,
        "weights_sha256": classifier.fingerprint,
        "dtype": classifier.dtype,
        "platforms": list(platforms),
    }
    with new_file(Path(path)) as draft, disk_faults(Path(path)):
        with classifier.precision():
            made = serialized(program, classifier, platforms)
        write(draft, classifier, made, about)


def check_exportable(classifier: Classifier, config: ExplainConfig) -> None:
    """Refuses models, targets and settings whose results are not those of one program of ids."""
    model = classifier.config
    if targets.reads_given(config.target):
        raise InputError(f"target {config.target!r} differs from row to row; export another.")
    if config.zero_shot:
        raise InputError("zero_shot cannot be exported; export the label of entailment as target.")
    if model.task not in (TEXT_LABELS, TOKEN_LABELS):
        raise InputError(
            f"{classifier.name} is for {model.task.replace('_', ' ')}; only models that label texts or tokens can be "
            "exported. What it answers is found among its logits, outside of a program of ids."
        )
    if model.on_tokens and targets.is_function(config.target):
        raise InputError(f"target={config.target!r} is of the label of a whole text; give predicted, a label or all.")


def of_texts(classifier: Classifier, settings: Settings, goal: targets.Targets) -> Callable[..., tuple[Array, Array]]:
    """The program of a model that labels texts."""
    values = on_host(classifier, settings)

    def program(params: dict, ids: Array, mask: Array, types: Array) -> tuple[Array, Array]:
        weights = goal.weights
        if weights is not None:
            weights = jnp.broadcast_to(weights[0], (ids.shape[0], *weights.shape[1:]))
        result = token_scores(settings, params, Texts(ids, mask, types), weights, values)
        return result.logits, result.relevance

    return program


def of_tokens(classifier: Classifier, settings: Settings, goal: targets.Targets) -> Callable[..., tuple[Array, Array]]:
    """The program of a model that labels tokens, whose target is a mean over those that are asked about."""
    model, kind, values = classifier.config, classifier.kind, on_host(classifier, settings)

    def program(params: dict, ids: Array, mask: Array, types: Array, at: Array) -> tuple[Array, Array]:
        share = (at / at.sum(axis=1, keepdims=True)).astype(kind)  # of each token in the mean [B, T]
        logits = forward(model, settings.dtype, params, ids, mask, types).reshape(*ids.shape, model.num_labels)
        if goal.weights is None:  # the likeliest label there
            mean = (share[..., None] * logits).sum(axis=1)
            labels = jax.nn.one_hot(mean.argmax(axis=-1), model.num_labels, dtype=kind)[:, None]
        else:
            labels = jnp.broadcast_to(goal.weights[0], (ids.shape[0], *goal.weights.shape[1:]))
        weights = share[:, None, :, None] * labels[:, :, None, :]  # [B, N, T, C]
        weights = weights.reshape(*weights.shape[:2], ids.shape[1] * model.num_labels)
        return logits, token_scores(settings, params, Texts(ids, mask, types), weights, values).relevance

    return program


def on_host(classifier: Classifier, settings: Settings) -> Any:
    """The parameters of the rules as constants of a program."""
    return jax.tree.map(lambda value: np.asarray(value, classifier.kind), settings.values)


def exportable(method: Any) -> Composite:
    """The composite of that name, or itself; an InputError for another method or an unknown one."""
    found = METHODS.get(method, method) if isinstance(method, str) else method
    if not getattr(found, "rules", True):
        raise InputError(
            f"The method {found.name} cannot be exported, only composites can: "
            f"{', '.join(COMPOSITES)}, and composites of your own."
        )
    return composite(found)


def serialized(program: object, classifier: Classifier, platforms: Sequence[str]) -> bytes:
    """The program as StableHLO, for any number of rows and of tokens that the model has positions for."""
    try:
        import flatbuffers  # noqa: F401 - jax.export.Exported.serialize imports it
    except ImportError:
        raise InputError(f"{FLATBUFFERS}.") from None
    from jax import export as exporter

    positions = classifier.config.longest_text
    shape = exporter.symbolic_shape("rows, tokens", constraints=["rows >= 1", "tokens >= 1", f"tokens <= {positions}"])
    row = jax.ShapeDtypeStruct(shape, jnp.int32)
    params = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), classifier.params)
    rows = [row] * (4 if classifier.config.on_tokens else 3)
    made = exporter.export(jax.jit(program), platforms=tuple(platforms))(params, *rows)
    return bytes(made.serialize())


def write(path: Path, classifier: Classifier, program: bytes, about: dict) -> None:
    """Writes the zip; nothing in it is compressed but the texts, and dates are fixed."""
    from safetensors.numpy import save

    params = {name: np.ascontiguousarray(leaf) for name, leaf in leaves(classifier.params)}
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path, "x") as archive:
        classifier.tokenizer.save(Path(folder), classifier.config.longest_text)
        if not (Path(folder) / TOKENIZER).is_file():
            raise InputError(f"{classifier.name} has a tokenizer of Python code, which a program cannot hold.")
        settings = json.loads((Path(folder) / SETTINGS).read_bytes())
        about = about | {"tokenizer_config": settings}
        texts = {ABOUT: json.dumps(about, indent=1).encode(), TOKENIZER: (Path(folder) / TOKENIZER).read_bytes()}
        for name, content in {PROGRAM: program, PARAMS: save(params), **texts}.items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED if name in texts else zipfile.ZIP_STORED
            archive.writestr(entry, content)
