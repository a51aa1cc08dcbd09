"""The task `mixers`: sequence mixers in a small byte-level language model, with probes of what a mixer alone can do.

Read in this order: `schedule` (what quick and full do, after 237 measured trainings), `measure` (one rung, one seed),
`_language` (train, answer elsewhere, score outside). Gates live in `lab/gates`, probes in `lab/probes`, the loop and
the judge in `lab/training`, the seven baselines in `lab/baselines`.

`variant` is the task as a claim's questions want it.
"""

from __future__ import annotations

import hashlib
import math
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
from move37.lab.probes.run import PROBES, QUICK_PROBES, run_probe
from move37.lab.records import BITS_PER_BYTE, DECIDE, HELD_OUT, SCREEN, Candidate, Measurement, Metric
from move37.lab.scale import CPU, Scale
from move37.lab.statistics.noise import NOISE
from move37.lab.tasks.task import Baseline, Measured, OnProgress, Progress, QuestionedTask, Rung, Schedule, Variant
from move37.lab.training import data
from move37.lab.training.contract import CONTRACT
from move37.lab.training.corpus import Corpus, check_held_out, open_corpus, open_held_out
from move37.lab.training.jobs import Network, Tokens
from move37.lab.training.runs import OnLoss, train
from move37.lab.training.schedule import TOTAL_STEPS
from move37.lab.training.score import score
from move37.sandbox.sandbox import Sandbox

LEARNING_RATE = 1e-2  # 3e-3 is far too low at this scale
OFTEN = 2.0  # readings of a text by one training from which on a table says so
UNIFORM_BITS = 8.0  # of a guess that knows nothing: what a diverged training is given
# A loss well above a uniform guess, after the first fifty steps, does not come back.
BYTES = Network(kind="bytes", total_steps=TOTAL_STEPS, ceiling=1.2 * math.log(256))
MARGIN = 1.02  # times the scale's parameters: the 1 % of the fit, and what buffers a mixer keeps
QUICK_SECONDS = 570.0
SMALLEST_EFFECT, QUICK_EFFECT = 0.05, 0.1  # bits per byte that a confirmation must be able to find

PROBE_RUNG, ALL_PROBES_RUNG = Rung(number=1, name="probes"), Rung(number=1, name="all probes")
_QUICK_CONFIRMS = (
    "One finalist is confirmed against the two best baselines, on about five fresh seeds and at one learning rate: "
    "differences under about .04 bits/byte cannot be told from noise."
)
_NO_DISCOVERY = (
    "No ablation, no longer training, no larger width, no held-out text: nothing here is a discovery "
    "before `move37 confirm` has asked for them."
)
_OTHER_TEXT = (
    "Fresh seeds are scored on other validation text: their values do not compare with those of screened rows."
)


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

    @classmethod
    def open(cls, *, cache: Path, corpus: Path | None = None, scale: Scale = CPU, device: str = "cpu") -> MixersTask:
        """Open (or build in `cache`) the pinned corpus, or the person's own, at a scale. Raises `BadCorpus`."""
        text = open_corpus(cache, corpus)
        task = cls(corpus=text, scale=scale, total_steps=scale.steps, device=device)
        own = task._measured_by_the_lab
        found = None if own else task.calibrations(cache).find(scale)
        return replace(task, calibrated=found is not None or (own and corpus is None), calibration=found)

    def calibrations(self, cache: Path) -> Calibrations:
        """Where what was measured for this text and kind of device is kept."""
        return Calibrations.of(cache, corpus=self.corpus.sha256, device=self.device)

    @property
    def facts(self) -> Mapping[str, str]:
        """Sizes, limits and noise of the screen."""
        noise = (self.calibration.noise if self.calibration else NOISE[self.metric.name]).run.sd
        found = {
            "network": f"{self.scale.layers} layers of width {self.scale.width} with {self.scale.heads} heads, "
            f"{self.scale.parameters} parameters in "
            "all: the MLP's width gives way to the mixer",
            "training": f"{self.scale.batch} sequences of {self.scale.context} bytes a step, learning rate "
            f"{self.learning_rate:g}, a schedule of {self.scale.steps} steps that is compared early",
            "time and memory": "both may grow at most like time ** 1.15 between short and long inputs",
        }
        if self.calibrated:
            found["noise"] = f"one run scatters by {noise:.3f} {self.metric.unit} between seeds (standard deviation)"
        return found

    @property
    def learning_rate(self) -> float:
        """The best one on the baselines, where it was measured for this scale."""
        return self.calibration.learning_rate if self.calibration else LEARNING_RATE

    @property
    def refusal(self) -> str:
        """Why nothing is promoted at this scale; empty where its noise was measured."""
        if self._measured_by_the_lab or self.calibration is not None:
            return ""
        return (
            f"at scale {self.scale.words} nobody has measured noise, best rates and the smallest visible effect on "
            f"this text and machine: `move37 calibrate --scale {self.scale.name}` does, and until then nothing is "
            "promoted"
        )

    @property
    def _measured_by_the_lab(self) -> bool:
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
        """Of the corpus; at another scale than the default, or on a card, of that too: nothing of theirs compares."""
        if self._measured_by_the_lab:
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

    def schedule(self, preset: str) -> Schedule:
        """Quick: ten minutes on two cores. Full: no time limit; half are kept at the first rung, rates are tuned, and
        who beat its rivals on fresh seeds is asked the rest of a claim.

        At another scale the rungs are the same shares of its steps, and nothing ends quick: time is the person's.
        """
        found = self._schedule(preset)
        if self._measured_by_the_lab:
            return found
        reading = self.scale.tokens / max(1, len(self.corpus.train))
        notes = [f"Scale {self.scale.words}: values of another scale do not compare."]
        notes += [f"{self.refusal[:1].upper()}{self.refusal[1:]}."] if self.refusal else []
        notes += [f"A training reads the text {reading:.1f} times."] if reading > OFTEN else []
        return replace(found, max_seconds=None, refusal=self.refusal, shortened=(*found.shortened, *notes))

    def _schedule(self, preset: str) -> Schedule:
        steps = self.scale.steps
        if preset == "quick":
            screens = _screens(steps, keep_first=4, keep_second=2)
            return Schedule(
                preset=preset,
                candidates=12,
                generation=12,
                rungs=(screens[0], PROBE_RUNG, *screens[1:]),
                baseline_rungs=(*_screens(steps), PROBE_RUNG),
                learning_rate=self.learning_rate,
                screen_seeds=2,
                finalists=1,
                confirm_seeds=5,
                most_seeds=8,
                smallest_effect=QUICK_EFFECT,
                max_seconds=QUICK_SECONDS,
                shortened=(*self._quick_notes(), _OTHER_TEXT),
            )
        if preset != "full":
            raise BadTask(f"unknown preset {preset!r}: use quick or full")
        screens = _screens(steps, keep_first=6, keep_second=3)
        return Schedule(
            preset=preset,
            candidates=120,
            generation=12,
            rungs=(screens[0], ALL_PROBES_RUNG, *screens[1:]),
            baseline_rungs=(*_screens(steps), ALL_PROBES_RUNG),
            learning_rate=self.learning_rate,
            finalist_rates=(self.learning_rate / 2, 2 * self.learning_rate),
            screen_seeds=2,
            finalists=3,
            confirm_seeds=8,
            most_seeds=20,
            smallest_effect=SMALLEST_EFFECT,
            claims=True,
            shortened=(
                "Ablation, longer training, larger width, a second corpus and held-out text are asked only of who beat "
                "both baselines on fresh seeds, as far as the time reaches (`move37 confirm` asks them of any other).",
                _OTHER_TEXT,
            ),
        )

    @property
    def smallest_effect(self) -> float:
        """Bits per byte that a confirmation must be able to find."""
        return SMALLEST_EFFECT

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

    def _quick_notes(self) -> tuple[str, ...]:
        first, whole = max(1, self.scale.steps // 5), self.scale.steps
        return (
            f"Quick preset: candidates are screened on one seed at rate {self.learning_rate:.0e}; two of three "
            f"stop at {first} of {whole} steps.".replace("e-0", "e-"),
            f"Probes (overwrite recall and parity, one seed) only for the baselines and who was kept at {first} steps.",
            *((_QUICK_CONFIRMS,) if self._measured_by_the_lab else ()),
            _NO_DISCOVERY,
        )

    def variant(self, question: str, *, second: QuestionedTask | None = None) -> Variant:
        """As a claim's question wants it: four times the steps, sealed text, another corpus; else as it is.

        Raises `BadTask` where the question cannot be asked, `BadCorpus` where the sealed text is not what was sealed.
        Whoever asks for sealed text has logged the opening before.
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
            task = second
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
        from move37.lab.judging.run import run_gates

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

        def on_loss(step: int, loss: float) -> None:
            if on_progress is not None:
                on_progress(
                    Progress(
                        experiment=experiment, rung=rung.name, seed=seed, step=step, steps=rung.steps,
                        loss=loss / math.log(2),
                    )
                )  # fmt: skip

        if rung.number == 1:
            return await self._probes(candidate, experiment=experiment, rung=rung, seed=seed, sandbox=sandbox)
        return await self._language(
            candidate, experiment=experiment, rung=rung, seed=seed, learning_rate=learning_rate, fresh=fresh,
            sandbox=sandbox, workdir=workdir, on_loss=on_loss,
        )  # fmt: skip

    async def _probes(
        self, candidate: Candidate, *, experiment: str, rung: Rung, seed: int, sandbox: Sandbox
    ) -> Measured:
        found: list[Measurement] = []
        where: dict[str, str] = {}
        for probe in PROBES if rung == ALL_PROBES_RUNG else QUICK_PROBES:
            measurement, failure, where = await run_probe(
                probe, candidate, experiment=experiment, seed=seed, sandbox=sandbox
            )
            if measurement is None:
                return Measured(measurements=tuple(found), failure=failure, sandbox=where)
            found.append(measurement)
        return Measured(measurements=tuple(found), sandbox=where)

    async def _language(
        self, candidate: Candidate, *, experiment: str, rung: Rung, seed: int, learning_rate: float, fresh: bool,
        sandbox: Sandbox, workdir: Path, on_loss: OnLoss,
    ) -> Measured:  # fmt: skip
        def draw(first: int, stop: int) -> tuple[Tokens, Tokens]:
            windows = data.draw_batches(
                self.corpus.train, seed=seed, start=first, stop=stop, batch=self.scale.batch, length=self.scale.context
            )
            return windows[..., :-1], windows[..., 1:]

        network = replace(BYTES, total_steps=self.total_steps, scale=self.scale, gpus=int(self.device != "cpu"))
        spent_at = self.scale.batch * self.scale.context  # bytes a step
        trained = await train(
            candidate, network, draw, experiment=experiment, seed=seed, stop=rung.steps, learning_rate=learning_rate,
            most_parameters=int(MARGIN * self.scale.parameters), wall_seconds=self._patience(rung.steps),
            sandbox=sandbox, checkpoints=workdir,
            on_loss=on_loss,
        )  # fmt: skip
        where = {"backend": trained.backend, "image": trained.image}
        if trained.failure:
            return Measured(measurements=(), failure=trained.failure, sandbox=where)
        scored = None
        if trained.weights is not None:
            windows = data.scoring_windows(
                self.corpus.validation, fresh=fresh, secret=self.secret, length=self.scale.context
            )
            scored = await score(
                candidate, network, trained.weights, windows[:, :-1], windows[:, 1:], seed=seed,
                experiment=experiment, sandbox=sandbox, wall_seconds=self._patience(0),
            )  # fmt: skip
            if scored.failure:
                return Measured(measurements=(), failure=scored.failure, sandbox=where)
        known = self.calibrated and (
            self._measured_by_the_lab if self.calibration is None else self.calibration.scale == self.scale.key
        )
        bits = scored.sums.mean_nats / math.log(2) if scored and scored.sums is not None else UNIFORM_BITS
        measurement = Measurement(
            metric=self.metric.name,
            value=min(bits, UNIFORM_BITS),
            rung=rung.number,
            seed=seed,
            steps=rung.steps,
            total_steps=self.total_steps,
            width=self.scale.width,
            scale=self.scale.key,
            device=self.device,
            text=self.text or (DECIDE if fresh else SCREEN),
            learning_rate=learning_rate,
            fresh=fresh,
            self_reported=trained.spent.self_reported or bool(scored and scored.self_reported),
            custom_backward=trained.spent.custom_backward,
            diverged=bits >= UNIFORM_BITS,
            calibrated=known and self.total_steps == self.scale.steps,
            noise=self.calibration.noise if self.calibration and known else None,
            train_seconds=trained.spent.wall_seconds,
            cpu_seconds=trained.spent.cpu_seconds + (scored.cpu_seconds if scored else 0.0),
            eval_seconds=scored.wall_seconds if scored else 0.0,
            tokens_seen=rung.steps * spent_at,
            tokens_per_second=trained.spent.steps_per_second * spent_at,
            flops_per_token=trained.spent.flops_per_token,
            peak_flops=trained.spent.peak_flops,
            peak_memory_bytes=max(trained.spent.peak_memory_bytes, scored.peak_memory_bytes if scored else 0),
        )
        return Measured(measurements=(measurement,), sandbox=where)

    def _patience(self, steps: int) -> float:
        """Seconds of wall time for `steps`: over ten times what the slowest baseline needs on an idle core.

        A limit that a busy machine could reach would fail good candidates; slow ones are for the gate complexity.
        """
        ours, measured = (s.parameters * s.batch * s.context for s in (self.scale, CPU))
        work = ours / measured
        return (180.0 + 0.8 * steps) * max(1.0, work)


def open_task(
    folder: Path | None, *, cache: Path, corpus: Path | None, scale: Scale = CPU, device: str = "cpu"
) -> MixersTask:
    """As the registry opens it: `MixersTask.open`."""
    return MixersTask.open(cache=cache, corpus=corpus, scale=scale, device=device)


def _screens(steps: int, *, keep_first: int | None = None, keep_second: int | None = None) -> tuple[Rung, ...]:
    """A fifth, two fifths and all of a scale's steps."""
    ends = sorted({max(1, steps // 5), max(1, 2 * steps // 5), steps})
    keeps = (keep_first, keep_second)[: len(ends) - 1]
    return tuple(
        Rung(number=2, name=f"lm@{end}", steps=end, keep=keep) for end, keep in zip(ends, (*keeps, None), strict=True)
    )
