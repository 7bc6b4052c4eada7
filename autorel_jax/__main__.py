"""`python -m autorel_jax`: the same as `autorel`."""

from autorel_jax.cli.start import autorel

if __name__ == "__main__":
    autorel()
