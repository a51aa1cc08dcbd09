"""How long a prompt may be: as the provider says, as a refusal says, and what a role's context takes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.agents.language_model import LanguageModel
from move37.agents.models import ModelOptions, open_model, signature
from move37.agents.models.provider import CONTEXT_TOKENS, SMALL_CONTEXT_TOKENS
from move37.agents.models.repair import StructuredOutputClient
from move37.agents.models.window import MOST_TOKENS, context_budget, window_in
from move37.agents.replies import Critique
from move37.agents.research_context import TaskCard
from move37.agents.roles import RoleContext, member
from move37.lab.records import BITS_PER_BYTE
from tests.agents.models.scripted import Texts
from tests.agents.models.server import completion, serving
from tests.agents.models.test_repair import ASKED, GOOD, Refused, repaired

TASK = TaskCard(name="mixers", metric=BITS_PER_BYTE, contract="A class named Mixer.")
LISTS: dict[str, Any] = {
    "vLLM": {"data": [{"id": "tiny", "max_model_len": 32_768}, {"id": "other", "max_model_len": 4_096}]},
    "a router": {"data": [{"id": "tiny", "context_length": 40_000, "top_provider": {"context_length": 32_768}}]},
    "a server of one model": {"data": [{"id": "/models/a.gguf", "meta": {"n_ctx": 32_768, "n_ctx_train": 131_072}}]},
    "another provider's": {"data": [{"id": "tiny", "context_window": 32_768, "active": True}]},
    "Anthropic's": {"data": [{"type": "model", "id": "tiny", "max_input_tokens": 32_768}], "has_more": False},
    "a bare list": [{"name": "tiny", "context_length": 32_768.0}],
}
SILENT: dict[str, Any] = {
    "OpenAI's": {"data": [{"id": "tiny", "object": "model", "owned_by": "us"}]},
    "what it was trained for": {"data": [{"id": "tiny", "meta": {"n_ctx_train": 131_072}}]},
    "others": {"data": [{"id": "one", "max_model_len": 9_000}, {"id": "two", "max_model_len": 9_000}]},
    "nonsense": {"data": [{"id": "tiny", "max_model_len": True, "context_length": -1, "n_ctx": "many"}]},
    "nothing": None,
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "id", "n_ctx"]), inner),
    max_leaves=10,
)


@pytest.mark.parametrize("listed", LISTS.values(), ids=LISTS.keys())
def test_a_window_is_read_in_any_list_of_models(listed: Any) -> None:
    assert window_in(listed, "tiny") == 32_768


@pytest.mark.parametrize("listed", SILENT.values(), ids=SILENT.keys())
def test_what_does_not_say_a_window_is_not_guessed_from(listed: Any) -> None:
    assert window_in(listed, "tiny") is None


@given(VALUES)
def test_no_list_breaks_the_reader(listed: Any) -> None:
    found = window_in(listed, "tiny")
    assert found is None or found > 0


@given(st.none() | st.integers(600, 2_000_000), st.integers(0, 5_000), st.none() | st.integers(1_000, 500_000))
def test_a_context_never_takes_more_than_half_of_a_window_and_never_more_than_the_setting(
    window: int | None, contract: int, setting: int | None
) -> None:
    budget = context_budget(window, contract=contract, setting=setting, default=24_000)
    assert setting is None or budget <= setting
    if window is None:
        assert budget == (setting or 24_000)
    else:
        assert budget <= max(1_000, window // 2) and (setting or budget <= MOST_TOKENS)


def a_role(setting: int | None = None) -> RoleContext:
    async def before() -> None: ...

    return RoleContext(
        member=member("Critic"), number=1, task=TASK, stage=lambda: "", before=before, after=lambda _: None,
        failed=lambda _: None, context_tokens=setting,
    )  # fmt: skip


Answer = Callable[[dict[str, Any]], tuple[Any, ...]]
SHAPES: dict[str, Any] = {
    "openai:tiny": completion(GOOD),
    "anthropic:tiny": {"type": "message", "role": "assistant", "content": [{"type": "text", "text": GOOD}]},
    "ollama:tiny": {"model": "tiny", "message": {"role": "assistant", "content": GOOD}, "done": True},
}


@pytest.mark.parametrize("uri", SHAPES)
async def test_every_provider_is_asked_for_the_window_once_after_the_trial_call(uri: str) -> None:
    listed = {"data": [{"id": "tiny", "context_length": 16_384}]}
    listed |= {"models": [{"model": "tiny", "name": "tiny", "context_length": 16_384}]}
    with serving(lambda _: (200, SHAPES[uri]), models=listed) as (url, _):
        address = url if uri.startswith("openai") else url.removesuffix("/v1")
        client = open_model(uri, ModelOptions(base_url=address, key="none"))
        assert isinstance(client, StructuredOutputClient)
        model = LanguageModel(client, signature=signature(client))
        before = model.budget(a_role())
        await client.trial(seconds=5)
        after, less = model.budget(a_role()), model.budget(a_role(2_000))
        await client.close()
    assert before == (SMALL_CONTEXT_TOKENS if uri.startswith("ollama") else CONTEXT_TOKENS)
    assert 0.4 * 16_384 < after < 0.5 * 16_384 and less == 2_000


async def test_a_server_that_has_no_list_and_one_that_breaks_cost_nothing() -> None:
    for listed in (None, "words", {"data": 7}):
        with serving(lambda _: (200, GOOD), models=listed) as (url, _):
            client = open_model("openai:tiny", ModelOptions(base_url=url))
            assert isinstance(client, StructuredOutputClient)
            await client.trial(seconds=5)
            await client.close()
        assert client.window is None


def test_openai_s_own_window_is_known_without_asking_anybody() -> None:
    client: Any = open_model("openai:gpt-4o", ModelOptions(key="none"))
    coroutine = client._ask_window()
    with pytest.raises(StopIteration) as found:
        coroutine.send(None)  # it awaits nothing
    assert found.value.value == 128_000


async def test_a_refusal_that_names_the_window_is_remembered_by_the_next_context() -> None:
    inner = Texts(Refused(400, "This model's maximum context length is 8192 tokens, your prompt has 9000 tokens"), GOOD)
    client, _ = repaired(inner)
    model = LanguageModel(client, signature="openai:test")
    assert model.budget(a_role()) == CONTEXT_TOKENS
    await client.create(ASKED, json_output=Critique)
    assert 1_000 <= model.budget(a_role()) < 4_096 and model.budget(a_role(100_000)) < 4_096
