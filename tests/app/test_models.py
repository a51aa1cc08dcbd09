"""Settings -> models: by role, with their own way of being asked, priced, and tried before a campaign exists."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from move37.agents.errors import BadModel, ModelUnavailable
from move37.agents.models import assigned
from move37.app import models
from move37.app.exits import BadInput
from move37.app.settings import load
from tests.agents.models.server import answering


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "MOVE37_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_a_role_has_its_own_model_and_its_own_way_of_being_asked() -> None:
    Path("move37.toml").write_text(
        'model = "researcher=openai:big,default=ollama:small"\ntemperature = 0.5\nbase_url = "http://127.0.0.1:9/v1"\n'
        '[roles.researcher]\ntemperature = 1.0\neffort = "high"\nreply_tokens = "16k"\n'
    )
    settings = load()
    asked = models.asked_by_role(settings, models.checked(settings), seed=7)
    researcher, critic = asked["Researcher"], asked["Critic"]
    assert (researcher.uri, critic.uri) == ("openai:big", "ollama:small")
    assert (researcher.options.temperature, critic.options.temperature) == (1.0, 0.5)
    assert (researcher.options.effort, critic.options.effort) == ("high", None)
    assert (researcher.options.reply_tokens, critic.options.reply_tokens) == (16_000, 8_192)
    assert (researcher.options.base_url, critic.options.base_url) == ("http://127.0.0.1:9/v1", None)
    assert researcher.options.seed == 7 and asked["Engineer"] == critic


def test_a_price_of_one_s_own_keeps_a_cost() -> None:
    with pytest.raises(BadInput, match=r'openai:mine.*\[prices."openai:mine"\]'):
        models.checked(load({"model": "openai:mine", "max_cost": "1"}))
    Path("move37.toml").write_text('[prices."openai:mine"]\nprompt = 1.0\ncompletion = 2.0\n')
    assert models.checked(load({"model": "openai:mine", "max_cost": "1"})).uris == ("openai:mine",)


@pytest.mark.parametrize(
    "toml", ['[roles.chef]\neffort = "high"', '[roles.critic]\neffort = "huge"', "[prices.x]\nprompt = 1"]
)
def test_a_table_that_cannot_be_used_is_named(toml: str) -> None:
    Path("move37.toml").write_text(toml)
    with pytest.raises(BadInput) as caught:
        load()
    assert "\n" not in str(caught.value) and ("roles" in str(caught.value) or "prices" in str(caught.value))


async def test_models_are_asked_once_before_anything_else() -> None:
    with answering((200, "ready")) as (url, requests):
        settings = load({"model": "openai:tiny", "base_url": url})
        async with AsyncExitStack() as stack:
            opened = await models.opened(
                settings, models.checked(settings), stack, seed=0, base_url=None, on_wait=lambda text: None
            )
    assert len(requests) == 1 and opened.trial_tokens == 10 and len(opened.unique) == 1
    assert len(opened.clients) == 5


@pytest.mark.parametrize("status", [401, 404])
async def test_a_model_that_refuses_is_found_before_anything_else(status: int) -> None:
    with answering((status, {"error": {"message": "no"}})) as (url, _):
        settings = load({"model": "openai:tiny", "base_url": url})
        async with AsyncExitStack() as stack:
            with pytest.raises(ModelUnavailable):
                await models.opened(
                    settings, models.checked(settings), stack, seed=0, base_url=None, on_wait=lambda text: None
                )


def test_a_missing_key_is_found_when_it_is_opened() -> None:
    from move37.agents.models import open_model

    asked = models.asked_by_role(load({"model": "openai:gpt-4o"}), models.checked(load({"model": "openai:gpt-4o"})))
    with pytest.raises(BadModel, match="OPENAI_API_KEY"):
        open_model("openai:gpt-4o", asked["Critic"].options)


@pytest.mark.parametrize(
    ("model", "task", "size", "said"),
    [
        ("local:tiny.gguf", "mixers", 1 << 20, "--model hybrid:local:tiny.gguf"),
        ("hybrid:local:tiny.gguf", "mixers", 1 << 20, ""),
        ("researcher=openai:x,default=local:tiny.gguf", "mixers", 1 << 20, "--model hybrid:local:tiny.gguf"),
        ("engineer=openai:x,default=local:tiny.gguf", "mixers", 1 << 20, ""),
        ("local:tiny.gguf", "mixers", models.SMALL, ""),
        ("local:tiny.gguf", "program:folder", 1 << 20, ""),  # plans are for mixers
        ("designer", "mixers", 0, ""),
    ],
)
def test_who_asks_a_small_model_to_write_mixers_hears_what_would_do_better(
    model: str, task: str, size: int, said: str
) -> None:
    with Path("tiny.gguf").open("wb") as file:
        file.truncate(size)  # a hole: nothing is written
    sentence = models.too_small(assigned(model), task)
    assert bool(sentence) == bool(said) and said in sentence
