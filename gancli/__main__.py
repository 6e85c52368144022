"""``gancli``, ``python -m gancli`` and ``torchrun -m gancli`` are one command."""

import os
import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is still being imported ends it quietly too."""
    try:
        _require_utf8()
        from gancli import cli
    except KeyboardInterrupt:
        sys.exit(130)
    cli.main()


def _require_utf8() -> None:
    """Start anew with UTF-8 names where the locale knows ASCII alone: files have other names than that."""
    if os.name == "posix" and sys.getfilesystemencoding() == "ascii":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


if __name__ == "__main__":
    main()
