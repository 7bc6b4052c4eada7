"""The classifier that comes with the package: sentiment of sentences of film reviews. Used where no model is named."""

from pathlib import Path

BUILTIN = Path(__file__).parent / "sst2-minilm"  # a Hugging Face directory; its README.md is its card
