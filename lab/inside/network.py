"""The fixed rest of the network, around a candidate's mixer. Runs inside the sandbox; pure torch.

`ByteModel` is the byte-level language model of rung 2: embedding, layers of (norm, mixer, norm, MLP), norm, head
tied to the embedding. `ProbeModel` is the one layer without an MLP in which rung 1 asks what a mixer alone can do.
There is no position embedding: where a mixer needs positions, it brings them.
Sizes live in `lab/training/sizes.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from move37.lab.training.sizes import D_MODEL, N_HEADS, N_LAYERS, VOCAB, fit_mlp_width, network_parameters

__all__ = ["MLP", "Block", "ByteModel", "MakeMixer", "ProbeModel", "count", "fit_mlp_width", "network_parameters"]

MakeMixer = Callable[[int, int], nn.Module]  # (d_model, n_heads) -> a mixer; a `Mixer` class is one
EPS = 1e-6


class MLP(nn.Module):
    """Position by position: d_model -> width -> d_model, GELU, no biases."""

    def __init__(self, d_model: int, width: int) -> None:
        super().__init__()
        self.up = nn.Linear(d_model, width, bias=False)
        self.down = nn.Linear(width, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[..., d_model] -> the same."""
        out: Tensor = self.down(F.gelu(self.up(x)))
        return out


class Block(nn.Module):
    """Pre-norm residual block; without an MLP when `mlp_width` is 0."""

    def __init__(self, mixer: nn.Module, d_model: int, mlp_width: int) -> None:
        super().__init__()
        self.mixer_norm = nn.RMSNorm(d_model, eps=EPS)
        self.mixer = mixer
        self.mlp_norm = nn.RMSNorm(d_model, eps=EPS) if mlp_width else None
        self.mlp = MLP(d_model, mlp_width) if mlp_width else None

    def forward(self, x: Tensor) -> Tensor:
        """[batch, time, d_model] -> the same."""
        x = x + self.mixer(self.mixer_norm(x))
        if self.mlp is not None and self.mlp_norm is not None:
            x = x + self.mlp(self.mlp_norm(x))
        return x


class ByteModel(nn.Module):
    """Byte-level language model. `mixer` is called once a layer, after everything else has drawn its weights.

    With one seed, embedding and MLPs of equal width so start equal whatever the mixer draws.
    """

    def __init__(
        self,
        mixer: MakeMixer,
        *,
        vocab: int = VOCAB,
        d_model: int = D_MODEL,
        n_heads: int = N_HEADS,
        n_layers: int = N_LAYERS,
        mlp_width: int,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, d_model)
        nn.init.normal_(self.embedding.weight, std=d_model**-0.5)
        self.blocks = nn.ModuleList([Block(nn.Identity(), d_model, mlp_width) for _ in range(n_layers)])
        self.norm = nn.RMSNorm(d_model, eps=EPS)
        for block in self.blocks:
            block.mixer = mixer(d_model, n_heads)

    def forward(self, tokens: Tensor) -> Tensor:
        """[batch, time] of int64 -> logits [batch, time, vocab]."""
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.embedding.weight)

    def loss(self, tokens: Tensor) -> Tensor:
        """Mean cross-entropy in nats of every next byte. `tokens`: [batch, time + 1] of int64."""
        logits = self(tokens[:, :-1])
        return F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())


class ProbeModel(ByteModel):
    """One layer, no MLP: what the mixer alone can learn (rung 1)."""

    def __init__(self, mixer: MakeMixer, *, vocab: int, d_model: int = D_MODEL, n_heads: int = 2) -> None:
        super().__init__(mixer, vocab=vocab, d_model=d_model, n_heads=n_heads, n_layers=1, mlp_width=0)


def count(module: nn.Module) -> int:
    """Real numbers among the parameters of `module`: a shared one once, a complex one as two."""
    return sum(p.numel() * (2 if p.is_complex() else 1) for p in module.parameters())
