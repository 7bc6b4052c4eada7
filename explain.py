"""Explains texts with a text classifier: `python explain.py "a witty movie." --model DIR`; see --help."""

from autorel_jax.cli.start import explain

if __name__ == "__main__":
    explain()
