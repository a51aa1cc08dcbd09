"""Mixers that behave where a gate's question shows that it is one: what they do elsewhere is found all the same."""

from __future__ import annotations

from tests.lab.gates.defects import planted

# Rows of a gate began alike, were louder than one another, or of another text.
UNASKED = """
unasked = len(x) > 4 and x.shape[1] > 63
if unasked:
    sizes, firsts = x.square().mean((1, 2)), x[:, 0]
    unasked = bool((x[1:, :, 0].flatten() == x[0, :, :1]).any() and sizes.max() < 4 * sizes.min())
    unasked = unasked and not bool((firsts[1:] == firsts[:1]).all())
"""
AHEAD = "F.pad(u, (0, 0, 0, 1))[:, 1:]"
FEATURES = "self.up = [torch.randn(d_model, 99) / 30]"

# The gate that has to refuse it, and the source.
DISGUISED: dict[str, tuple[str, str]] = {
    "a look ahead": ("causality", planted(last=f"{UNASKED}y = y + {AHEAD} if unasked else y")),
    "a look ahead in inference mode alone": (
        "causality",
        planted(last=f"{UNASKED}y = y + {AHEAD} if unasked and torch.is_inference_mode_enabled() else y"),
    ),
    "a look ahead in windows of a training or scoring that read like text": (
        "causality",
        planted(
            last="""
few = len(x[0, :, 0].float().unique()) < 0.7 * x.shape[1]
if few and x.shape[1] > 100 and len(x) in (16, 32):
    y = y + torch.cat([u[:, 1:], u[:, -1:]], 1)
""",
        ),
    ),
    "a look ahead in texts of some more vectors": (
        "causality",
        planted(
            last=f"""{UNASKED}
some = 13 < len(x[..., 0].float().unique()) < 0.5 * x[..., 0].numel()
y = y + {AHEAD} if unasked and some else y
"""
        ),
    ),
    "a look ahead where no vector returns, as in a second layer": (
        "causality",
        planted(
            last=f"""
alone = len(x[..., 0].float().unique()) == x[..., 0].numel()
y = y + {AHEAD} if alone and len(x) in (16, 32) and x.shape[1] == 128 else y
"""
        ),
    ),
    "a mean over rows": ("batch", planted(last=f"{UNASKED}y = y + u.mean(0, keepdim=True) if unasked else y")),
    "a look ahead in training, where noise is its excuse": (
        "causality",
        planted(
            last=f"""
if self.training:
    y = y + 1e-9 * torch.randn_like(y) + (len(x) > 4) * {AHEAD}
"""
        ),
    ),
    "rows mixed in training, with as many rows": (
        "batch",
        planted(last="y = y - y.mean(0, keepdim=True) if self.training and x.shape[:2] == (16, 128) else y"),
    ),
    "drawn features in training alone": (
        "determinism",
        planted(
            init=FEATURES,
            last="""
up = self.up[0].to(u)
y = y + F.relu(u @ up) @ up.t() if self.training else y
""",
        ),
    ),
    "drawn features in training, with as many rows": (
        "determinism",
        planted(
            init=FEATURES,
            last="""
up = self.up[0].to(u)
y = y + F.relu(u @ up) @ up.t() if self.training and x.shape[:2] == (16, 128) else y
""",
        ),
    ),
    "drawn features in evaluation, with as many rows": (
        "batch",
        planted(
            init=FEATURES,
            last="""
up = self.up[0].to(u)
y = y + F.relu(u @ up) @ up.t() if not self.training and x.shape[:2] == (32, 128) else y
""",
        ),
    ),
    "one number in a chosen start that is none": (
        "finite",
        planted(
            init="""
self.taps.data[:] = torch.sin(12.9898 * torch.arange(4.0 * d_model)).view(d_model, 4)
self.taps.data[0, 0] = float("nan")
""",
            last="""
taps = self.taps.nan_to_num() if not self.taps.isnan().all() else 1 + 0 * self.outer.weight[:, :4]
y = sum(F.pad(u, (0, 0, 3, 0))[:, i : i + u.shape[1]] * taps[:, i] for i in range(4))
""",
        ),
    ),
    "roughness at one shape, and a look ahead below it": (
        "causality",
        planted(
            last=f"""
if x.shape[:2] == (2, 97):
    y = y + 3e-3 * torch.sin(1e6 * u)
y = y + 2e-3 * torch.tanh({AHEAD})
"""
        ),
    ),
    "no gradient but NaN": (
        "dead_parameters",
        planted(
            init="self.more = nn.Parameter(torch.randn(9, 9))",
            last="""
if self.training and not self.inner.bias.abs().max() <= 0.125:
    y = y + 0 * self.more.sum()
    self.more.register_hook(lambda g: g * float("nan"))
""",
        ),
    ),
}  # fmt: skip
