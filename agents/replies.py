"""What each role must answer, as pydantic models: the one place where a model's text becomes data.

Class names are unique in a team (AutoGen identifies structured messages by them). Every reply may speak to the
person in `to_person`; it stays empty when nobody spoke.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from move37.lab.records import Analysis, Candidate, Hypothesis


class Proposal(BaseModel):
    """The Researcher's hypothesis, its revision, or its withdrawal."""

    name: str = Field(min_length=3, max_length=60, description="short, snake_case")
    family: str = Field(description="softmax, linear, retention, ssd, gla, delta, gated_delta, conv or other")
    motivation: str = Field(min_length=10, description="why this should work, citing what memory returned by its key")
    change: str = Field(min_length=5, description="what differs from the parents, concretely")
    predicted_effect: str = Field(min_length=5, description="what will be seen, with a number where possible")
    probe: str = Field(description="the probe or metric that should move")
    risk: str = Field(description="the most likely reason for failure")
    cites: list[str] = Field(default_factory=list, description="keys of the recollections used")
    plan: str = Field(default="", description="leave empty unless you are a search")
    drop: bool = Field(default=False, description="true: withdraw the hypothesis, the objection stands")
    to_person: str = Field(default="", description="answer to the person, if one spoke")

    def hypothesis(self) -> Hypothesis:
        """As the lab's record."""
        return Hypothesis(
            name=self.name,
            family=self.family,
            motivation=self.motivation,
            change=self.change,
            predicted_effect=self.predicted_effect,
            probe=self.probe,
            risk=self.risk,
            cites=tuple(self.cites),
            plan=self.plan,
        )


class Critique(BaseModel):
    """The Critic's answer to a proposal."""

    accept: bool
    ground: Literal["none", "novelty", "contradiction", "unfair", "other"] = Field(
        description="none when accepted; otherwise the ground of the objection"
    )
    reason: str = Field(min_length=5, description="one or two sentences; what must change")
    to_person: str = ""


class Code(BaseModel):
    """The Engineer's file."""

    source: str = Field(min_length=10, description="the whole Python file, no Markdown fence")
    notes: str = ""
    to_person: str = ""

    def candidate(self, *, author: str, family: str) -> Candidate:
        """As the lab's record, first attempt."""
        return Candidate(source=self.source, author=author, family=family)


class Fix(BaseModel):
    """The Debugger's corrected file."""

    diagnosis: str = Field(min_length=5, description="what was wrong, from the gate's message and traceback")
    source: str = Field(min_length=10, description="the whole corrected Python file, no Markdown fence")
    give_up: bool = Field(default=False, description="true when it cannot be mended")
    to_person: str = ""


class Report(BaseModel):
    """The Analyst's reading of the numbers."""

    expected: str
    seen: str
    why: str
    next: str = Field(description="what to try, concretely")
    symptoms: list[str] = Field(default_factory=list, description="what one would observe when this applies again")
    to_person: str = ""

    def analysis(self, *, author: str) -> Analysis:
        """As the lab's record."""
        return Analysis(
            expected=self.expected,
            seen=self.seen,
            why=self.why,
            next=self.next,
            symptoms=tuple(self.symptoms),
            author=author,
        )


Reply = Proposal | Critique | Code | Fix | Report
REPLIES: dict[str, type[BaseModel]] = {
    "Researcher": Proposal,
    "Critic": Critique,
    "Engineer": Code,
    "Debugger": Fix,
    "Analyst": Report,
}
