"""autorel export: a classifier -> one file that explains token ids without Flax, for other programs."""

from collections.abc import Sequence
from pathlib import Path

from autorel_jax.cli.command import Parser, run, say
from autorel_jax.cli.flags import add_compute_dtype, add_fields, add_model_flags, given_fields, loaded
from autorel_jax.cli.method_flags import add_method_flags, method_options
from autorel_jax.cli.start import importing
from autorel_jax.explaining.config import ExplainConfig
from autorel_jax.files import writable
from autorel_jax.foreign import visible

PROG = "autorel-export"
EXAMPLES = """examples:
  autorel-export sst2 sst2.zip
  autorel-export sst2 sst2.zip --target positive --method cp_lrp
"""


def main(argv: Sequence[str] | None = None, prog: str = PROG) -> int:
    """The console script, under the name `prog`."""
    return run(lambda words: export(words, prog), argv, prog)


def parser(prog: str = PROG) -> Parser:
    """The flags; `--help` documents each."""
    made = Parser(
        prog=prog,
        description="Writes 'token ids -> logits and relevance' as StableHLO with its weights, in one file.\n"
        "autorel_jax.load_program reads it; that needs neither Flax nor transformers.",
        epilog=EXAMPLES.replace(PROG, prog),
    )
    add = made.add_argument
    add("model", metavar="MODEL", help="as --model of autorel explain")
    add("output", metavar="OUTPUT", type=Path, help="the file to write; an older one is replaced")
    add_model_flags(made)
    explanation = made.add_argument_group("explanation")
    add_method_flags(made, explanation, composites_only=True)
    add_fields(explanation, ExplainConfig, split_words={}, split_punctuation={})
    add_compute_dtype(made)
    return made


def export(argv: Sequence[str] | None, prog: str) -> None:
    """Loads, writes, and says what was written."""
    args = parser(prog).parse_args(argv)
    config = ExplainConfig(**given_fields(args, ExplainConfig) | method_options(args))
    writable(args.output)

    with importing():
        from autorel_jax.export import write as exporter

    exporter.exportable(config.method)  # before the model is read
    classifier = loaded(args)
    exporter.export(classifier, args.output, config)
    labels = visible(", ".join(classifier.config.labels))
    say(f"wrote {args.output}: {args.output.stat().st_size / 1e6:.1f} MB, labels {labels}")
