"""The object in a reply: found, mended, never a draft, never guessed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.agents.models.answers import validated
from move37.agents.replies import Code, Critique

FINAL = {"accept": False, "ground": "novelty", "reason": "it was tried before"}
DRAFT = {"accept": True, "ground": "none", "reason": "a first impression"}
GOOD, FIRST = json.dumps(FINAL), json.dumps(DRAFT)

MENDED = {
    "plain": GOOD,
    "indented": json.dumps(FINAL, indent=2),
    "fenced": f"```json\n{GOOD}\n```",
    "prose around": f"Sure! Here it is:\n{GOOD}\nI hope {{this}} helps.",
    "another object before": '{"note": "not this one"} ' + GOOD,
    "another object after": GOOD + ' {"note": "not this one"}',
    "raw newline": GOOD.replace("tried ", "tried\n"),
    "a wrapper": json.dumps({"Critique": FINAL}),
    "two wrappers": json.dumps({"result": {"critique": FINAL}}),
    "a tool's wrapper": json.dumps({"name": "Critique", "parameters": FINAL}),
    "a string in a wrapper": json.dumps({"arguments": GOOD}),
    "a JSON string": json.dumps(GOOD),
    "a list": json.dumps([FINAL]),
    "Python": str(FINAL),
    "Python's booleans": GOOD.replace("false", "False"),
    "JSON's booleans in Python": str(FINAL).replace("False", "false"),
    "a trailing comma": GOOD[:-1] + ",}",
    "a comma before the end of a raw line": GOOD[:-1].replace(", ", ",\n") + ",\n}",
    "a thought": f"<think>{FIRST}</think>\n{GOOD}",
    "a thought without its beginning": f"{FIRST}\n</think>\n{GOOD}",
    "two thoughts": f"<think>{FIRST}</think> hm <think>{FIRST}</think>{GOOD}",
    "a thought in brackets": f"[THINK]{FIRST}[/THINK]{GOOD}",
    "channels": f"<|channel|>analysis<|message|>{FIRST}<|end|><|start|>assistant<|channel|>final<|message|>{GOOD}",
    "a correction": f"```json\n{FIRST}\n```\nWait, it was tried.\n```json\n{GOOD}\n```",
    "a draft in the wrapper": json.dumps({"draft": DRAFT, "final": FINAL}),
    "a marker in a string": json.dumps(FINAL | {"reason": "it says </think> itself"}),
}


@pytest.mark.parametrize("text", MENDED.values(), ids=MENDED.keys())
def test_the_answer_is_found_and_never_the_draft(text: str) -> None:
    reply, problem = validated(text, Critique)
    assert isinstance(reply, Critique), problem
    assert (reply.accept, reply.ground) == (False, "novelty")


@pytest.mark.parametrize("text", [f"<think>{FIRST}", f"<think>{GOOD}</think>", f"[THINK]{FIRST}", ""])
def test_a_thought_is_no_answer(text: str) -> None:
    assert validated(text, Critique)[0] is None


def test_a_missing_field_is_said_and_not_guessed() -> None:
    reply, problem = validated('{"accept": true}', Critique)
    assert reply is None and "ground: Field required" in problem and "reason: Field required" in problem


FILE = "import torch\n\n\nclass Mixer(torch.nn.Module):\n    pass\n"


@pytest.mark.parametrize(
    "text",
    [
        f"Here is the file:\n```python\n{FILE}```\nIt is causal.",
        json.dumps({"source": f"```python\n{FILE}```"}),
        json.dumps({"source": FILE, "notes": "</think>"}),
    ],
)
def test_a_fenced_file_is_the_source(text: str) -> None:
    reply, problem = validated(text, Code)
    assert isinstance(reply, Code), problem
    assert reply.source == FILE


def test_two_files_are_none() -> None:
    assert validated(f"```python\n{FILE}```\nor\n```python\n{FILE}```", Code)[0] is None


PROSE = st.text(st.characters(exclude_characters="{}<>[]|\"'\\`", exclude_categories=["Cs"]), max_size=60)


@given(PROSE, PROSE, st.text(st.characters(exclude_categories=["Cs"]), min_size=5))
def test_whatever_stands_around_it_the_object_is_found(before: str, after: str, reason: str) -> None:
    wanted = FINAL | {"reason": reason}
    reply, problem = validated(f"{before}\n{json.dumps(wanted)}\n{after}", Critique)
    assert isinstance(reply, Critique), problem
    assert reply.reason == reason


SCALARS = st.none() | st.booleans() | st.text() | st.integers()


@given(st.dictionaries(st.sampled_from(["accept", "ground", "reason", "x"]), SCALARS))
def test_what_python_prints_is_read_as_json_would_be(value: dict[str, Any]) -> None:
    assert (validated(str(value), Critique)[0] is None) == (validated(json.dumps(value), Critique)[0] is None)


@given(st.text() | st.text(alphabet="{}[]\"',:\\<>/think` \nacceptruefalse", max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    reply, problem = validated(text, Critique)
    assert reply is not None or problem


@pytest.mark.parametrize("text", ['{"a":' * 50_000, "{" * 50_000, "[" * 100_000, '"' * 99_999, "{'" * 20_000])
def test_deep_nesting_is_no_reply(text: str) -> None:
    assert validated(text, Critique)[0] is None
