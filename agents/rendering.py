"""A research context as the text of a prompt: one pure function, within a budget of tokens.

What is the same for every role and every turn stands in `front` (the system message: contract and kernels first), so
that a provider can cache it; `render` gives the rest: what changes slowly (principles, leaderboard, ledger) before what
changes with every turn (sources, recollections, the request), and the role's instructions last. A block is shown whole,
in its short form of one line, or left out; it is never cut. Which role reads which section: `SECTIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from move37.agents import blocks, kernels_card, prompts
from move37.agents.blocks import ContextBlock
from move37.agents.replies import BASES
from move37.agents.research_context import ResearchContext, TaskCard

Count = Callable[[str], int]  # tokens of a text, by the model that will read it
Section = Callable[[ResearchContext], Sequence[ContextBlock]]

# Section -> (heading, maker), in the order in which they are printed.
_MAKERS: Mapping[str, tuple[str, Section]] = {
    "principles": ("What the laboratory holds to be so", blocks.principles),
    "leaderboard": ("Leaderboard at each number of steps", blocks.leaderboard),
    "ledger": ("Every experiment so far", blocks.ledger),
    "ledger_near": ("Experiments beside this one", blocks.ledger_near),
    "sources": ("Files to build on", blocks.sources),
    "plans": ("Plans to build on", blocks.plans),
    "base": ("The file that the hypothesis changes", blocks.base_source),
    "parents": ("What there is to build on", blocks.parents),
    "recollections": ("From memory", blocks.recollections),
    "pool": ("Ideas that nobody has tried yet", blocks.pool),
    "in_flight": ("Being tried just now", blocks.in_flight),
    "budget": ("What may still be spent", blocks.budget),
    "direction": ("What the user wants", blocks.direction),
    "hypothesis": ("The accepted hypothesis", blocks.hypothesis),
}
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "Researcher": (
        *("principles", "leaderboard", "ledger", "sources", "recollections", "pool", "in_flight", "budget"),
        "direction",
    ),
    "Critic": ("principles", "leaderboard", "ledger", "parents", "recollections", "in_flight", "direction"),
    "Engineer": ("base", "direction", "hypothesis"),
    "Debugger": ("direction", "hypothesis"),
    "Analyst": ("principles", "leaderboard", "ledger_near", "parents", "direction", "hypothesis"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A prompt and what it took."""

    text: str
    tokens: int
    left_out: int  # blocks that found no room


def front(task: TaskCard) -> str:
    """The system message of every role: the same for the whole campaign."""
    metric = task.metric
    facts = "\n".join(f"- {label}: {value}" for label, value in task.facts.items())
    direction = "higher" if metric.higher_is_better else "lower"
    return prompts.fill(
        "common",
        contract=task.contract,
        kernels=f"The kernels that a candidate may import:\n\n{kernels_card.card()}" if task.uses_kernels else "",
        facts=facts,
        metric=metric.name,
        direction=direction,
        unit=metric.unit,
    ).replace("\n\n\n\n", "\n\n")


def render(context: ResearchContext, role: str, *, budget: int, count: Count) -> Rendered:
    """Everything that `role` reads of a context, in at most `budget` tokens; what must be there is never left out."""
    made = [(name, list(_MAKERS[name][1](context))) for name in sections(context, role)]
    ending = request(context, role)
    shown, tokens = _chosen([b for _, found in made for b in found], budget - count(ending), count)
    parts, left_out = [], 0
    for name, found in made:
        texts = [shown[id(b)] for b in found if id(b) in shown]
        missing = len(found) - len(texts)
        left_out += missing
        texts += [f"({missing} more found no room here.)"] if missing and texts else []
        if texts:
            parts.append(f"## {_MAKERS[name][0]}\n\n" + "\n".join(texts))
    return Rendered(text="\n\n".join([*parts, ending]), tokens=tokens + count(ending), left_out=left_out)


def sections(context: ResearchContext, role: str) -> tuple[str, ...]:
    """What `role` reads; who answers with plans reads those of the files in place of the files."""
    swapped = {"sources": "plans"} if context.plans == "must" else {}
    return tuple(swapped.get(name, name) for name in SECTIONS[role])


def request(context: ResearchContext, role: str) -> str:
    """The role's instructions, which stand last."""
    return prompts.fill(
        role.lower(),
        experiment=context.experiment,
        ideas=str(context.ideas_wanted),
        bases=BASES,
        plans=prompts.text(f"plans_{context.plans}").strip(),
    )


def _chosen(found: Sequence[ContextBlock], budget: int, count: Count) -> tuple[dict[int, str], int]:
    """Block -> its text. First what must be there, then everything that can be folded in its short form (in at most
    half of the room), then the most important ones whole, as far as the budget goes."""
    ranked = sorted(found, key=lambda b: b.rank)
    shown = {id(b): b.text for b in ranked if b.must}
    size = {id(b): count(b.text) for b in ranked if b.must}
    for block in ranked:
        if block.folded and not block.must:
            short = count(block.folded)
            if sum(size.values()) + short <= budget // 2:
                shown[id(block)], size[id(block)] = block.folded, short
    spent = sum(size.values())
    for block in ranked:
        if block.must:
            continue
        whole = count(block.text)
        if spent - size.get(id(block), 0) + whole <= budget:
            spent += whole - size.get(id(block), 0)
            shown[id(block)], size[id(block)] = block.text, whole
    return shown, spent
