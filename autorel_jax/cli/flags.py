"""Flags that more than one command has, and the classifier that they name."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from autorel_jax.cli import warn
from autorel_jax.model.config import COMPUTE_DTYPES

if TYPE_CHECKING:
    from autorel_jax.classifier import Classifier


def add_model_flags(parser: ArgumentParser) -> None:
    """Adds what tells where the parts of a model are: --config, --vocab, --cased, --uncased, --revision."""
    add = parser.add_argument
    add(
        "--config",
        metavar="FILE",
        type=Path,
        help="the model's config.json or bert_config.json (default: the one beside the weights)",
    )
    add(
        "--vocab",
        metavar="FILE",
        type=Path,
        help="vocab.txt or tokenizer.json (default: beside the weights, or beside --config)",
    )
    case = parser.add_mutually_exclusive_group()
    case.add_argument(
        "--cased",
        action="store_true",
        default=None,
        help="the tokenizer keeps capitals (default: as the files say; a bare vocab.txt: if The is in it)",
    )
    case.add_argument("--uncased", action="store_false", dest="cased", default=None, help="the tokenizer lowercases")
    add("--revision", metavar="NAME", help="branch, tag or commit of a model on the hub (default: main)")


def add_compute_dtype(parser: ArgumentParser) -> None:
    """Adds --dtype, as `load` takes it."""
    parser.add_argument(
        "--dtype",
        choices=COMPUTE_DTYPES,
        default=COMPUTE_DTYPES[0],
        help="of the matrix products (default: %(default)s)",
    )


def loaded(args: Namespace, prog: str) -> Classifier:
    """The classifier that `args.model` and those flags name; says on stderr what to beware of."""
    from autorel_jax.classifier import load

    classifier = load(
        args.model,
        config=args.config,
        vocab=args.vocab,
        cased=args.cased,
        revision=args.revision,
        dtype=args.dtype,
    )
    warn(prog, classifier.warnings)
    return classifier
