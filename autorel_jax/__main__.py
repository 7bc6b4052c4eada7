"""`python -m autorel_jax`: the same as `autorel`."""

import sys

from autorel_jax.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
