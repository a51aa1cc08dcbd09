"""Gates given as raw numbers: the decay and the writing rate that a layer would otherwise compute before the call.

    use_gate_in_kernel            g = -exp(A_log) softplus(g + dt_bias);
                                  with lower_bound: g = lower_bound sigmoid(exp(A_log) (g + dt_bias))
    use_beta_sigmoid_in_kernel    beta = sigmoid(beta), twice that with allow_neg_eigval

Computed in float32 (float64 as g) by PyTorch, whose autograd gives the gradients of g, beta, A_log and dt_bias.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from move37.kernels import contract
from move37.kernels.errors import BadOption

NAMES = ("use_gate_in_kernel", "A_log", "dt_bias", "lower_bound", "use_beta_sigmoid_in_kernel", "allow_neg_eigval")


def apply_gates(
    g: Tensor | None, beta: Tensor | None, options: dict[str, object]
) -> tuple[Tensor | None, Tensor | None, dict[str, object]]:
    """g [B, T, HV] or [B, T, HV, K] and beta [B, T, HV] through the gates that `options` ask for.

    -> g, beta, the other options. A_log [HV]; dt_bias as a row of g, in one axis or more. Raises KernelError.
    """
    others = {name: value for name, value in options.items() if name not in NAMES}
    if options.get("use_gate_in_kernel"):
        g = _decay(g, options)
    else:
        others |= {name: options[name] for name in ("A_log", "dt_bias", "lower_bound") if name in options}
    if options.get("use_beta_sigmoid_in_kernel"):
        if beta is None:
            raise BadOption("beta", None, "a tensor, as use_beta_sigmoid_in_kernel is on")
        contract.check_tensor("beta", beta)
        beta = _wide(beta).sigmoid()
        if options.get("allow_neg_eigval"):
            beta = 2 * beta
    elif "allow_neg_eigval" in options:
        others["allow_neg_eigval"] = options["allow_neg_eigval"]
    return g, beta, others


def _decay(g: Tensor | None, options: dict[str, object]) -> Tensor:
    a_log, bias, bound = options.get("A_log"), options.get("dt_bias"), options.get("lower_bound")
    if g is None:
        raise BadOption("g", None, "a tensor, as use_gate_in_kernel is on")
    contract.check_tensor("g", g)
    raw, row = _wide(g), g.shape[2:]
    if isinstance(bias, Tensor):
        if bias.numel() != row.numel():
            contract.check_gate("dt_bias", bias, tuple(row), g)
        raw = raw + bias.to(raw.dtype).reshape(row)
    if a_log is None and bound is None:
        raise BadOption("A_log", None, f"a tensor [{row[0]}], as use_gate_in_kernel is on")
    speed: Tensor | float = 1.0
    if a_log is not None:
        contract.check_tensor("A_log", a_log)
        assert isinstance(a_log, Tensor)
        if a_log.numel() != row[0]:
            contract.check_gate("A_log", a_log, (row[0],), g)
        speed = a_log.to(raw.dtype).reshape(row[0], *([1] * (len(row) - 1))).exp()
        speed = speed.clamp(max=torch.finfo(raw.dtype).max)  # infinite times a softplus of zero would be no number
    if bound is None:
        return -speed * F.softplus(raw)
    if not isinstance(bound, (int, float)) or bound >= 0:
        raise BadOption("lower_bound", bound, "a negative number")
    return float(bound) * torch.sigmoid(speed * raw)


def _wide(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
