"""Makes empty files without end."""

import os

number = 0
try:
    while number < 400_000:
        os.close(os.open(f"{number}", os.O_CREAT | os.O_WRONLY))
        number += 1
    print("ESCAPED: 400,000 files")
except OSError as error:
    print("held:", error)
