"""autorel-export: a classifier -> one file that explains token ids without Flax, for other programs."""

from collections.abc import Sequence
from pathlib import Path

from autorel_jax.cli import Parser, run
from autorel_jax.cli.explain import add_method_flags, question
from autorel_jax.cli.flags import add_compute_dtype, add_model_flags, loaded
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.report.output import checked

PROG = "autorel-export"
EXAMPLES = """examples:
  autorel-export sst2 sst2.zip
  autorel-export sst2 sst2.zip --target positive --method cp_lrp
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The console script."""
    return run(export, argv, PROG)


def parser() -> Parser:
    """The flags; `--help` documents each."""
    made = Parser(
        prog=PROG,
        description="Writes 'token ids -> logits and relevance' as StableHLO with its weights, in one file.\n"
        "autorel_jax.load_program reads it; that needs neither Flax nor transformers.",
        epilog=EXAMPLES,
    )
    add = made.add_argument
    add("model", metavar="MODEL", help="as --model of autorel-explain")
    add("output", metavar="OUTPUT", type=Path, help="the file to write; an older one is replaced")
    add_model_flags(made)
    add_method_flags(made.add_argument_group("explanation"), composites=True)
    add_compute_dtype(made)
    return made


def export(argv: Sequence[str] | None) -> None:
    """Loads, writes, and says what was written."""
    args = parser().parse_args(argv)
    config = ExplainConfig(**question(args))
    checked(args.output)

    from autorel_jax.export import write as exporter

    exporter.exportable(config.method)  # before the model is read
    classifier = loaded(args, PROG)
    exporter.export(classifier, args.output, config)
    print(
        f"wrote {args.output}: {args.output.stat().st_size / 1e6:.1f} MB, labels {', '.join(classifier.config.labels)}"
    )
