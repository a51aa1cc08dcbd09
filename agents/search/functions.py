"""The functions that a mixer's file may need before its classes, as source text, by how they are called."""

from __future__ import annotations

from collections.abc import Mapping

ROTATE = '''\
def rotate(x):
    """Rotary positions on [batch, time, head, dim]: pairs (i, i + dim/2) turn by time * 10000^(-2i/dim)."""
    time, half = x.shape[1], x.shape[-1] // 2
    rates = 10000.0 ** (-torch.arange(half, device=x.device, dtype=torch.float64) / half)
    angles = torch.arange(time, device=x.device, dtype=torch.float64)[:, None] * rates
    cos, sin = angles.cos().to(x.dtype)[:, None], angles.sin().to(x.dtype)[:, None]
    a, b = x[..., :half], x[..., half : 2 * half]
    return torch.cat([a * cos - b * sin, a * sin + b * cos, x[..., 2 * half :]], dim=-1)'''

WINDOWED = '''\
def windowed_attention(q, k, v, window):
    """Softmax over the last `window` positions, [batch, time, head, dim]: in blocks, so cost grows like time."""
    time = q.shape[1]
    q, k, v = (F.pad(t, (0, 0, 0, 0, 0, -time % window)) for t in (q, k, v))
    q, k, v = (rearrange(t, "b (n w) h d -> b n h w d", w=window) for t in (q, k, v))
    # Each block of queries sees its own block of keys and the one before it.
    k, v = (torch.cat([F.pad(t, (0, 0, 0, 0, 0, 0, 1, 0))[:, :-1], t], dim=3) for t in (k, v))
    row = torch.arange(window, device=q.device)[:, None] + window
    column = torch.arange(2 * window, device=q.device)
    seen = (column <= row) & (column > row - window)  # [window, 2 window]
    block = torch.arange(q.shape[1], device=q.device)[:, None, None]
    seen = seen & ((column >= window) | (block > 0))  # nothing stands before the first block
    o = F.scaled_dot_product_attention(q, k, v, attn_mask=seen[:, None])
    return rearrange(o, "b n h w d -> b (n w) h d")[:, :time]'''

LONG = '''\
def long_convolution(u, taps):
    """y_t = sum_{s<=t} taps_{t-s} u_s on [batch, time, channel] by FFT, padded so that nothing wraps around."""
    time = u.shape[1]
    size = 1 << (2 * time - 1).bit_length()
    spectrum = torch.fft.rfft(u.to(taps.dtype), size, dim=1) * torch.fft.rfft(taps, size, dim=0)
    return torch.fft.irfft(spectrum, size, dim=1)[:, :time].to(u.dtype)'''

BEFORE = '''\
def token_before(x):
    """[batch, time, channel] one token later; zeros come first."""
    return F.pad(x, (0, 0, 1, 0))[:, :-1]'''

STEPPED = '''\
def with_steps(first, more, steps):
    """A row a step: [batch, time, head, dim] and [batch, time, (steps - 1) * head * dim] joined in time."""
    more = rearrange(more, "b t (n h d) -> b t n h d", n=steps - 1, h=first.shape[2])
    return torch.cat([first[:, :, None], more], dim=2).flatten(1, 2)'''

LEVELS = '''\
def level_weights(x):
    """[batch, time, 2 * head] -> weights in (0, 2) of what a token reads, [batch, time, head, level]: itself, then
    buckets of 1, 2, 4, ... tokens. Of two numbers a head the second says how the weight goes with the level."""
    near, slope = rearrange(x, "b t (two h) -> two b t h 1", two=2)
    level = torch.arange(1 + (x.shape[1] - 1).bit_length(), device=x.device, dtype=x.dtype)
    return 2 * (near + slope * level / 8).sigmoid()'''

FUNCTIONS: Mapping[str, str] = {  # call -> the function's text, in the order of a file
    " rotate(": ROTATE,
    "token_before(": BEFORE,
    "with_steps(": STEPPED,
    "windowed_attention(": WINDOWED,
    "long_convolution(": LONG,
    "level_weights(": LEVELS,
}
