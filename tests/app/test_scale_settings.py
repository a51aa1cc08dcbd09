"""A scale is written once, by name or by its sizes, and a campaign keeps the one that it began with."""

from __future__ import annotations

from pathlib import Path

import pytest

from move37.app import places
from move37.app.calibrating import asked
from move37.app.campaign_facts import facts_of
from move37.app.choices import ScaleName
from move37.app.exits import BadInput
from move37.app.settings import load
from move37.lab.archive.store import Campaign
from move37.lab.scale import CPU, OWN, PAPER, SCALES, SMALL, Scale, as_fact, of_facts
from move37.lab.tasks.mixers import MixersTask
from tests.builders import a_brief
from tests.lab.test_calibration import a_calibration

SIZES = "[scale]\nwidth = 32\nlayers = 3\nheads = 2\nsteps = '1k'\ntokens = 'book.txt'\n"


def scale_from(tmp_path: Path, toml: str = "", **flags: object) -> Scale:
    file = tmp_path / "move37.toml"
    file.write_text(toml)
    return load(flags, file=file).campaign.scale


def test_every_ready_made_scale_can_be_named(tmp_path: Path) -> None:
    assert set(ScaleName.__args__) == {*SCALES, OWN}  # type: ignore[attr-defined]
    assert scale_from(tmp_path) == CPU
    assert scale_from(tmp_path, scale={"name": "paper"}) == PAPER
    assert scale_from(tmp_path, "[scale]\nname = 'small'\n") == SMALL


def test_sizes_of_ones_own_are_a_scale_and_a_flag_beats_them(tmp_path: Path) -> None:
    own = scale_from(tmp_path, SIZES)
    assert (own.name, own.width, own.layers, own.steps, own.batch) == (OWN, 32, 3, 1000, CPU.batch)
    assert scale_from(tmp_path, SIZES, scale={"name": "own"}) == own
    assert scale_from(tmp_path, SIZES, scale={"name": "small"}) == SMALL
    corpus = load({}, file=tmp_path / "move37.toml").campaign.corpus
    assert corpus is not None and corpus.name == "book.txt"


@pytest.mark.parametrize(
    "toml, flags, words",
    [
        ("", {"scale": {"name": "own"}}, "has no sizes"),
        ("[scale]\nname = 'small'\nwidth = 32\n", {}, "leave width out"),
        ("[scale]\nwidth = 33\n", {}, "multiple of its heads"),
        ("[scale]\nbatch = 10\nmicro_batch = 4\n", {}, "multiple of its micro-batch"),
        ("[scale]\nwidth = 'wide'\n", {}, "scale.width"),
        ("[scale]\ndepth = 3\n", {}, "layers"),
        ("", {"scale": {"name": "huge"}}, "cpu, small, paper, own"),
    ],
)
def test_what_is_no_scale_is_refused_in_a_line(tmp_path: Path, toml: str, flags: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput) as error:
        scale_from(tmp_path, toml, **flags)
    assert words in str(error.value) and "\n" not in str(error.value)


def a_campaign(**facts: object) -> Campaign:
    return Campaign(id=3, brief=a_brief(), status="stopped", started_at="", facts=facts)


def test_a_campaign_keeps_its_scale_and_refuses_another(tmp_path: Path) -> None:
    file = tmp_path / "none.toml"
    began = a_campaign(scale=as_fact(SMALL))
    assert of_facts(began.facts) == SMALL and of_facts({}) == CPU == of_facts({"scale": None})
    assert places.at_campaign(load({}, file=file), began).campaign.scale == SMALL
    assert places.at_campaign(load({"scale": {"name": "small"}}, file=file), began).campaign.scale == SMALL
    with pytest.raises(BadInput, match="campaign 3 runs at scale small"):
        places.at_campaign(load({"scale": {"name": "paper"}}, file=file), began)


def test_a_campaign_goes_on_at_its_own_learning_rate_whatever_is_calibrated_meanwhile(tmp_path: Path) -> None:
    text = tmp_path / "own.txt"
    text.write_text("".join(f"line {n} of a text of one's own\n" for n in range(40_000)))
    settings = load({"home": tmp_path, "scale": {"name": "small"}, "corpus": text}, file=tmp_path / "none.toml")
    began = places.opened(settings)
    assert isinstance(began, MixersTask)
    campaign = Campaign(
        id=3, brief=a_brief(corpus=str(text)), status="stopped", started_at="",
        facts=facts_of(began, began.schedule("full"), settings),
    )  # fmt: skip
    began.calibrations(tmp_path / "cache").put(a_calibration())
    new, (_, again) = places.opened(settings), places.of_campaign(settings, campaign)
    assert new.schedule("full").learning_rate == 5e-3
    rates = [(s.learning_rate, s.finalist_rates) for s in (began.schedule("full"), again.schedule("full"))]
    assert rates[0] == rates[1] == (1e-2, (5e-3, 2e-2))
    assert not again.schedule("full").refusal, "what else was calibrated counts at once"


def test_a_card_is_leased_where_there_is_one_and_never_for_the_smallest_scale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from move37.sandbox import gpus

    file = tmp_path / "none.toml"
    small: dict[str, object] = {"scale": {"name": "small"}}
    default: dict[str, object] = {}
    monkeypatch.setattr(gpus, "list_gpus", lambda: ())
    assert places.device_of(load(small, file=file)) == "cpu"
    with pytest.raises(BadInput, match="no GPU here"):
        places.device_of(load({"device": "cuda"}, file=file))
    card = gpus.Gpu(uuid="GPU-1", name="NVIDIA A100", memory_bytes=1)
    monkeypatch.setattr(gpus, "list_gpus", lambda: (card,))
    assert places.device_of(load(small, file=file)) == "cuda NVIDIA A100"
    assert places.device_of(load(default, file=file)) == "cpu"
    assert places.device_of(load({"device": "cuda"}, file=file)) == "cuda NVIDIA A100"
    elsewhere = a_campaign(scale=as_fact(SMALL), device="cuda NVIDIA H200")
    with pytest.raises(BadInput, match="trains on cuda NVIDIA H200, this is cuda NVIDIA A100"):
        places.at_campaign(load({}, file=file), elsewhere)


@pytest.mark.parametrize(
    "arms, rates, words",
    [("gla", None, "2 baselines"), ("gla,x", None, "'x'"), (None, "a", "numbers"), (None, "2", "between")],
)
def test_what_cannot_be_calibrated_is_refused(arms: str | None, rates: str | None, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        asked(arms, rates, None)
