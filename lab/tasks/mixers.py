"""The task `mixers`: sequence mixers in a small byte-level language model, with probes of what a mixer alone can do.

The presets stand in `mixers_schedule.py`, the measuring of one rung in `mixers_measuring.py`, gates in `lab/gates`,
probes in `lab/probes`, training and scoring in `lab/training`, the seven baselines in `lab/baselines`.

`variant` is the task under the conditions of a claim's question.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from move37.lab import baselines
from move37.lab.calibration import Calibrations, ScaleCalibration
from move37.lab.claims import HELD_OUT as HELD_OUT_QUESTION
from move37.lab.claims import LONGER, SECOND_CORPUS, WIDER
from move37.lab.effects import Conditions
from move37.lab.errors import BadTask
from move37.lab.judging.checked import Checked, Fingerprint
from move37.lab.judging.run import run_gates
from move37.lab.records import BITS_PER_BYTE, DECIDE, HELD_OUT, Candidate, Metric
from move37.lab.scale import CPU, Scale
from move37.lab.statistics.noise import NOISE
from move37.lab.tasks import mixers_schedule
from move37.lab.tasks.mixers_measuring import probed, trained
from move37.lab.tasks.task import Baseline, Measured, OnProgress, QuestionedTask, Rung, Schedule, Variant
from move37.lab.training.contract import CONTRACT
from move37.lab.training.corpus import Corpus, check_held_out, open_corpus, open_held_out
from move37.lab.training.schedule import TOTAL_STEPS
from move37.sandbox.sandbox import Sandbox

LEARNING_RATE = 1e-2  # 3e-3 is far too low at this scale


@dataclass(frozen=True, slots=True, kw_only=True)
class MixersTask:
    """Byte-level language modelling of one corpus. Make it with `MixersTask.open`."""

    corpus: Corpus
    name: str = "mixers"
    metric: Metric = BITS_PER_BYTE
    caveat: str = (
        "No row is a discovery before its claim stands: that needs its own ablation, more steps, a larger width and "
        "held-out text."
    )
    contract: str = CONTRACT
    calibrated: bool = False  # whether the noise between seeds was measured on this corpus
    total_steps: int = TOTAL_STEPS  # that the learning-rate schedule is laid out for
    text: str = ""  # SCREEN or DECIDE by the seed, unless this says otherwise
    scale: Scale = CPU
    calibration: ScaleCalibration | None = None  # what was measured for this scale, text and kind of machine
    device: str = "cpu"  # or "cuda" and the card's name: then every training and scoring leases one
    secret: int | None = None  # draws the windows that decide; None: the fixed ones
    rate: float | None = None  # with which a campaign began; None: the best that is known

    @classmethod
    def open(cls, *, cache: Path, corpus: Path | None = None, scale: Scale = CPU, device: str = "cpu") -> MixersTask:
        """Open (or build in `cache`) the pinned corpus, or the user's own, at a scale. Raises `BadCorpus`."""
        text = open_corpus(cache, corpus)
        task = cls(corpus=text, scale=scale, total_steps=scale.steps, device=device)
        own = task.measured_by_the_lab
        known = own and corpus is None
        found = None if known else task.calibrations(cache).find(scale)
        return replace(task, calibrated=known or found is not None, calibration=found)

    def calibrations(self, cache: Path) -> Calibrations:
        """Where what was measured for this text and kind of device is kept."""
        return Calibrations.of(cache, corpus=self.corpus.sha256, device=self.device)

    @property
    def facts(self) -> Mapping[str, str]:
        """Sizes, limits and noise of the screen."""
        found = {
            "network": f"{self.scale.layers} layers of width {self.scale.width} with {self.scale.heads} heads, "
            f"{self.scale.parameters} parameters in "
            "all: the MLP's width gives way to the mixer",
            "training": f"{self.scale.batch} sequences of {self.scale.context} bytes a step, learning rate "
            f"{self.learning_rate:g}, a schedule of {self.scale.steps} steps that is compared early",
            "time and memory": "both may grow at most like time ** 1.15 between short and long inputs",
        }
        if self.calibrated:
            noise = (self.calibration.noise if self.calibration else NOISE[self.metric.name]).run.sd
            found["noise"] = f"one run scatters by {noise:.3f} {self.metric.unit} between seeds (standard deviation)"
        return found

    @property
    def learning_rate(self) -> float:
        """That of the campaign; else the best one on the baselines, where it was measured for this scale."""
        if self.rate is not None:
            return self.rate
        return self.calibration.learning_rate if self.calibration else LEARNING_RATE

    @property
    def refusal(self) -> str:
        """Why nothing is promoted at this scale; empty where its noise was measured."""
        if self.measured_by_the_lab or self.calibration is not None:
            return ""
        return (
            f"at scale {self.scale.words} nobody has measured noise, best rates and the smallest visible effect on "
            f"this text and machine: `move37 calibrate --scale {self.scale.name}` does, and until then nothing is "
            "promoted"
        )

    @property
    def measured_by_the_lab(self) -> bool:
        """Whether its noise was, beforehand: at the default scale, on a CPU."""
        return self.scale.calibrated and self.device == "cpu"

    @property
    def uses_kernels(self) -> bool:
        """Mixers may."""
        return True

    @property
    def width(self) -> int:
        """Of the network."""
        return self.scale.width

    @property
    def digest(self) -> str:
        """Digest of the corpus; at another scale than the default, or on a card, of that too: numbers differ."""
        if self.measured_by_the_lab:
            return self.corpus.sha256
        place = f"{self.corpus.sha256} {self.scale.key} {self.scale.steps} {self.device}"
        return hashlib.sha256(place.encode()).hexdigest()

    @property
    def baselines(self) -> tuple[Baseline, ...]:
        """Seven mixers of the literature, each with the modifiers that its family profits from."""
        return tuple(
            Baseline(
                name=name,
                candidate=Candidate(source=baselines.source(name), author="baseline", family=baselines.FAMILIES[name]),
            )
            for name in baselines.NAMES
        )

    def drawn(self, secret: int | None) -> MixersTask:
        """The windows that decide, drawn by `secret` from all of the validation text that does not screen."""
        return replace(self, secret=secret)

    def at_rate(self, rate: float) -> MixersTask:
        """The same at the learning rate with which a campaign began, whatever was calibrated since."""
        return replace(self, rate=rate)

    def schedule(self, preset: str) -> Schedule:
        """The preset of `mixers_schedule.schedule` for this scale and text."""
        reading = 0.0 if self.measured_by_the_lab else self.scale.tokens / max(1, len(self.corpus.train))
        return mixers_schedule.schedule(
            preset, scale=self.scale, learning_rate=self.learning_rate, by_the_lab=self.measured_by_the_lab,
            refusal=self.refusal, reading=reading,
        )  # fmt: skip

    @property
    def smallest_effect(self) -> float:
        """Bits per byte that a confirmation must be able to find."""
        return mixers_schedule.SMALLEST_EFFECT

    @property
    def sealed(self) -> str:
        """Digest of the corpus whose end is sealed."""
        return self.corpus.sha256

    def check_sealed(self) -> None:
        """Raises `BadCorpus` where the sealed text is not what was sealed."""
        check_held_out(self.corpus)

    def second(self, *, cache: Path, corpus: Path) -> MixersTask:
        """The same on another text. Raises `BadCorpus`."""
        return MixersTask.open(cache=cache, corpus=corpus, scale=self.scale, device=self.device)

    def variant(self, question: str, *, second: QuestionedTask | None = None) -> Variant:
        """The task under the conditions of a claim's question: four times the steps, sealed text, another corpus.

        Raises `BadTask` where the question cannot be asked, `BadCorpus` where the sealed text is not what was sealed.
        For sealed text the caller logs the opening before.
        """
        whole = self.scale.steps
        task, rung = self, Rung(number=2, name=f"lm@{whole}", steps=whole)
        if question == LONGER:
            steps = 4 * whole
            task, rung = replace(self, total_steps=steps), Rung(number=2, name=f"lm@{steps}", steps=steps)
        elif question == HELD_OUT_QUESTION:
            task = replace(self, corpus=replace(self.corpus, validation=open_held_out(self.corpus)), text=HELD_OUT)
        elif question == SECOND_CORPUS:
            if not isinstance(second, MixersTask):
                raise BadTask("no second corpus is at hand: name one with --second-corpus")
            task = second.drawn(self.secret)  # its deciding windows are nobody's beforehand either
        elif question == WIDER:
            wider = replace(self.scale, name=f"{self.scale.name}, twice as wide", width=2 * self.scale.width)
            task = replace(self, scale=wider)
        where = Conditions(
            steps=rung.steps, total_steps=task.total_steps, width=task.scale.width, text=task.text or DECIDE,
            scale=task.scale.key, device=task.device,
        )  # fmt: skip
        return Variant(task=task, rung=rung, where=where)

    async def check(
        self, candidate: Candidate, *, trust: str, sandbox: Sandbox, known: Sequence[Fingerprint]
    ) -> Checked:
        """Run every gate in the sandbox."""
        return await run_gates(candidate, trust=trust, sandbox=sandbox, known=known, scale=self.scale)

    async def measure(
        self,
        candidate: Candidate,
        *,
        experiment: str,
        rung: Rung,
        seed: int,
        learning_rate: float,
        fresh: bool,
        sandbox: Sandbox,
        workdir: Path,
        on_progress: OnProgress | None = None,
    ) -> Measured:
        """Rung 1: every probe of the rung. Rung 2: train to `rung.steps` and score on validation text."""

        if rung.number == 1:
            return await probed(candidate, experiment=experiment, rung=rung, seed=seed, sandbox=sandbox)
        return await trained(
            self, candidate, experiment=experiment, rung=rung, seed=seed, learning_rate=learning_rate, fresh=fresh,
            sandbox=sandbox, workdir=workdir, on_progress=on_progress,
        )  # fmt: skip


def open_task(
    folder: Path | None, *, cache: Path, corpus: Path | None, scale: Scale = CPU, device: str = "cpu"
) -> MixersTask:
    """As the registry opens it: `MixersTask.open`."""
    return MixersTask.open(cache=cache, corpus=corpus, scale=scale, device=device)
