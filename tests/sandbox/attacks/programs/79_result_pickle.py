"""Returns a pickle that runs code when it is loaded."""

import os
import pickle


class Bomb:
    def __reduce__(self):
        return os.system, ("touch /tmp/pickled",)


with open(os.environ["MOVE37_OUT"] + "/weights.bin", "wb") as stream:
    pickle.dump(Bomb(), stream)
