"""Adding one of five is a file and a line: each is added to its registry here and used as users do.

`tests/test_docs.py` executes the examples of CONTRIBUTING.md one by one; here they are reached from settings, flags and
commands, so that a second place which knows the names of the first ones makes a test fail.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib import reload
from pathlib import Path
from typing import get_args

import pytest

from move37.agents import models
from move37.agents.models import price
from move37.agents.models.provider import ModelOptions
from move37.agents.models.providers import PROVIDERS
from move37.app import choices
from move37.app.paper import blocks_of
from move37.app.settings import load
from move37.app.views.campaign import metric_of
from move37.app.views.evidence import ladder_signs
from move37.lab import baselines
from move37.lab.archive.store import Archive
from move37.lab.claims import settled
from move37.lab.comparisons import Rival
from move37.lab.errors import BadTask
from move37.lab.records import Brief, Candidate, Metric
from move37.lab.tasks import mixers, mixers_measuring, open_gates, open_task, registry
from move37.lab.tasks.mixers_schedule import ALL_PROBES_RUNG
from move37.lab.tasks.registry import TaskKind, kind_of, usage
from move37.lab.verdicts import confirm_verdict
from move37.sandbox.backends import BACKENDS
from move37.sandbox.factory import open_sandbox
from tests.builders import a_measurement
from tests.lab.test_claims import an_experiment
from tests.test_docs import example

METRIC = Metric(name="speedup", unit="times", higher_is_better=True)


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> TaskKind:
    """The task of CONTRIBUTING.md, in the registry, with a metric of its own."""
    monkeypatch.setitem(sys.modules, "wide", example("lab/tasks/wide.py"))
    kind = TaskKind(name="mixers-wide", module="wide", metric=METRIC, takes_corpus=True, gates="move37.lab.judging.run")
    monkeypatch.setattr(registry, "TASKS", (*registry.TASKS, kind))
    return kind


def test_a_task_is_opened_by_its_name_and_named_in_every_refusal(wide: TaskKind, tmp_path: Path) -> None:
    assert open_task("mixers-wide", cache=tmp_path).name == "mixers-wide"
    assert load({"task": "mixers-wide"}).campaign.task == "mixers-wide"
    assert wide.usage in usage()
    with pytest.raises(BadTask, match="mixers-wide"):
        open_task("poems", cache=tmp_path)


def test_its_gates_run_without_its_data(wide: TaskKind, tmp_path: Path) -> None:
    assert open_gates("mixers-wide", cache=tmp_path / "nothing").__name__ == "run_gates"
    assert not (tmp_path / "nothing").exists()


def test_a_campaign_of_it_is_told_in_its_own_metric(wide: TaskKind, tmp_path: Path) -> None:
    with Archive.open(tmp_path) as archive:
        assert metric_of(archive.begin_campaign(Brief(task="mixers-wide"))) == METRIC


def test_its_claims_are_told_where_its_record_says_that_they_can_be_asked(
    wide: TaskKind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tried = an_experiment(measurements=(a_measurement(metric=METRIC.name),))
    runs = [
        [a_measurement(metric=METRIC.name, value=v + s / 1000, seed=s, fresh=True) for s in range(5)] for v in (3, 2)
    ]
    rival = Rival(id="b1", name="gla", measurements=runs[1])

    def verdict() -> str:
        found = confirm_verdict(metric=METRIC, candidate=runs[0], rivals=[rival], tried=1, confirmation=1)
        assert found is not None
        return found.text

    assert not ladder_signs(tried, METRIC) and "Not a discovery" not in verdict()
    claiming = replace(wide, questions=True, subject="A model of speed")
    monkeypatch.setattr(registry, "TASKS", (*registry.TASKS[:-1], claiming))
    assert ladder_signs(tried, METRIC) and "Not a discovery" in verdict()
    with Archive.open(tmp_path) as archive:
        campaign = archive.begin_campaign(Brief(task="mixers-wide"))
    claim = settled("x", "a skip", (), confirmation=1, missing={}, core_seconds=1.0)
    text = "".join(blocks_of(tried, claim, campaign, (), contenders=(), tokens=0, dollars=0.0))
    assert "gain, times" in text and "A model of speed on" in text and "bits" not in text


@pytest.mark.parametrize("name", ["poems", "mixers:here", "program", "program:", "program: "])
def test_what_is_no_task_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(BadTask) as refused:
        kind_of(name)
    assert "\n" not in str(refused.value)


def test_a_corpus_is_refused_where_a_task_takes_none(tmp_path: Path) -> None:
    with pytest.raises(BadTask, match="program:DIR"):
        open_task(f"program:{tmp_path}", cache=tmp_path, corpus=tmp_path)


def test_a_backend_is_a_choice_of_settings_flags_and_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKENDS, "gvisor", "gvisor")
    try:
        assert "gvisor" in get_args(vars(reload(choices))["Backend"])
    finally:
        monkeypatch.undo()
        reload(choices)
    assert set(get_args(vars(choices)["Backend"])) == {"auto", *BACKENDS}


def test_a_providers_key_is_found_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = example("agents/models/providers/house.py").PROVIDER
    monkeypatch.setattr(models, "PROVIDERS", (*PROVIDERS, provider))
    monkeypatch.setenv("HOUSE_API_KEY", "sk-of-the-house")
    variables = load().models.variables
    assert variables["HOUSE_API_KEY"] == "sk-of-the-house"
    assert models.options_for("house:m", ModelOptions(), variables).key == "sk-of-the-house"


@pytest.mark.parametrize("local", [True, False])
def test_a_provider_of_this_machine_costs_nothing(local: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = replace(example("agents/models/providers/house.py").PROVIDER, local=local)
    monkeypatch.setattr(price, "PROVIDERS", (*PROVIDERS, provider))
    assert price.price_of("house:m") == (price.FREE if local else None)


async def test_a_probe_is_trained_and_scored_like_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    delay = replace(example("lab/probes/delay.py").DELAY, steps=5, tests=64)
    monkeypatch.setattr(mixers_measuring, "PROBES", (delay,))
    monkeypatch.setattr(mixers_measuring, "QUICK_PROBES", ())
    task = mixers.MixersTask.open(cache=tmp_path)
    sandbox = await open_sandbox("process", trusted_source="person", workers=1)
    try:
        found = await task.measure(
            Candidate(source=baselines.source("linear"), author="person"), experiment="x", rung=ALL_PROBES_RUNG,
            seed=0, learning_rate=1e-2, fresh=False, sandbox=sandbox, workdir=tmp_path,
        )  # fmt: skip
    finally:
        await sandbox.close()
    assert [m.metric for m in found.measurements] == ["delay"] and not found.failure
    assert 0.0 <= found.measurements[0].value <= 1.0
