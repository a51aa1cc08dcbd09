"""Model names and prices."""

from __future__ import annotations

import subprocess
import sys

import pytest

from move37.agents.errors import BadModel
from move37.agents.models import open_model, parse
from move37.agents.models.price import FREE, cost, price_of


@pytest.mark.parametrize(
    "uri", ["", "gpt-4o", "openai:", "designer:x", "mystery:model", "replay:", "ollama", "local:x"]
)
def test_an_unknown_name_is_refused_in_one_line(uri: str) -> None:
    with pytest.raises(BadModel) as caught:
        open_model(uri)
    assert "\n" not in str(caught.value)


def test_local_models_are_absent_and_say_so() -> None:
    with pytest.raises(BadModel, match="not built in yet"):
        parse("local:qwen")


def test_a_name_may_hold_colons() -> None:
    model = parse("ollama:qwen2.5-coder:7b")
    assert (model.provider, model.name, str(model)) == ("ollama", "qwen2.5-coder:7b", "ollama:qwen2.5-coder:7b")


def test_taking_a_name_apart_and_reading_operators_imports_nothing_heavy() -> None:
    code = (
        "import sys; from move37.agents.models import parse, operators_of; parse('openai:x'); operators_of('x = 1');"
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
