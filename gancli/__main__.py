"""Entry point of ``gancli``, ``python -m gancli`` and ``torchrun -m gancli``."""

import os
import sys


def main() -> None:
    """Run the command line; Ctrl-C during imports exits quietly."""
    try:
        _require_utf8()
        from gancli import cli
    except KeyboardInterrupt:
        sys.exit(130)
    cli.main()


def _require_utf8() -> None:
    """Restart with UTF-8 file names if the locale has ASCII only."""
    if os.name == "posix" and sys.getfilesystemencoding() == "ascii":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


if __name__ == "__main__":
    main()
