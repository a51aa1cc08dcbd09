"""The next job: draws numbers of its own."""

import random

import numpy
import torch

print("clean", random.random(), numpy.random.rand(), torch.rand(1).item())
