"""The five members of the society: who they are, what they must answer, which prompt makes them."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from move37.agents.replies import Code, Critique, Fix, Proposal, Report

LAB = "Lab"  # opens each stage with its dossier; not an agent
PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One role."""

    name: str
    description: str
    reply: type[BaseModel]
    prompt: str  # file in agents/prompts, without .md


MEMBERS = (
    Member(name="Researcher", description="Proposes and revises hypotheses.", reply=Proposal, prompt="researcher"),
    Member(name="Critic", description="Accepts or contests a hypothesis.", reply=Critique, prompt="critic"),
    Member(name="Engineer", description="Writes the candidate's code.", reply=Code, prompt="engineer"),
    Member(name="Debugger", description="Mends code that a gate refused.", reply=Fix, prompt="debugger"),
    Member(name="Analyst", description="Explains what was measured.", reply=Report, prompt="analyst"),
)
