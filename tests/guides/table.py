"""How each command of the pages is typed by a test, or why it is not: `test_table.py` holds the pages to it.

LOOKS are typed in this process (`test_looking.py`), WORKS and BEGINS in a shell (`test_working.py`), TOLD within a test
that tells a whole story (`test_stories.py`). ELSEWHERE says which step of CI runs the rest, or why nothing does.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.guides.conftest import A_CLAIM, A_RUN

SLOW = (pytest.mark.slow,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One command."""

    line: str  # as the page shows it
    instead: tuple[tuple[str, str], ...] = ()  # what stands for a placeholder
    says: str = ""  # in its output; of BEGINS a pattern that shows that it has begun
    last: str = ""  # said after Ctrl-C
    status: tuple[int, ...] = (0,)
    record: str = ""  # what the home holds
    settings: str = ""  # of move37.toml
    before: tuple[str, ...] = ()  # typed first
    stdin: str = ""
    leaves: tuple[str, ...] = ()  # files that are there afterwards
    marks: tuple[pytest.MarkDecorator, ...] = ()

    @property
    def typed(self) -> str:
        """The line with real names in it."""
        line = self.line
        for placeholder, real in self.instead:
            line = line.replace(placeholder, real)
        return line


def looks(line: str, says: str = "", *, record: str = A_RUN, **more: object) -> Row:
    """At the record of a campaign."""
    return Row(line=line, says=says, record=record, **more)  # type: ignore[arg-type]


def campaign(line: str, **more: object) -> Row:
    """Seen to measure its first baselines; Ctrl-C ends it softly, and it says how to go on."""
    said = {"says": "measuring the baselines", "last": "move37 resume", "status": (130,)}
    return Row(line=line, **(said | more))  # type: ignore[arg-type]


def refused(line: str, says: str, *instead: tuple[str, str]) -> Row:
    """For want of a key or a model, in a sentence, before a home exists."""
    return Row(line=line, says=says, status=(2, 3), instead=instead)


FILL = ("move37 memory add --builtin",)
FEW_STEPS = "[scale]\nsteps = 10\ncontext = 32\nbatch = 2\nwidth = 64\nlayers = 2\nheads = 4\n"
LOOKS = (
    looks("move37 --help", "Usage"),
    looks("move37 list", "c1-009"),
    looks("move37 list --all", "c1-009"),
    looks("move37 list --json", '"c1-009"'),
    looks("move37 list --csv", "c1-009"),
    looks("move37 show 3", "hypothesis"),
    looks("move37 show 3 --chat", "Researcher"),
    looks("move37 show ID", "holds at twice the width", record=A_CLAIM, instead=(("ID", "c1-002"),)),
    looks("move37 paper ID", "sealed", record=A_CLAIM, instead=(("ID", "c1-002"),)),
    looks("move37 principles", "predicts"),
    looks("move37 principles --history", "predicts"),
    looks('move37 memory search "decay per channel"', "decay", before=FILL),
    looks("move37 memory stats", "430 insights", before=FILL),
    looks("move37 report --open", "campaign-1.html", leaves=(".move37/reports/campaign-1.html",), marks=SLOW),
    looks("move37 report --markdown", "## ", marks=SLOW),
    looks("move37 report --out report.html", leaves=("report.html",), marks=SLOW),
    looks("move37 insight [CAMPAIGN...]", "parts are worth", instead=(("[CAMPAIGN...]", "1"),), marks=SLOW),
    looks("move37 finalize 3 --out floor", leaves=("floor/README.md",)),
    looks("move37 export --to tensorboard:runs", leaves=("runs",)),
    looks("move37 export --to mlflow:mlruns", leaves=("mlruns",), marks=SLOW),
    looks("move37 tidy", "tidy"),
    looks("move37 models list", "qwen2.5-coder-1.5b"),
    looks("move37 models get qwen2.5-coder-1.5b", "Apache-2.0", stdin="n\n", status=(0, 1, 130)),  # asked, and refused
    looks("move37 doctor", "a campaign can run here", marks=SLOW),
    looks("move37 sandbox status", "image", status=(0, 3)),  # 3 without a daemon or our image
    looks("move37 sandbox clean", status=(0, 3)),  # of containers whose owner has ended; 3 without a daemon
    looks("move37 bench", "verdicts"),
    looks("move37 audit --log results.tsv", "kept"),
    looks("move37 compare --law", "law"),
)
WORKS = (
    looks("move37 list --csv > leaderboard.csv", leaves=("leaderboard.csv",)),
    looks("move37 show 3 --csv > runs.csv", leaves=("runs.csv",)),
    Row(line="move37 check my_mixer.py", says="passes every gate that could run"),
    Row(line="move37 check FILE", says="passes every gate that could run", instead=(("FILE", "my_mixer.py"),)),
    Row(line="move37 measure my_mixer.py --steps 100", says="bits"),
    Row(line="move37 measure FILE", says="bits", instead=(("FILE", "my_mixer.py --steps 100"),)),
    Row(
        line="move37 measure my_mixer.py --against gated_delta_net --seeds 3",
        says="on 3 seeds",
        settings=FEW_STEPS,
        instead=(("seeds 3", "seeds 3 --no-gates"),),  # they are asked by `check`, above
    ),
    Row(line="move37 audit their_layers/", says="Averages"),
    Row(line="move37 audit PATH", says="Averages", instead=(("PATH", "their_layers/"),)),
    Row(line="move37 exec untrusted.py", says="42"),
    Row(line="move37 exec untrusted.py --out results", says="42", leaves=("results/out.txt",)),
    Row(line="move37 run --task program:lab/tasks/examples/circles --budget 2", says="move37 report --open"),
    Row(line="move37 bench verdicts", says="false", instead=(("verdicts", "verdicts --campaigns 2"),)),
    Row(  # with a daemon it pulls an image from a registry; .ci/docker.sh builds without one
        line="move37 sandbox build",
        says="Docker",
        status=(3,),
        instead=(("move37", "DOCKER_HOST=unix:///nowhere/docker.sock move37"),),
    ),
    refused(
        "move37 run --model researcher=anthropic:NAME,engineer=openai:NAME,default=local:qwen2.5-coder-1.5b", "API_KEY"
    ),
    refused("move37 run --model hybrid:openai:NAME", "OPENAI_API_KEY"),
    refused("move37 run --model URI", "OPENAI_API_KEY", ("URI", "hybrid:openai:NAME")),
    refused("move37 run --model hybrid:local:qwen2.5-coder-1.5b", "move37 models get"),
)
BEGINS = (
    campaign("move37 run"),
    campaign("move37 run --brief direction.md --budget 40 --preset full"),
    campaign("move37 run --preset full --budget 60 --max-time 8h --brief direction.md"),
    campaign("move37 run --corpus my_text/"),
    campaign("move37 run --scale small"),
    campaign("move37 run --scale paper --corpus my_text/"),
    campaign("move37 run --task program:lab/tasks/examples/circles"),
    campaign("move37 --home H run --sandbox process", instead=(("H ", "somewhere "),)),
    campaign("move37 resume --budget 120", record=A_RUN, says="searching"),
    Row(line="move37 confirm 3", says="run 1: .*training", status=(130,), record=A_RUN),
    Row(line="move37 confirm ID", says="run 1: .*training", status=(130,), record=A_RUN, instead=(("ID", "3"),)),
    Row(line="move37 reproduce ID", says="training", status=(130,), record=A_CLAIM, instead=(("ID", "c1-002"),)),
    Row(line="move37 baseline FAMILY", says="training", status=(130,), instead=(("FAMILY", "ssd"),)),
    Row(
        line="move37 compare --arms designer,random,tpe,keep-if-lower,no-memory --seeds 5",
        says="training",
        status=(130,),
    ),
    Row(line="move37 calibrate --scale small", says="training", status=(130,)),
    Row(line="move37 serve", says="http://127", status=(0, 130), instead=(("serve", "serve --no-open --port PORT"),)),
    Row(line="move37 --home night mcp --port 8765", says="/mcp", status=(0, 130), instead=(("8765", "PORT"),)),
)
TOLD = {
    "test_a_night_is_stopped_resumed_and_attended": (
        "move37 chat --approve hypotheses", "move37 attach --name ada", "move37 resume", "move37 resume --chat",
        "move37 resume --model openai:NAME", "python -m benchmarks.loop HOME",
        "python -m move37.benchmarks.loop .move37",
    ),
    "test_somebody_answers_for_the_roles": (
        "move37 run --model seat &", "move37 answer", "move37 answer --prompt", "move37 answer c1-001 proposal.json",
        "move37 answer c1-001 mixer.py",
    ),
    "test_a_watchdog_starts_the_agent_until_the_budget_is_spent": ("while ! move37 --home night list --json",),
    "test_the_evaluator_of_the_page_judges_a_program": ("move37 run --task program:DIR",),
    "test_an_agent_finds_the_laboratory_behind_mcp": ("move37 mcp --budget 12",),
}  # fmt: skip
CI = "a step of .ci/run"
DOCKER = "typed by .ci/docker.sh, both options at once"
NOT_OURS = "another program's command, which is not part of the tests"
ELSEWHERE = {
    "make run": "ten minutes of both cores; `move37 run` is typed above, and `make test` installs the same way",
    "make test": CI,
    "make lint": CI,
    "bash .ci/run": "CI itself",
    "pytest tests/agents -m llm": CI,
    "pip install 'move37[page]'": "the package is on no registry yet; install.sh takes the extras from the checkout",
    "pip install 'move37[mcp]'": "likewise",
    "pip install 'move37[local]'": "likewise",
    "python -m benchmarks.verdicts": "`move37 bench verdicts`, typed above, starts it",
    "python -m benchmarks.card": "needs a GPU; tests/kernels run what it calls without one",
    "python -m tests.sandbox.attacks.report": "the table of the escape suite, whose programs CI runs one by one",
    "move37 exec --pip NAME": "needs a package registry; tests/app/test_packages.py types it over a folder of wheels",
    "move37 sandbox build --base debootstrap": DOCKER,
    "move37 sandbox build --base my-image:1": "needs an image of the reader's own",
    "move37 sandbox build --services": DOCKER,
    "move37 sandbox build --cuda": "needs a GPU",
    "docker compose up": "tests/sandbox/docker/test_compose.py, in CI",
    "docker run --rm --gpus all": "needs a GPU",
    "jq 'select(.event == \"sandbox_closed\")' HOME/logs/move37.jsonl": NOT_OURS,
    "ssh -L 8037:127.0.0.1:8037": NOT_OURS,
    "MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri mlruns": NOT_OURS,
    "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 NAME": NOT_OURS,
}
