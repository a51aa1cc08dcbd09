"""Opens files until no descriptor is left."""

import os

count = 0
try:
    while count < 100_000:
        os.open("/dev/null", os.O_RDONLY)
        count += 1
    print("ESCAPED: 100,000 descriptors")
except OSError as error:
    print("held:", error)
