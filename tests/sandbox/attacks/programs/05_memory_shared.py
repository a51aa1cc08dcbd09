"""Fills shared memory, which no limit of a single process counts."""

total = 0
try:
    with open("/dev/shm/fill", "wb") as stream:
        while total < 4 << 30:
            total += stream.write(bytes(8 << 20))
    print("ESCAPED: 4 GiB of shared memory")
except OSError as error:
    print("held:", error)
