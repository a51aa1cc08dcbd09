"""Whose best a claim must beat: a file's own family or its ancestry's, whatever its author calls it."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from move37.agents.rival_families import RivalFamilies, rival_families
from move37.agents.search.codegen import emit
from move37.agents.search.grammar import BASELINES, Genome
from move37.agents.search.grammar import Path as MixerPath
from move37.agents.search.operators import put
from move37.agents.tuning import families
from move37.lab import baselines
from move37.lab.archive.store import Archive
from move37.lab.records import Role, Stage
from tests.builders import a_brief, a_candidate, a_hypothesis

CODE = "class Mixer:\n    number = {}\n"  # no genome of the grammar


class Home:
    """An archive with the seven baselines, to which candidates are added."""

    def __init__(self, path: Path) -> None:
        self.archive = Archive.open(path)
        self.campaign = self.archive.begin_campaign(a_brief())
        self.count = 0
        for number, name in enumerate(baselines.NAMES):
            family = baselines.FAMILIES[name]
            ident = self.archive.begin_experiment(
                self.campaign.id, number, Role.BASELINE, name=name, family=family
            ).id  # fmt: skip
            own = a_candidate(source=baselines.source(name), author="baseline", family=family)
            self.archive.finish_stage(ident, Stage.CANDIDATE, {"candidate": own})

    def add(self, base: str, family: str, source: str = "", parents: tuple[str, ...] = ()) -> str:
        self.count += 1
        ident = self.archive.begin_experiment(self.campaign.id, self.count, Role.CANDIDATE, parents=parents).id
        hypothesis = a_hypothesis(base=base, family=family)
        self.archive.finish_stage(ident, Stage.HYPOTHESIS, {"hypothesis": hypothesis}, name=ident, family=family)
        own = a_candidate(source=source or CODE.format(self.count), author="openai:x", family=family)
        self.archive.finish_stage(ident, Stage.CANDIDATE, {"candidate": own}, family=family)
        return ident

    def asked(self, ident: str, best: str = "") -> RivalFamilies:
        return rival_families(self.archive.experiment(ident), self.archive.experiments(), families(), best=best)


@pytest.mark.parametrize("name", baselines.NAMES)
def test_no_word_of_the_author_takes_the_family_of_the_base_away(tmp_path: Path, name: str) -> None:
    home, family = Home(tmp_path), baselines.FAMILIES[name]
    for stated in (*families(), "other", "novel", ""):
        asked = home.asked(home.add(name, stated))
        also = stated in families() and stated != family
        assert asked.names == ((family, stated) if also else (family,))
        assert name in asked.why and (f"its author calls it {stated}" in asked.why) == also


def test_the_ancestry_is_followed_over_code_of_others(tmp_path: Path) -> None:
    home = Home(tmp_path)
    child = home.add(home.add("mamba2", "other"), "other")
    assert home.asked(child).names == ("ssd",)
    by_parents = home.add("", "other", parents=(child,))
    assert home.asked(by_parents).names == ("ssd",)


def test_a_file_of_the_grammar_says_its_family_itself_and_passes_it_on(tmp_path: Path) -> None:
    home = Home(tmp_path)
    genome = put("residual_path", BASELINES["gla"], Random(0))
    assert genome is not None
    own = home.add("linear", "gla", emit(genome, name="skip"))
    assert home.asked(own).names == ("gla",)
    assert home.asked(home.add(own, "other")).names == ("gla",)
    conv = home.add("linear", "conv", emit(Genome(paths=(MixerPath(family="long_conv"),)), name="conv"))
    assert home.asked(conv).names == () and "no baseline to tune" in home.asked(conv).why
    assert home.asked(home.add(conv, "other")).names == ("linear",), "its child finds the next one up"


@pytest.mark.parametrize("stated", ["linear", "other"])
def test_without_a_base_its_authors_word_chooses_no_rival_and_that_is_said(tmp_path: Path, stated: str) -> None:
    home = Home(tmp_path)
    asked = home.asked(home.add("", stated))
    assert not asked.names and "knows no file that it changes" in asked.why


@pytest.mark.parametrize("best", ["ssd", "gated_delta", "linear"])
def test_no_word_of_the_author_takes_the_best_baselines_family_away(tmp_path: Path, best: str) -> None:
    """The base is the author's word as well, and so is the order of paths in a plan."""
    home = Home(tmp_path)
    both = Genome(paths=(MixerPath(family="linear", feature="elu"), *BASELINES["ssd"].paths), router="softmax")
    for source in ("", emit(both, name="both")):
        for base in ("linear", "mamba2", ""):
            for stated in ("linear", "other"):
                asked = home.asked(home.add(base, stated, source), best)
                assert best in asked.names and len(asked.names) == len({*asked.names}) <= 3
