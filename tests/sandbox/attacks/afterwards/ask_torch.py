"""The next job: does torch still compute?"""

import json
import time

import torch

loss = torch.nn.functional.cross_entropy(torch.tensor([[0.0, 1.0]]), torch.tensor([0])).item()
good = abs(loss - 1.3133) < 1e-3 and time.time() > 1e9 and json.dumps({"a": 1}) == '{"a": 1}'
print("clean" if good else "POISONED:", loss)
