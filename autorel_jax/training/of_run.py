"""Of run: a checkpoint of a training run -> the classifier as it was at that step. Used by cli/diff.py."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import jax

from autorel_jax.errors import InputError
from autorel_jax.training.folder import MODEL
from autorel_jax.training.run_state import read_step

if TYPE_CHECKING:
    from autorel_jax.classifier import Classifier


def model_of(path: Path) -> Path:
    """The finished model of the run that a checkpoint, RUN/checkpoints/STEP, is of.

    Raises:
      InputError: there is none yet.
    """
    run = path.resolve().parents[1]
    if not (run / MODEL).is_dir():
        raise InputError(
            f"{path} has parameters alone; config and tokenizer are in {run / MODEL}, which is not there yet: finish "
            f"the run first, by autorel train --finish {run}."
        )
    return run / MODEL


def at_step(path: Path, load: Callable[[Path], Classifier]) -> Classifier:
    """The classifier of a checkpoint; `load` reads the run's finished model, whose config and tokenizer it has.

    Raises:
      InputError: the run is not finished, or the checkpoint cannot be read.
    """
    classifier = load(model_of(path))
    like = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding), classifier.params
    )
    folder, step = path.resolve().parent, int(path.resolve().name)
    params = read_step(folder, step, {"params": like})["params"]
    return dataclasses.replace(classifier, name=str(path), params=params)
