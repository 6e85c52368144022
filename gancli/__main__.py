"""``python -m gancli`` and ``torchrun -m gancli`` are the command ``gancli``."""

from gancli.cli import main

main()
