"""Sizes of the network: the MLP's width is chosen so that all networks are equally large. No torch.

The candidate decides on the mixer's parameters; only the MLP's hidden width is adapted, so that all networks' totals
agree within 1 %.
"""

from __future__ import annotations

from move37.lab.scale import CPU, VOCABULARY

VOCAB = VOCABULARY
D_MODEL, N_HEADS, N_LAYERS = CPU.width, CPU.heads, CPU.layers  # where a job's spec names no others
TARGET_PARAMETERS = CPU.parameters  # the whole network of rung 2
TOLERANCE = 0.01  # of the target
BYTES_A_NUMBER = 4  # of a mixer's weights and buffers: a constant of eight bytes a number carries nothing
MIXER_MARGIN = 1.05  # times the largest baseline mixer's parameters: the most that a mixer may have


def network_parameters(
    mixer_parameters: int, mlp_width: int, *, vocab: int = VOCAB, d_model: int = D_MODEL, n_layers: int = N_LAYERS
) -> int:
    """Trainable numbers of a `ByteModel` whose every mixer has `mixer_parameters`. Embedding and head are tied."""
    mlp = 2 * d_model * mlp_width if mlp_width else 0
    norms = 2 * d_model if mlp_width else d_model
    return vocab * d_model + n_layers * (mixer_parameters + mlp + norms) + d_model


def fit_mlp_width(
    mixer_parameters: int,
    target_parameters: int = TARGET_PARAMETERS,
    *,
    d_model: int = D_MODEL,
    n_layers: int = N_LAYERS,
) -> int:
    """The hidden width that brings the network closest to `target_parameters`; at least 1.

    Raises `ValueError` when even that misses the target by more than 1 %: the mixer is too large or the target is.
    """
    rest = network_parameters(mixer_parameters, 1, d_model=d_model, n_layers=n_layers)
    per_unit = n_layers * 2 * d_model
    width = max(1, 1 + round((target_parameters - rest) / per_unit))
    total = network_parameters(mixer_parameters, width, d_model=d_model, n_layers=n_layers)
    if abs(total - target_parameters) > TOLERANCE * target_parameters:
        raise ValueError(
            f"a mixer of {mixer_parameters} parameters makes a network of {total}, not of {target_parameters}: "
            "make the mixer smaller or the target larger"
        )
    return width
