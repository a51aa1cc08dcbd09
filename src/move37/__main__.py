"""`python -m move37`, and the command `move37`: nothing is imported before Ctrl-C can be answered."""

from __future__ import annotations

import sys


def main() -> None:
    """The entry point."""
    try:
        from move37.app.__main__ import run

        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    main()
