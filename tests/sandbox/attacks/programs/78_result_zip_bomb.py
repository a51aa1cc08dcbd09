"""Returns an archive that unpacks to a thousand times its size."""

import os
import zipfile

with zipfile.ZipFile(os.environ["MOVE37_OUT"] + "/result.zip", "w", zipfile.ZIP_DEFLATED) as archive:
    archive.writestr("zeros", bytes(64 << 20))
