"""Model names and prices."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from move37.agents.errors import BadModel
from move37.agents.models import ModelOptions, assigned, open_model, options_for, parse, signature
from move37.agents.models.price import FREE, Price, cost, price_of
from move37.agents.models.provider import REPLY_SECONDS, Provider
from move37.agents.models.providers import PROVIDERS
from tests.agents.models.scripted import Texts


@pytest.mark.parametrize(
    "uri",
    ["", "gpt-4o", "openai:", "designer:x", "mystery:model", "replay:", "ollama", "local:", "researcher=openai:x"],
)
def test_an_unknown_name_is_refused_in_one_line(uri: str) -> None:
    with pytest.raises(BadModel) as caught:
        open_model(uri)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("designer:", "write designer"),
        ("seat:", "write seat"),
        ("seat:me", "write seat"),
        ("openai: ", "needs a name"),
        ("openai:x,", "one role has one model"),
        ("openai:x,openai:y", "one role has one model"),
        ("researcher=openai:x,,", "one role has one model"),
        ("researcher=openai:x critic=openai:y", "one before critic="),
        ("openai:x; critic=openai:y", "one before critic="),
        ("openai:x\x00y", "line ends"),
        ("openai:x\ny", "line ends"),
        ("openai:" + "x" * 5_000, "at most"),
        ("x" * 5_000, "use one of"),
        ("local:" + "x" * 5_000, "name a GGUF file"),
        ("local:\x00", "name a GGUF file"),
        ("local:~nobodyatall/x", "name a GGUF file"),
        ("replay:" + "x" * 5_000, "HOME/recordings"),
        ("replay:\x00", "HOME/recordings"),
        ("replay:/nowhere/at/all", "HOME/recordings"),
    ],
)
def test_whatever_no_model_is_called_gets_a_short_sentence_that_says_what_to_write(model: str, says: str) -> None:
    with pytest.raises(BadModel, match=says) as caught:
        for uri in assigned(model).uris:
            open_model(uri, ModelOptions(key="k"))
    assert len(str(caught.value)) < 600 and "Errno" not in str(caught.value) and "agents/" not in str(caught.value)


@pytest.mark.parametrize("name", ["/models/my model.gguf", "a,b", "org/model:q4@v1", "模型", "x" * 300])
def test_a_servers_own_name_of_a_model_is_taken_as_it_is(name: str) -> None:
    assert assigned(f"openai:{name}").uris == (f"openai:{name}",) and parse(f"openai:{name}").name == name
    assert assigned(f"researcher=openai:{name}, critic=openai:x").models["Critic"] == "openai:x"


def test_a_local_model_that_is_not_there_says_how_to_get_one() -> None:
    with pytest.raises(BadModel, match="move37 models list"):
        open_model("local:/nowhere/at/all.gguf")


def test_a_name_may_hold_colons() -> None:
    model = parse("ollama:qwen2.5-coder:7b")
    assert (model.provider, model.name, str(model)) == ("ollama", "qwen2.5-coder:7b", "ollama:qwen2.5-coder:7b")


def test_taking_a_name_apart_and_reading_operators_imports_nothing_heavy() -> None:
    code = (
        "import sys; from move37.agents.models import parse; from move37.agents.search import operators_of;"
        "parse('openai:x'); operators_of('x = 1');"
        "print([m for m in ('torch', 'transformers', 'openai', 'anthropic', 'autogen_core') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_prices_are_known_free_or_none() -> None:
    assert price_of("designer") == price_of("ollama:x") == FREE
    assert price_of("openai:x", base_url="http://127.0.0.1:8080/v1") == FREE
    assert price_of("openai:gpt-4o", base_url="https://example.org/v1") is None
    assert price_of("openai:some-model-of-tomorrow") is None
    assert price_of("openai:gpt-4o-2024-08-06") == price_of("openai:gpt-4o")
    assert price_of("openai:gpt-4o-mini-2024-07-18") == price_of("openai:gpt-4o-mini") != price_of("openai:gpt-4o")
    assert price_of("openai:gpt-4o-audio") is None


def test_cost_is_per_million_tokens() -> None:
    price = price_of("openai:gpt-4o")
    assert price is not None and cost(price, 1_000_000, 100_000) == pytest.approx(price.prompt + price.completion / 10)


def test_cached_tokens_and_the_user_s_own_prices() -> None:
    own = {"openai:mine": Price(prompt=10.0, completion=20.0, cached=1.0)}
    price = price_of("openai:mine", base_url="https://example.org/v1", own=own)
    assert price is not None
    assert cost(price, 1_000_000, 0, 400_000) == pytest.approx(6.4)
    assert cost(Price(prompt=10.0, completion=20.0), 1_000_000, 0, 400_000) == pytest.approx(10.0)


def test_each_role_has_its_model() -> None:
    models = assigned("researcher=anthropic:a,Engineer = openai:b:c,default=ollama:q").models
    assert models == {
        "Researcher": "anthropic:a",
        "Critic": "ollama:q",
        "Engineer": "openai:b:c",
        "Debugger": "ollama:q",
        "Analyst": "ollama:q",
    }
    assert assigned("openai:x").uris == ("openai:x",)
    assert assigned("researcher=openai:x").models["Critic"] == "designer"
    assert assigned("replay:/tmp/a,b=c.jsonl").models["Critic"] == "replay:/tmp/a,b=c.jsonl"
    assert assigned("critic=replay:/tmp/a,b.jsonl,default=openai:x").models["Critic"] == "replay:/tmp/a,b.jsonl"


@pytest.mark.parametrize(
    "text", ["resarcher=openai:x", "researcher=", "critic=openai:x,critic=openai:y", "critic=openai:x,enginer=openai:y"]
)
def test_a_role_that_is_none_is_named(text: str) -> None:
    with pytest.raises(BadModel) as caught:
        assigned(text)
    assert "\n" not in str(caught.value)


def test_a_provider_is_one_file_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from move37 import agents

    opened: list[tuple[str, ModelOptions]] = []

    def another(name: str, options: ModelOptions) -> Texts:
        opened.append((name, options))
        return Texts("hello")

    mine = Provider(name="mine", open=another, key_variable="MINE_API_KEY")
    monkeypatch.setattr(agents.models, "PROVIDERS", (*PROVIDERS, mine))
    options = options_for("mine:m", ModelOptions(), {"MINE_API_KEY": "k"})
    assert signature(open_model("mine:m", options)) == "mine:m"
    assert opened == [("m", replace(options, reply_seconds=REPLY_SECONDS))] and options.key == "k"
    with pytest.raises(BadModel, match="mine:NAME"):
        parse("nobody:x")
