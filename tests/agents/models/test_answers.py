"""The object in a reply: found, mended, never a draft, never guessed."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from move37.agents.models.answers import validated
from move37.agents.replies import Code, Critique, Fix, Proposals

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
    "a thought behind the answer": f"{GOOD}<think>was that right? {FIRST}</think>",
    "thoughts on both sides": f"<think>{FIRST}</think>{GOOD}\n<think>good</think> <think>{FIRST}</think>\n",
    "a thought in a thought": f"<think>a <think>{FIRST}</think> b</think>{GOOD}",
    "a thought in brackets": f"[THINK]{FIRST}[/THINK]{GOOD}",
    "channels": f"<|channel|>analysis<|message|>{FIRST}<|end|><|start|>assistant<|channel|>final<|message|>{GOOD}",
    "a correction": f"```json\n{FIRST}\n```\nWait, it was tried.\n```json\n{GOOD}\n```",
    "a draft in the wrapper": json.dumps({"draft": DRAFT, "final": FINAL}),
    "a marker in a string": json.dumps(FINAL | {"reason": "it says </think> itself"}),
    "comments": GOOD.replace('{"', '{ // a verdict\n"').replace(', "g', ', # why\n /* so */ "g'),
    "keys without quotes": "{accept: false, ground: 'novelty', reason: 'it was tried before'}",
    "an apostrophe in Python's quotes": "{'accept': False, 'ground': 'novelty', 'reason': 'it wasn't new'}",
    "quotes in a string": GOOD.replace("it was", 'the "linear" one was'),
    "curly quotes": "{“accept”: false, “ground”: “novelty”, “reason”: “it was tried”}",
    "full-width punctuation": GOOD.replace(":", "：").replace(", ", "，"),
    "hard and zero-width spaces": "\u200b" + GOOD.replace(" ", "\u00a0"),
    "a forgotten comma": GOOD.replace('", "', '" "'),
    "a forgotten bracket": GOOD[:-1],
    "a bracket that the server had begun": GOOD[1:],
    "pieces of a string": GOOD.replace("it was ", 'it was " + "'),
    "a call in Python": "Critique(accept=False, ground='novelty', reason='it was tried')",
    "equals signs": GOOD.replace('":', '" ='),
    "keys in another case": json.dumps({k.upper(): v for k, v in FINAL.items()}),
    "keys with their types": json.dumps({f"{k} (any)": v for k, v in FINAL.items()}),
    "a choice in another case": GOOD.replace("novelty", "Novelty."),
    "null for what may be left out": json.dumps(FINAL | {"ranking": None, "to_person": None, "prediction": None}),
    "a choice with its reason": GOOD.replace("novelty", "novelty: it was tried"),
    "a choice with a remark": GOOD.replace("novelty", "Novelty (c1-004)"),
    "a numbered list": "1. accept: false\n2. ground: novelty\n3. reason: it was tried before",
    "an answer that ends a thought without end": f"<think>{FIRST}\n<answer>{GOOD}</answer>",
    "an answer in a thought": f"<think><answer>{FIRST}</answer></think>{GOOD}",
    "a list as text": json.dumps(FINAL | {"reason": ["it was tried", "before"]}),
    "names as a ranking": json.dumps(FINAL | {"ranking": ["a", "b"]}),
    "a ranking of one": json.dumps(FINAL | {"ranking": {"name": "a", "reason": "b"}}),
    "a forecast that is none": json.dumps(FINAL | {"prediction": 0.02}),
    "a forecast in words": json.dumps(FINAL | {"prediction": "about 0.02"}),
    "half a character": GOOD.replace("tried", "tried \\ud83d"),
    "a completion in the answer": json.dumps({"choices": [{"message": {"content": GOOD}}]}),
    "a list in a wrapper": json.dumps({"critiques": [FINAL]}),
    "Qwen's call": "<tool_call><function=Critique>"
    + "".join(f"<parameter={k}>\n{json.dumps(v) if k == 'accept' else v}\n</parameter>" for k, v in FINAL.items())
    + "</function></tool_call>",
    "GLM's call": "<tool_call>Critique"
    + "".join(
        f"<arg_key>{k}</arg_key><arg_value>{str(v).lower() if k == 'accept' else v}</arg_value>"
        for k, v in FINAL.items()
    ),
    "Mistral's call": f"[TOOL_CALLS]Critique[ARGS]{GOOD}",
    "tags": "".join(f"<{k}>{str(v).lower() if k == 'accept' else v}</{k}>" for k, v in FINAL.items()),
    "lines": "**accept**: false\n**ground**: novelty\n**reason**: it was tried before",
    "entities": GOOD.replace('"', "&quot;"),
    "escaped twice": GOOD.replace('"', '\\"'),
    "a constrained channel": f"<|channel|>analysis<|message|>{FIRST}<|end|>"
    f"<|channel|>final <|constrain|>json<|message|>{GOOD}",
    "another turn after its end": f"{GOOD}<|eot_id|><|start_header_id|>user<|end_header_id|>{FIRST}",
    "an answer before a thought without end": f"{GOOD}\n<think>{FIRST}",
    "a thought with attributes": f'<think time="2">{FIRST}</think>{GOOD}',
    "a thought that names its mark": f"<think>never write </think> here {FIRST}</think>{GOOD}",
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


def test_what_was_cut_off_is_never_closed() -> None:
    for length in range(2, len(GOOD)):
        assert validated(GOOD[:length], Critique, cut=True)[0] is None


@pytest.mark.parametrize(
    "change", [{"cites": "2312.06635, c1-001"}, {"predicted_effect": 0.0123}, {"base": None}, {"name": "x" * 80}]
)
@pytest.mark.parametrize(
    "wrap", [lambda idea: {"ideas": [idea]}, lambda idea: idea, lambda idea: [idea], lambda idea: {"ideas": idea}]
)
def test_an_idea_is_read_in_any_shape(change: dict[str, Any], wrap: Any) -> None:
    words = dict.fromkeys(("motivation", "change", "predicted_effect", "probe", "risk"), "a longer memory")
    reply, problem = validated(json.dumps(wrap({"name": "longer", "family": "gla"} | words | change)), Proposals)
    assert isinstance(reply, Proposals), problem
    assert reply.ideas[0].family == "gla" and reply.ideas[0].cites in ([], ["2312.06635", "c1-001"])


FILE = 'import torch\n\n\nclass Mixer(torch.nn.Module):\n    """A "mixer"."""\n\n    names = {"a": \'b\\n\'}\n'


@pytest.mark.parametrize(
    "text",
    [
        FILE,
        f"<think>hm</think>{FILE}",
        f"Here is the file:\n```python\n{FILE}```\nIt is causal.",
        f"Here is the file:\n~~~py\n{FILE}~~~",
        f"```python title='mixer.py'\n{FILE}```",
        f"```python\n{FILE}",
        f"```python\r\n{FILE}```".replace("\n", "\r\n").replace("\r\r", "\r"),
        f"1. File:\n\n   ```python\n{textwrap.indent(FILE, '   ')}   ```",
        f"```markdown\nHere it is:\n```python\n{FILE}```\nIt is causal.\n```",
        f"````md\nHere it is:\n```python\n{FILE}```\n````",
        f"````text\n~~~python\n{FILE}~~~\n````",
        f"```python\n{FILE}```\nUse it:\n```python\nMixer()\n```\nInstall:\n```bash\npip install torch\n```",
        json.dumps({"source": f"```python\n{FILE}```"}),
        json.dumps({"source": f"Here it is:\n```python\n{FILE}```\nIt is causal."}),
        json.dumps({"source": FILE, "notes": "</think>"}),
        json.dumps({"code": FILE}),
        json.dumps({"Source": FILE}),
        json.dumps({"source": FILE.splitlines()}),
        f'{{"notes": "x"}}\n```python\n{FILE}```',
        f'{{"source": "see below"}}\n```python\n{FILE}```',
        f'{{"source": "{FILE}", "notes": "not escaped at all"}}',
        f'{{"source": `{FILE}`}}',
        f"{{'source': r'''{FILE}'''}}",
        f"<tool_call><function=Code><parameter=source>\n{FILE}</parameter></function></tool_call>",
    ],
)
def test_a_file_is_the_source_however_it_is_handed_over(text: str) -> None:
    reply, problem = validated(text, Code)
    assert isinstance(reply, Code), problem
    assert reply.source.strip() == FILE.strip()


@pytest.mark.parametrize("indent", ["", "    "])
@pytest.mark.parametrize("mark", ["```", "~~~"])
def test_a_fence_in_a_string_of_a_file_does_not_end_it(mark: str, indent: str) -> None:
    file = f'class Mixer:\n    """As in\n\n{indent}{mark}\n{indent}Mixer()\n{indent}{mark}\n    """\n'
    for text in (f"{mark}python\n{file}{mark}\nand so on", json.dumps({"source": f"Here:\n{mark}py\n{file}{mark}"})):
        reply, problem = validated(text, Code)
        assert isinstance(reply, Code) and reply.source == file, problem


def test_a_file_that_was_cut_off_is_none() -> None:
    for text in (f"```python\n{FILE}", json.dumps({"source": FILE})[:80], FILE):
        assert validated(text, Code, cut=True)[0] is None


def test_edits_may_stand_as_blocks() -> None:
    text = "It forgets.\n<<<<<<< SEARCH\n    pass\n=======\n    return x\n>>>>>>> REPLACE\n"
    reply, _ = validated(text, Fix)
    assert isinstance(reply, Fix)
    assert [(e.search, e.replace) for e in reply.edits] == [("    pass\n", "    return x\n")]
    assert reply.diagnosis == "It forgets."


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


@pytest.mark.parametrize("form", [Code, Fix])
def test_half_a_surrogate_in_a_file_or_an_edit_does_not_outlive_the_reading(form: type[BaseModel]) -> None:
    """It can be said in JSON, and neither stored nor sent: the reply was lost with its conversation."""
    for part in ({"source": "x = 1  # \ud83d\n"}, {"edits": [{"search": "x", "replace": "y  # \ud83d"}]}):
        reply, problem = validated(json.dumps({"diagnosis": "it was wrong"} | part), form)
        assert reply is not None and not problem and "# ?" in reply.model_dump_json()
    limits = json.dumps(form.model_json_schema()["properties"]["source"])
    assert "maxLength" not in limits, "decoding that is held to the form would count to it"


@pytest.mark.parametrize("depth", [100, 300, 600, 960, 5_000])
def test_a_good_reply_that_holds_a_deep_value_is_read_or_refused(depth: int) -> None:
    """Up to some thousand brackets JSON is read, and what reads it on has a stack that ends sooner."""
    for inside in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        for text in (f'{GOOD[:-1]}, "more": {inside}}}', f'{{"reason": {inside}}}', inside):
            reply, problem = validated(text, Critique)
            assert problem or reply is not None


@pytest.mark.parametrize("text", ['{"a":' * 50_000, "{" * 50_000, "[" * 100_000, '"' * 99_999, "{'" * 20_000])
def test_deep_nesting_is_no_reply(text: str) -> None:
    assert validated(text, Critique)[0] is None
