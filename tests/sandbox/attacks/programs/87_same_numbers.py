"""Draws random numbers; the next job must draw others."""

import random

import numpy
import torch

print(random.random(), numpy.random.rand(), torch.rand(1).item())
