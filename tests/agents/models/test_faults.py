"""What a server's words mean: the kind of a fault, what a refusal names, how long to wait."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import pytest

from move37.agents.models.bodies import read
from move37.agents.models.capabilities import Capabilities, adapt, alternatives
from move37.agents.models.faults import Kind, diagnose, sentence
from move37.agents.models.waits import retry_after, waits_for
from move37.agents.models.wire import Exchange, is_overflow

BODY: dict[str, Any] = {
    "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
    "response_format": {"type": "json_schema"},
    "seed": 0,
    "max_tokens": 8192,
}

TOO_LONG = [
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9100 tokens.",
    "Please reduce the length of the messages or completion.",
    "Input tokens exceed the configured limit of 272000 tokens.",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
    "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    "The decoder prompt (length 5200) is longer than the maximum model length of 4096.",
    "'max_tokens' is too large: 8192. This model's maximum context length is 4096 tokens and your request has 1200 "
    "input tokens (8192 > 4096 - 1200).",
    "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "request (3100 tokens) exceeds the available context size (2048 tokens), try increasing it",
    "the input length exceeds the context length",
    "Trying to keep the first 5198 tokens when context the overflows. However, the model is loaded with context length",
    "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 3500 `inputs` tokens and 8192 `max_new_tokens`",
    "`inputs` must have less than 4095 tokens. Given: 5000",
    "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]",
    "This model's maximum prompt length is 131072 but the request contains 150000 tokens.",
    "Prompt length 5000 is greater than max_seq_len 4096",
    "Malformed input request: expected maxLength: 2048, actual: 5000, please reformat your input and try again.",
    "Prompt exceeds max length",
    "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000.",
]
FOR_THE_REPLY = {
    "max_tokens is too large: 8192. This model supports at most 4096 completion tokens": 4096,
    "Invalid max_tokens value, the valid range of max_tokens is [1, 4096]": 4096,
    "`max_tokens` must be less than or equal to `4096`, the maximum value for `max_tokens` is less than the "
    "`context_window` for this model": 4096,
    "max_tokens: 8192 > 4096, which is the maximum allowed number of output tokens for this model": 4096,
    "The maximum tokens you requested exceeds the model limit of 4096. Try a value that is lower than 4096.": 4096,
    "Unable to submit request because it has a maxOutputTokens value of 8192 but the supported range is from 1 "
    "(inclusive) to 4097 (exclusive).": 4096,
    "too many tokens: max tokens must be less than or equal to 4096, the maximum output length for this model": 4096,
    "`max_new_tokens` must be <= 4096. Given: 8192": 4096,
}


@pytest.mark.parametrize("words", TOO_LONG)
def test_a_prompt_that_is_too_long_is_told_in_many_words(words: str) -> None:
    assert is_overflow(words)


@pytest.mark.parametrize(("words", "most"), FOR_THE_REPLY.items())
def test_a_reply_that_was_promised_too_much_is_no_long_prompt(words: str, most: int) -> None:
    assert not is_overflow(words)
    assert adapt(BODY, alternatives(words, BODY, Capabilities())[0])["max_tokens"] == most


NAMED = {
    "This response_format type is unavailable now": "schema",
    "A schema in GenerationConfig in the request exceeds the maximum allowed nesting depth.": "schema",
    "No endpoints found that can handle the requested parameters.": "schema",
    "Json mode response is not supported when enable_thinking is true": "schema",
    'Invalid JSON payload received. Unknown name "seed": Cannot find field.': "seed",
    "unknown field: parameter 'seed' is not a valid field": "seed",
    "unexpected value; permitted: 'user', 'assistant' body messages 0 role": "system",
    "System role not supported at row 1, column 60: {{ raise_exception('System role not supported') }}": "system",
    "invalid params, role 'system' is not allowed": "system",
}


@pytest.mark.parametrize(("words", "changed"), NAMED.items())
def test_a_refusal_is_understood_in_its_provider_s_words(words: str, changed: str) -> None:
    assert not is_overflow(words)
    first, able = alternatives(words, BODY, Capabilities())[0], Capabilities()
    assert getattr(first, changed) != getattr(able, changed)
    assert [n for n in ("schema", "seed", "system", "limit") if getattr(first, n) != getattr(able, n)] == [changed]


class Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__("refused")
        self.status_code = status


def kind_of(status: int, words: str = "no", stated: str = "") -> tuple[Kind, str]:
    fault = diagnose(Refused(status), Exchange(status=status, words=words, retry_after=stated))
    return fault.kind, sentence("openai:tiny", fault)


FINAL = [
    (400, "API key not valid. Please pass a valid API key.", "check the API key"),
    (400, "Incorrect API key provided: x***", "check the API key"),
    (400, "Model Not Exist", "check the model's name"),
    (400, "x/y is not a valid model ID", "check the model's name"),
    (
        400,
        "The model `x` has been decommissioned and is no longer supported. code: model_decommissioned",
        "model's name",
    ),
    (400, "Your credit balance is too low to access the API.", "no credit left"),
    (400, "Billing hard limit has been reached", "no credit left"),
    (429, "You exceeded your current quota, please check your plan and billing details.", "no credit left"),
    (407, "Proxy Authentication Required", "HTTP_PROXY"),
    (307, "status 307", "moved"),
    (410, "gone", "check the model's name"),
]


@pytest.mark.parametrize(("status", "words", "advice"), FINAL)
def test_what_can_never_succeed_is_final_and_says_what_to_do(status: int, words: str, advice: str) -> None:
    kind, told = kind_of(status, words)
    assert kind is Kind.REFUSED and advice in told and "\n" not in told


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (429, "You exceeded your current quota, check billing details. Please retry in 34.07s.", Kind.OUTAGE),
        (429, "Rate limit reached. Please try again in 14m24.5s. Upgrade at https://x/settings/billing", Kind.OUTAGE),
        (429, "Request too large: Limit 30000, Requested 46000. The input tokens must be reduced.", Kind.OVERFLOW),
        (413, "Payload Too Large", Kind.OVERFLOW),
        (409, "conflict", Kind.HICCUP),
        (498, "Flex tier capacity exceeded", Kind.OUTAGE),
        (525, "SSL handshake failed", Kind.HICCUP),
        (400, "the moon is full", Kind.CALL),
    ],
)
def test_what_may_pass_is_no_refusal(status: int, words: str, kind: Kind) -> None:
    assert kind_of(status, words)[0] is kind


def test_an_untrusted_certificate_is_final_and_the_innermost_cause_is_told() -> None:
    try:
        try:
            raise OSError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate")
        except OSError as inner:
            raise ConnectionError("Connection error.") from inner
    except ConnectionError as error:
        fault = diagnose(error, Exchange())
    assert fault.kind is Kind.REFUSED
    assert "self-signed certificate" in sentence("openai:tiny", fault)
    assert "SSL_CERT_FILE" in sentence("openai:tiny", fault)


def now() -> float:
    return time.time()


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [
        (lambda: "40", 40.0),
        (lambda: "1.5", 1.5),
        (lambda: "1500ms", 1.5),
        (lambda: "2m", 120.0),
        (lambda: "1m30s", 90.0),
        (lambda: "34.5s", 34.5),
        (lambda: formatdate(now() + 3_600, usegmt=True), 3_600.0),
        (lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now() + 3_600)), 3_600.0),
        (lambda: str(int(now() + 3_600)), 3_600.0),
        (lambda: str(int((now() + 3_600) * 1_000)), 3_600.0),
    ],
)
def test_a_time_to_wait_is_read_in_every_form(stated: Any, seconds: float) -> None:
    assert retry_after(stated(), "") == pytest.approx(seconds, abs=120.0 if seconds > 1_000 else 0.0)


@pytest.mark.parametrize("stated", ["", "-1", "soon", "nan", "1e99", "🕒"])
def test_a_time_that_is_none_is_left_to_us(stated: str) -> None:
    assert retry_after(stated, "slow down") is None


@pytest.mark.parametrize(
    ("headers", "stated"),
    [
        ({"retry-after-ms": "1500", "retry-after": "2"}, "1500ms"),
        ({"ratelimit-reset": "40"}, "40"),
        ({"x-ratelimit-reset": "40", "x-ratelimit-remaining": "3"}, ""),
        (
            {
                "x-ratelimit-reset-requests": "1m2s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "9m",
                "x-ratelimit-remaining-tokens": "77",
            },
            "1m2s",
        ),
        ({"anthropic-ratelimit-requests-reset": "30s", "anthropic-ratelimit-requests-remaining": "0"}, "30s"),
        ({"date": "x"}, ""),
    ],
)
def test_the_limit_that_is_spent_says_how_long(headers: dict[str, str], stated: str) -> None:
    assert waits_for(headers) == stated


@pytest.mark.parametrize(
    ("body", "stated"),
    [
        (b'{"detail": "throttled", "retry_after": 12}', "12"),
        (b'[{"error": {"details": [{"@type": "RetryInfo", "retryDelay": "34s"}]}}]', "34s"),
        (b'{"error": "loading", "estimated_time": 20.5}', "20.5"),
        (b'{"error": {"metadata": {"retry_after_seconds": 9}}}', "9"),
    ],
)
def test_a_body_may_say_it_too(body: bytes, stated: str) -> None:
    assert read(429, "application/json", body, proven=True).after == stated
