"""The task `program:DIR`: improve the marked region of a start program, judged by the folder's own evaluator.

DIR holds `initial_program.py`, whose changeable region stands between `# EVOLVE-BLOCK-START` and `# EVOLVE-BLOCK-END`,
and `evaluator.py`, which defines either
    evaluate(program_path) -> dict                     runs beside the program: its score is self-reported
    run(program_path) -> data, score(data) -> dict     two jobs in two processes: the score counts
DIR/judge/ (labels, reference answers) is never copied into a job that imports or runs a program.
with `combined_score` (higher is better) among the numbers of the dict. A candidate is the whole file, untouched
outside the region. The start program is the baseline.

Read in this order: `ProgramTask.open` (what makes a folder usable), `check`, `measure`, `_scored` (the two jobs).
The half that runs inside is `program_entry.py`.
Not covered: evaluators in stages, artifacts, and feedback text that some evolutionary tools pass on.
"""

from __future__ import annotations

import ast
import json
import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from move37.lab.checksum import checksum
from move37.lab.errors import BadTask
from move37.lab.gates.registry import NAMES
from move37.lab.judging.ast_hash import ast_hash
from move37.lab.judging.checked import Checked, Fingerprint
from move37.lab.records import COMBINED_SCORE, DECIDE, SCREEN, Candidate, GateResult, Measurement, Metric
from move37.lab.tasks import program_folder
from move37.lab.tasks.program_entry import LONGEST_NAME, MOST_METRICS
from move37.lab.tasks.program_folder import END, EVALUATOR, JUDGE, PROGRAM, START
from move37.lab.tasks.registry import full_name
from move37.lab.tasks.task import Baseline, Measured, OnProgress, Rung, Schedule
from move37.lab.training.outcomes import fault
from move37.sandbox.job import MIB, Job, Limits, Outcome, Status
from move37.sandbox.sandbox import Sandbox

LARGEST_SHOWN = 20_000  # characters of a file in the contract
MOST_NAMED = 5  # of other numbers, where the score is missing


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramTask:
    """One folder, read once. Make it with `ProgramTask.open`."""

    name: str
    program: str  # the start program's text
    evaluator: str
    two_processes: bool  # the evaluator has run() and score()
    files: Mapping[str, bytes]  # the whole folder, relative path -> content
    wall_seconds: float  # of one job; ends everything that it started
    environment: Mapping[str, str] = field(default_factory=dict)  # variables that the evaluator asks for
    metric: Metric = field(default=COMBINED_SCORE)
    caveat: str = "Differences are gains over the start program by this evaluator, and nothing more."

    @classmethod
    def open(cls, folder: Path, *, wall_seconds: float | None = None) -> ProgramTask:
        """Read DIR; without `wall_seconds` the evaluator's own limit holds, else a minute.

        Raises `BadTask`: a file is missing, unreadable or no Python, there is no region, or no evaluator function.
        """
        files = program_folder.read_folder(folder)
        program, evaluator = (program_folder.text_of(files, name, folder) for name in (PROGRAM, EVALUATOR))
        if len(program_folder.outside_regions(program)) < 2:
            raise BadTask(f"{folder / PROGRAM} has no region between `{START}` and `{END}`: mark what may change")
        program_folder.tree_of_file(program, folder / PROGRAM)
        tree = program_folder.tree_of_file(evaluator, folder / EVALUATOR)
        defined = program_folder.top_level_names(tree)
        star = "*" in defined  # what it defines is known in the job only
        if not star and "evaluate" not in defined and not {"run", "score"} <= defined:
            raise BadTask(
                f"{folder / EVALUATOR} defines neither evaluate(program_path) nor run(program_path) and score(data)"
            )
        return cls(
            name=full_name(f"program:{folder}"),
            program=program,
            evaluator=evaluator,
            two_processes={"run", "score"} <= defined,
            files=files,
            wall_seconds=wall_seconds or program_folder.wall_seconds_of(tree, folder / EVALUATOR),
            environment=program_folder.environment_of(tree, folder / EVALUATOR),
        )

    @property
    def facts(self) -> Mapping[str, str]:
        """The region, and the time that a run may take."""
        return {
            "region": f"only what stands between {START} and {END} may change; the rest stays byte for byte",
            "time limit": f"{self.wall_seconds:g} s a run",
        }

    @property
    def uses_kernels(self) -> bool:
        """False: programs use their own imports."""
        return False

    @property
    def digest(self) -> str:
        """Of every file that travels with a job."""
        return checksum((name.encode(), content) for name, content in sorted(self.files.items()))

    @property
    def contract(self) -> str:
        """The candidate contract, with the start program and the evaluator in full (cut at 20,000 characters)."""
        return program_folder.CONTRACT.format(
            start=START, end=END, seconds=self.wall_seconds, program=self.program[:LARGEST_SHOWN],
            evaluator=self.evaluator[:LARGEST_SHOWN],
        )  # fmt: skip

    @property
    def baselines(self) -> tuple[Baseline, ...]:
        """The start program."""
        candidate = Candidate(source=self.program, author="baseline", family="program")
        return (Baseline(name="start program", candidate=candidate),)

    def drawn(self, secret: int | None) -> ProgramTask:
        """Unchanged: what decides is up to the evaluator."""
        return self

    def schedule(self, preset: str) -> Schedule:
        """One rung: the evaluator. Quick and full differ in how many candidates and fresh seeds they run."""
        rung = Rung(number=1, name="score")
        quick = preset == "quick"
        if not quick and preset != "full":
            raise BadTask(f"unknown preset {preset!r}: use quick or full")
        return Schedule(
            preset=preset,
            candidates=12 if quick else 100,
            generation=4 if quick else 10,
            rungs=(rung,),
            baseline_rungs=(rung,),
            learning_rate=0.0,
            finalists=1,
            confirm_seeds=5 if quick else 8,
            max_seconds=570.0 if quick else None,
            shortened=("Quick preset: one finalist on at most five fresh seeds, within ten minutes.",) if quick else (),
        )

    async def check(
        self, candidate: Candidate, *, trust: str, sandbox: Sandbox, known: Sequence[Fingerprint]
    ) -> Checked:
        """Syntax, region and import under the gate `import`, and novelty; the other gates do not apply and are null."""
        problem = self._text_problem(candidate.source)
        traceback = ""
        if not problem:
            job = self._job(candidate, mode="import", seed=0, trust=trust, collect=())
            outcome = await sandbox.run(job)
            if outcome.status is not Status.DONE:
                problem, traceback = fault(outcome, doing="importing the program")
        passed = GateResult(
            name="import", passed=True, value=1.0, limit=1.0, message="the program imports; the region alone differs"
        )
        failed = GateResult(name="import", passed=False, value=0.0, limit=1.0, message=problem, traceback=traceback)
        tree = hash_of(candidate.source)
        results = {"import": failed if problem else passed}
        if tree is not None and known:
            results["novelty"] = _novelty(tree, known)
        idle = dict.fromkeys(NAMES, "does not apply to programs") | {"novelty": "there is nothing to compare with"}
        return Checked(
            results=tuple(
                results.get(n, GateResult(name=n, passed=None, value=None, limit=None, message=idle[n])) for n in NAMES
            ),
            fingerprint=None if tree is None else Fingerprint(experiment=trust, tree=tree),
        )

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
        """Every number that the evaluator gives, `combined_score` first; `workdir` and `learning_rate` are not used."""
        outcomes, numbers, failure = await self._scored(candidate, experiment=experiment, seed=seed, sandbox=sandbox)
        score = numbers.pop(self.metric.name, math.nan)
        if not failure and not math.isfinite(score):
            given = f"; it gave {', '.join(list(numbers)[:MOST_NAMED])}" if numbers else ""
            failure = f"the evaluator gave no finite number under `{self.metric.name}`{given}"
        where = {"backend": outcomes[-1].backend, "image": outcomes[-1].image}
        if failure:
            return Measured(measurements=(), failure=failure, sandbox=where)
        finite = {name: value for name, value in numbers.items() if math.isfinite(value)}
        ran, judged = outcomes[0], outcomes[1:]
        return Measured(
            measurements=tuple(
                Measurement(
                    metric=name,
                    value=value,
                    rung=rung.number,
                    seed=seed,
                    text=DECIDE if fresh else SCREEN,
                    fresh=fresh,
                    self_reported=not self.two_processes,
                    train_seconds=ran.wall_seconds,
                    cpu_seconds=sum(o.cpu_seconds for o in outcomes),
                    eval_seconds=sum(o.wall_seconds for o in judged),
                    peak_memory_bytes=max(o.peak_memory_bytes for o in outcomes),
                )
                for name, value in {self.metric.name: score, **finite}.items()
            ),
            sandbox=where,
        )

    async def _scored(
        self, candidate: Candidate, *, experiment: str, seed: int, sandbox: Sandbox
    ) -> tuple[list[Outcome], dict[str, float], str]:
        """The jobs' outcomes, the evaluator's numbers, and the candidate's fault or an empty string."""
        if not self.two_processes:
            job = self._job(candidate, mode="evaluate", seed=seed, trust=experiment, collect=("metrics.json",))
            outcome = await sandbox.run(job)
            numbers, failure = _numbers(outcome, doing="evaluate()")
            return [outcome], numbers, failure
        job = self._job(candidate, mode="run", seed=seed, trust=experiment, collect=("data.json",))
        ran = await sandbox.run(job)
        data = ran.files.get("data.json")
        if ran.status is not Status.DONE or data is None:
            return [ran], {}, fault(ran, doing="run()")[0]
        # A trust of its own, released with the experiment: processes that ran beside a program never score one.
        judged = await sandbox.run(
            self._job(None, mode="score", seed=seed, trust=f"{experiment}.score", collect=("metrics.json",), data=data)
        )
        numbers, failure = _numbers(judged, doing="score()")
        return [ran, judged], numbers, failure

    def _text_problem(self, source: str) -> str:
        """Why this text is no candidate, or an empty string."""
        try:
            ast.parse(source.removeprefix("\ufeff"))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return f"the program is not Python: {error}"
        ours, theirs = program_folder.outside_regions(self.program), program_folder.outside_regions(source)
        if len(theirs) != len(ours):
            return f"keep the lines `{START}` and `{END}` exactly as in the start program"
        if ours != theirs:
            return f"only the text between `{START}` and `{END}` may change; restore the rest of the start program"
        return ""

    def _job(
        self, candidate: Candidate | None, *, mode: str, seed: int, trust: str, collect: tuple[str, ...],
        data: bytes | None = None,
    ) -> Job:  # fmt: skip
        judging = mode in ("score", "evaluate")
        kept = {n: content for n, content in self.files.items() if judging or not n.startswith(JUDGE)}
        files = {f"task/{name}": content for name, content in kept.items()}
        files["main.py"] = Path(__file__).with_name("program_entry.py").read_bytes()
        if candidate is not None:
            files["candidate.py"] = program_folder.encoded(candidate.source)
        if data is not None:
            files["data.json"] = data
        return Job(
            id=f"{trust}-{mode}-{uuid.uuid4().hex[:8]}",
            trust=trust,
            argv=("python", "main.py", mode, str(seed)),
            files=files,
            env={**self.environment, "PYTHONHASHSEED": str(seed % 2**32)},
            collect=collect,
            limits=Limits(wall_seconds=self.wall_seconds, output_bytes=MIB, result_bytes=16 * MIB),
        )


def hash_of(source: str) -> str | None:
    """A hash of the syntax tree, in which names, comments and layout do not count. None where it is not Python."""
    try:
        return ast_hash(ast.parse(source.removeprefix("\ufeff")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _novelty(tree: str, known: Sequence[Fingerprint]) -> GateResult:
    twin = next((k.experiment for k in known if k.tree == tree), None)
    message = (
        "no earlier program has this syntax tree" if twin is None else f"the same program as {twin}: change something"
    )
    return GateResult(name="novelty", passed=twin is None, value=float(twin is not None), limit=0.0, message=message)


def _numbers(outcome: Outcome, *, doing: str) -> tuple[dict[str, float], str]:
    """The metrics file, which the candidate may have written: anything but a flat JSON object of numbers is a fault.

    Names and their number are limited here again, because the candidate may have written the file itself.
    """
    text = outcome.files.get("metrics.json")
    if outcome.status is not Status.DONE or text is None:
        return {}, fault(outcome, doing=doing)[0]
    try:
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("not an object")
        kept = list(found.items())[:MOST_METRICS]
        return {_printable(name): float(value) for name, value in kept}, ""
    except (ValueError, TypeError, OverflowError, RecursionError):
        return {}, f"{doing} left no readable metrics"


def _printable(name: str) -> str:
    return "".join(c for c in name[:LONGEST_NAME] if c.isprintable())


def open_task(folder: Path | None, *, cache: Path, corpus: Path | None) -> ProgramTask:
    """As the registry opens it: `ProgramTask.open`."""
    if folder is None:
        raise BadTask("--task program names no folder: write program:DIR")
    return ProgramTask.open(folder)
