"""`python -m move37` is the command `move37`."""

from __future__ import annotations

from move37.app.__main__ import main

if __name__ == "__main__":
    main()
