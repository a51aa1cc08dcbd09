"""The roles of the search for programs: random edits of a parent's region, written, taken back, reported."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from move37.agents.errors import ModelReplyInvalid
from move37.agents.replies import Code, Fix, Proposal, Proposals
from move37.agents.search.preferences import Preferences, recognise_edits
from move37.agents.search.program_edits import KINDS, WEIGHTS, ProgramEdit, apply, mutate, region
from move37.agents.search.user_replies import answered
from move37.agents.search.view import View

ALL_IT_CAN = "a search that changes numbers and deletes, copies or swaps statements; that is all it can do"
TRIES = 100


def propose(view: View) -> Proposals:
    """One to three edits of a parent's region, never the same plan twice; withdrawn where there is nothing to edit."""
    rng = view.rng("program", len(view.offers))
    parents = [p for p in view.context.parents if region(p.source)]
    known = {*view.context.tried_plans, *(p.plan for p in view.proposals)}
    weights = _weights(view)
    answer = answered(view, will="")
    for _ in range(TRIES if parents else 0):
        parent = parents[0] if rng.random() < 0.75 else rng.choice(parents)
        edits: list[ProgramEdit] = []
        text = parent.source
        for _ in range(rng.choices((1, 2, 3), (6, 3, 1))[0]):
            if (edit := mutate(text, rng, weights)) is not None:
                edits.append(edit)
                text = apply(text, [edit]) or text
        plan = json.dumps({"parent": parent.id, "edits": [asdict(e) for e in edits]}, sort_keys=True)
        if edits and text != parent.source and plan not in known:
            return Proposals(ideas=[_proposal(view, parent.id, edits, plan)], to_person=answer)
    nothing = Proposal(
        name="nothing_to_change",
        family="other",
        motivation=f"Withdrawn by {ALL_IT_CAN}: no parent has a number or statement in its region that is untried.",
        change="Nothing is changed.",
        predicted_effect="Nothing: it will not be measured.",
        probe=view.metric,
        risk="None.",
    )
    return Proposals(ideas=[nothing], drop=True, to_person=answer)


def _weights(view: View) -> tuple[float, ...]:
    """Weights of edits by kind: ten times for what the user asked for, a thousandth for what was ruled out."""
    preferences = Preferences()
    for line in view.said:
        preferences = preferences.without(recognise_edits(line))
    factor = dict.fromkeys(preferences.wanted, 10.0) | dict.fromkeys(preferences.unwanted, 1e-3)
    return tuple(weight * factor.get(kind, 1.0) for kind, weight in zip(KINDS, WEIGHTS, strict=True))


def _proposal(view: View, parent: str, edits: Sequence[ProgramEdit], plan: str) -> Proposal:
    kinds = "_".join(dict.fromkeys(e.kind for e in edits))
    return Proposal(
        name=f"edit_{kinds}_line_{edits[0].line}"[:60],
        base=parent,
        family="program",
        motivation=f"Drawn by {ALL_IT_CAN}. It has no reason beyond chance; selection does the rest.",
        change=f"In {parent}: {'; '.join(str(e) for e in edits)}.",
        predicted_effect=f"{view.metric} higher than that of {parent}, with the small chance that a random edit has.",
        probe=view.metric,
        risk="Most random edits do harm or nothing.",
        plan=plan,
    )


def implement(view: View) -> Code:
    """The parent's text with the plan's edits. Raises `ModelReplyInvalid`: there is no plan, or it does not fit."""
    parent, edits = _plan(view)
    text = apply(parent, edits) if edits else None
    if text is None:
        raise ModelReplyInvalid(f"designer is {ALL_IT_CAN}: the hypothesis holds no plan of edits that fits its parent")
    return Code(source=text, notes=f"Edited by {ALL_IT_CAN}.", to_person=answered(view, will=""))


def repair(view: View) -> Fix:
    """The same without the last edit; the end when only one is left. Raises `ValueError`: nothing was refused."""
    if view.refused is None:
        raise ValueError("there is no refused file to repair")
    source = view.refused.candidate.source
    parent, edits = _plan(view)
    refused = ", ".join(g.name for g in view.refused.gates)
    steps = [apply(parent, edits[:count]) for count in range(len(edits) + 1)]
    now = steps.index(source) if source in steps else len(edits)  # how many edits the refused file holds
    answer = answered(view, will="")
    for count in range(now - 1, 0, -1):
        shorter = steps[count]
        if shorter is not None and shorter != source:
            diagnosis = f"Gate {refused} refused it; I took back {'; '.join(str(e) for e in edits[count:now])}."
            return Fix(diagnosis=diagnosis, source=shorter, to_person=answer)
    diagnosis = f"Gate {refused} refused it, and without its edit it is the parent again. I am {ALL_IT_CAN}."
    return Fix(diagnosis=diagnosis, source=source.ljust(10), give_up=True, to_person=answer)


def _plan(view: View) -> tuple[str, list[ProgramEdit]]:
    """The parent's text and the edits of the hypothesis; ("", []) when the plan is none of ours."""
    sources = {p.id: p.source for p in view.context.parents}
    try:
        data = json.loads(view.plan)
        edits = [ProgramEdit(**edit) for edit in data["edits"]]
        return sources[data["parent"]], edits
    except (ValueError, TypeError, KeyError):
        return "", []
