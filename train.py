"""Fine-tunes a text classifier: `python train.py --config configs/sst2.toml --model DIR --data-dir DIR`; see --help."""

import sys

from autorel_jax.cli.train import main

if __name__ == "__main__":
    sys.exit(main())
