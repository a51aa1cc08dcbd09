"""The lab's messages in a conversation, as typed data; only for a language model are they rendered as text.

`Opening` opens every stage. Beside it stand `Precedents` (memory's and the record's answer to a proposal), `Refused` (a
file that a gate refused) and `Results` (numbers for the Analyst). What the roles answer is in replies.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from move37.agents.research_context import ResearchContext
from move37.agents.results import Attempt
from move37.lab.records import Candidate, Effects, GateResult, Measurement
from move37.memory.records import DeadEnd, Newness


class LabMessage(BaseModel):
    """Facts from the lab."""

    model_config = ConfigDict(frozen=True)


class Opening(LabMessage):
    """A stage begins."""

    context: ResearchContext


class PrecedentFacts(LabMessage):
    """What is known about one proposed idea."""

    idea: str  # its name
    newness: Newness
    dead_end: DeadEnd


class Precedents(LabMessage):
    """The answer to a proposal, before the Critic speaks."""

    ideas: tuple[PrecedentFacts, ...] = ()
    problems: tuple[str, ...] = ()  # sentences for the Researcher: what cannot be judged as it was written


class Refused(LabMessage):
    """Gates that refused a file."""

    candidate: Candidate
    gates: tuple[GateResult, ...]  # those that refused
    attempts: tuple[Attempt, ...] = ()  # earlier ones, oldest first
    problem: str = ""  # what was wrong with the last answer, e.g. an edit that did not fit
    diagnosis: str = ""  # what the Debugger wrote the refused file for; "" of the first


class Results(LabMessage):
    """What was measured on the screening text, and what deciding runs showed: who reads an analysis may propose."""

    measurements: tuple[Measurement, ...] = ()
    baselines: Mapping[str, tuple[Measurement, ...]] = {}  # name -> at the same metrics and steps
    parents: Mapping[str, tuple[Measurement, ...]] = {}  # likewise, of what it was made from
    effects: Effects = Effects()
    verdict: str = ""  # a sentence
    gates: tuple[GateResult, ...] = ()  # that did not pass
    failure: str = ""
    source: str = ""
    diff: str = ""  # what the file changes in that of its base, unified


LAB_MESSAGES: tuple[type[LabMessage], ...] = (Opening, Precedents, Refused, Results)
