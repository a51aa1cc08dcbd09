"""Fills the disk through every folder that can be written."""

import os

total = 0
for folder, folders, _ in os.walk("/", followlinks=False):
    if folder.startswith(("/proc", "/sys", "/usr")) or folder.count("/") > 3:
        folders.clear()
    if not os.access(folder, os.W_OK):
        continue
    for number in range(50):
        try:
            with open(f"{folder}/fill{number}", "wb", buffering=0) as stream:
                while total < 2 << 30:
                    total += stream.write(bytes(4 << 20))
        except OSError:
            break
print("held: no folder takes more" if total < 1 << 30 else f"ESCAPED: {total} bytes written")
