"""Builds the fixed network around mixers of a candidate's process, and the same mixers again in another process."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from move37.lab.inside.network import ByteModel, ProbeModel, fit_mlp_width
from move37.lab.inside.remote import Layer, Remote, RemoteMixer
from move37.lab.training.contract import ContractError
from move37.lab.training.schedule import FIRST_FRESH_SEED
from move37.lab.training.sizes import BYTES_A_NUMBER


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The network, and what a fresh process needs to build its mixers again."""

    model: ByteModel
    mixers: tuple[RemoteMixer, ...]
    layers: tuple[Layer, ...]  # as they were built; their values are those that are trained
    mlp_width: int  # 0: there is none
    network: Mapping[str, Any]  # the task's sizes, as the job was told them
    state: Tensor  # of torch's generator, before the mixers drew
    d_model: int
    counted_heads: int  # with which one mixer was built to be counted
    n_heads: int


def build_model(remote: Remote, network: Mapping[str, Any], *, seed: int) -> Built:
    """The task's fixed network around the candidate's mixers, with the weights that `seed` gives.

    The fixed parts draw first, so that they start equal for all candidates. Raises `ContractError`, `CandidateFault`.
    """
    d_model, heads, layers = network["width"], network["heads"], network["layers"]
    (counted,) = remote.build(layers=1, d_model=d_model, n_heads=heads)

    def mlp_width(parameters: int) -> int:
        return fit_mlp_width(parameters, network["parameters"], d_model=d_model, n_layers=layers)

    width = mlp_width(counted.parameters) if network["kind"] == "bytes" else 0
    made: list[RemoteMixer] = []
    model, state, n_heads = around_mixers(network, width, seed=seed)
    built = remote.build(layers=len(model.blocks), d_model=d_model, n_heads=n_heads, state=state)
    for layer in built:
        _check_size(layer, network["mixer_parameters"])
    if width and any(mlp_width(layer.parameters) != width for layer in built):
        raise ContractError("Mixer has another number of parameters when it is built again: the MLP makes up for one")
    for number, (block, layer) in enumerate(zip(model.blocks, built, strict=True)):
        mixer = RemoteMixer(remote, layer, number)
        block.mixer = mixer
        made.append(mixer)
    return Built(
        model=model, mixers=tuple(made), layers=tuple(built), mlp_width=width, network=network, state=state,
        d_model=d_model, counted_heads=heads, n_heads=n_heads,
    )  # fmt: skip


def _check_size(layer: Layer, most: int) -> None:
    """Where it is used, and not where the gates saw it. Raises `ContractError`."""
    if layer.parameters > most:
        raise ContractError(
            f"a mixer has {layer.parameters} parameters where it is trained, at most {most} are allowed "
            "(1.05 times the largest baseline's)"
        )
    if layer.saved_bytes > BYTES_A_NUMBER * most:
        raise ContractError(
            f"weights and buffers take {layer.saved_bytes} bytes where they are trained, at most "
            f"{BYTES_A_NUMBER * most} are allowed"
        )


def around_mixers(network: Mapping[str, Any], mlp_width: int, *, seed: int) -> tuple[ByteModel, Tensor, int]:
    """The fixed network with the weights that `seed` gives, what torch's generator is then, and the mixers' heads."""
    torch.manual_seed(seed)
    kept: dict[str, Any] = {}

    def placeholder(d_model: int, n_heads: int) -> nn.Module:
        if not kept:  # the first layer's
            kept["state"] = _for_mixers(seed)
        kept["heads"] = n_heads
        return nn.Identity()

    d_model, heads, layers = network["width"], network["heads"], network["layers"]
    if network["kind"] == "bytes":
        model = ByteModel(placeholder, d_model=d_model, n_heads=heads, n_layers=layers, mlp_width=mlp_width)
    else:
        model = ProbeModel(placeholder, vocab=network["vocabulary"], d_model=d_model)
    return model, kept["state"], kept["heads"]


def _for_mixers(seed: int) -> Tensor:
    """The generator's state from which mixers draw. Of a fresh seed it does not tell what the fixed network drew.

    Torch's generator can be run backwards, to the embedding: who knows which vector is which byte could start a mixer
    with what usually follows what. A screen's seeds are small: that network anybody can draw again.
    """
    if seed >= FIRST_FRESH_SEED:
        digest = hashlib.sha256(torch.get_rng_state().numpy().tobytes())
        torch.manual_seed(int.from_bytes(digest.digest()[:7]))
    return torch.get_rng_state()


def rebuild(remote: Remote, built: Built, *, layers: int | None = None, state: Tensor | None = None) -> list[Layer]:
    """Build the same mixers in a fresh process; their weights come with the first forward pass.

    `layers`: so many of them, `state`: drawn from this; None: as in the training.
    """
    # As the first process did, so that both draw the same: one is counted first.
    remote.build(layers=1, d_model=built.d_model, n_heads=built.counted_heads)
    return remote.build(
        layers=len(built.mixers) if layers is None else layers, d_model=built.d_model, n_heads=built.n_heads,
        state=built.state if state is None else state,
    )  # fmt: skip


def rebuild_foreign(remote: Remote, built: Built, *, seed: int) -> list[Layer]:
    """`rebuild` under another seed than the training's: whoever needs the same numbers gets them with each pass.

    What a mixer drew and keeps outside its weights and buffers is another's here, in every form in which it is asked.
    """
    with torch.random.fork_rng(devices=[]):  # whoever checks goes on with its own numbers
        _, state, _ = around_mixers(built.network, built.mlp_width, seed=seed)
    return rebuild(remote, built, state=state)
