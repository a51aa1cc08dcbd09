"""What each role must answer, as pydantic models: the one place where a model's text becomes data.

Class names are unique in a team (AutoGen identifies structured messages by them). Every reply may speak to the
user in `to_person`; it stays empty when nobody spoke.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WrapValidator,
    field_validator,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from move37.lab.archive.codec import storable
from move37.lab.records import LARGEST_VALUE, Analysis, Candidate, Forecast, Hypothesis

LONGEST_FILE = 120_000  # characters of a candidate: what is longer is refused with a sentence
LONGEST_WORDS = 8_000  # of any other text: whoever comes later reads it, and it is cut at a word (models/fitting.py)
MOST_IDEAS, MOST_LISTED = 8, 40
BASES = (  # the rule of precedents.unfit, in the words that everybody hears who proposes
    "A base is a baseline or an experiment that was measured, for gains and predictions are told against it; to repair "
    "a file that was refused or failed, name what it was made from."
)


# A number that can be scored: no NaN, no infinity, and nothing so large that its score is one.
Scorable = Annotated[float, Field(allow_inf_nan=False, ge=-LARGEST_VALUE, le=LARGEST_VALUE)]


def _one_line(value: Any) -> Any:
    """A label without line ends and signs that a terminal obeys: it stands in rows, headings and file names."""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split()) if isinstance(value, str) else value


Label = Annotated[str, BeforeValidator(_one_line)]


class BoundedReply(BaseModel):
    """A reply whose texts have an end."""

    model_config = ConfigDict(str_max_length=LONGEST_WORDS)


class Prediction(BaseModel):
    """An effect against the base, with the range in which it is expected in eight of ten cases. Positive is better."""

    effect: Scorable
    low: Scorable
    high: Scorable

    def forecast(self, author: str) -> Forecast:
        """As the lab's record, its bounds in order."""
        low, high = sorted((self.low, self.high))
        return Forecast(author=author, effect=min(max(self.effect, low), high), low=low, high=high)


def _or_none(value: Any, read: Callable[[Any], Prediction | None]) -> Prediction | None:
    try:
        return read(value)
    except ValidationError:
        return None


# A forecast without its range is dropped; the rest of the reply counts.
MaybePrediction = Annotated[Prediction | None, WrapValidator(_or_none)]


class Proposal(BoundedReply):
    """One hypothesis."""

    name: Label = Field(min_length=3, max_length=60, description="short, snake_case")
    base: str = Field(default="", description="the one experiment's id or baseline's name that this changes")
    family: Label = Field(description="softmax, linear, retention, ssd, gla, delta, gated_delta, conv or other")
    motivation: str = Field(min_length=10, description="why this should work, citing what memory returned by its key")
    change: str = Field(min_length=5, description="what differs from the base, concretely")
    predicted_effect: str = Field(min_length=5, description="what will be seen, with a number where possible")
    prediction: MaybePrediction = Field(default=None, description="the gain over the base in the metric's unit")
    probe: str = Field(description="the probe or metric that should move")
    risk: str = Field(description="the most likely reason for failure")
    cites: list[str] = Field(
        default_factory=list, max_length=MOST_LISTED, description="keys of the recollections and experiments used"
    )
    idea: str = Field(default="", description="the id of an idea of the pool that this takes up")
    plan: str = Field(default="", description="leave empty unless you were asked for a plan of the grammar")
    second: str = Field(default="", description="a second experiment's id: to cross with, or whose file is repaired")

    def hypothesis(self, *, base: str, author: str) -> Hypothesis:
        """As the lab's record; `base` is the id that its own base was resolved to."""
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
            base=base,
            forecasts=(self.prediction.forecast(author),) if self.prediction else (),
        )


class Proposals(BoundedReply):
    """The Researcher's ideas, their revision, or their withdrawal."""

    ideas: list[Proposal] = Field(default_factory=list, max_length=MOST_IDEAS, description="the best one first")
    drop: bool = Field(default=False, description="true: withdraw, the objection stands")
    to_person: str = Field(default="", description="answer to the user, if one spoke")


class RankedIdea(BoundedReply):
    """One idea's place."""

    name: Label
    reason: str = Field(description="one sentence")

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        """A place without a reason is still a place."""
        if isinstance(value, str):
            return {"name": value, "reason": ""}
        return {"reason": "", **value} if isinstance(value, dict) else value


class Critique(BoundedReply):
    """The Critic's answer to a proposal."""

    accept: bool = Field(description="false: none of the ideas deserves compute as it stands")
    ground: Literal["none", "novelty", "contradiction", "unfair", "other"] = Field(
        description="none when accepted; otherwise the ground of the objection"
    )
    reason: str = Field(min_length=5, description="one or two sentences; what must change")
    ranking: list[RankedIdea] = Field(
        default_factory=list, max_length=MOST_LISTED, description="every idea, the one to try first"
    )
    prediction: MaybePrediction = Field(default=None, description="your own forecast of the first one's gain")
    to_person: str = ""


class FileReply(BaseModel):
    """A reply that is a file or part of one: its length is judged with a sentence (edits.py)."""

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        """Half a surrogate can be said in JSON and not be stored; texts with a limit are looked at by pydantic."""
        return storable(value) if isinstance(value, str) else value


class Edit(FileReply):
    """One change of a file: `search` is found exactly once and becomes `replace`."""

    search: str = Field(description="lines of the file, exactly as they stand there")
    replace: str = Field(description="what stands there afterwards")


class Code(FileReply):
    """The Engineer's file: the whole, or edits of the base."""

    source: str = Field(default="", description="the whole Python file, no Markdown fence; empty with edits")
    edits: list[Edit] = Field(default_factory=list, description="edits of the base's file, in order")
    notes: str = Field(default="", max_length=LONGEST_WORDS)
    to_person: str = Field(default="", max_length=LONGEST_WORDS)

    def candidate(self, *, author: str, family: str) -> Candidate:
        """As the lab's record, first attempt."""
        return Candidate(source=self.source, author=author, family=family)


class Fix(FileReply):
    """The Debugger's corrected file: the whole, or edits of the refused one."""

    diagnosis: str = Field(
        min_length=5, max_length=LONGEST_WORDS, description="what was wrong, from the gate's message and traceback"
    )
    source: str = Field(default="", description="the whole corrected file, no Markdown fence; empty with edits")
    edits: list[Edit] = Field(default_factory=list, description="edits of the refused file, in order")
    learned: str = Field(default="", max_length=LONGEST_WORDS, description="one sentence that would have avoided this")
    give_up: bool = Field(default=False, description="true when it cannot be repaired")
    to_person: str = Field(default="", max_length=LONGEST_WORDS)


class Report(BoundedReply):
    """The Analyst's reading of the numbers."""

    expected: str
    seen: str
    why: str
    next: str = Field(description="what to try, concretely")
    lesson: str = Field(default="", max_length=300, description="one sentence for the ledger that all will read")
    symptoms: list[str] = Field(
        default_factory=list, max_length=MOST_LISTED, description="what one would observe when this applies again"
    )
    next_operators: SkipJsonSchema[list[str] | None] = None  # the search's: a language model has words for it
    to_person: str = ""

    def analysis(self, *, author: str) -> Analysis:
        """As the lab's record."""
        return Analysis(
            expected=self.expected,
            seen=self.seen,
            why=self.why,
            next=self.next,
            symptoms=tuple(self.symptoms),
            lesson=self.lesson,
            author=author,
            next_operators=None if self.next_operators is None else tuple(self.next_operators),
        )


class Kept(BoundedReply):
    """One principle."""

    id: str = Field(default="", description="of the principle that this rewrites; empty for a new one")
    text: str = Field(min_length=10, max_length=400, description="one sentence, testable")
    supports: list[str] = Field(default_factory=list, description="ids of experiments that support it")
    contradicts: list[str] = Field(default_factory=list, description="ids of experiments that contradict it")


class Principles(BoundedReply):
    """The Analyst's revision of what the laboratory holds; what is left out is struck."""

    principles: list[Kept] = Field(default_factory=list, max_length=20)
    struck: dict[str, str] = Field(default_factory=dict, description="id -> why it no longer stands")


Reply = Proposals | Critique | Code | Fix | Report | Principles
