"""Explains texts with a text classifier: `python explain.py "a witty movie." --model DIR`; see --help."""

import sys

from autorel_jax.cli.explain import main

if __name__ == "__main__":
    sys.exit(main())
