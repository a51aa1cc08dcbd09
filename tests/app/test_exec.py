"""`move37 exec`: a safe replacement for `python FILE`, through the real command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from move37.app.commands.exec import parse_env, parse_size
from move37.app.exits import BadInput
from move37.app.running.inputs import gather_input
from move37.app.running.results import gone, is_hidden, withheld
from tests.app.forked import forked


def move37(*arguments: str, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return forked(["exec", *arguments], cwd=cwd, env=os.environ | {"MOVE37_SANDBOX": "process"}, stdin=stdin)


def test_streams_arguments_and_status_are_the_programs_own(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("import sys; print(sys.argv[1:]); print('e', file=sys.stderr); sys.exit(3)")
    done = move37("p.py", "--sandbox", "process", "--timeout", "60", "--", "a", "--timeout", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"['a', '--timeout']\n", b"e\n")


def test_a_program_comes_from_standard_input(tmp_path: Path) -> None:
    done = move37("-", "--sandbox", "process", cwd=tmp_path, stdin=b"print(6 * 7)")
    assert (done.returncode, done.stdout) == (0, b"42\n")


def test_out_of_time_is_124_and_out_of_memory_137_with_a_line(tmp_path: Path) -> None:
    (tmp_path / "sleep.py").write_text("import time; time.sleep(60)")
    late = move37("sleep.py", "--timeout", "0.5", "--sandbox", "process", cwd=tmp_path)
    assert late.returncode == 124 and late.stderr.count(b"\n") == 1 and b"0.5 s" in late.stderr
    big = move37("-", "--memory", "64m", "--sandbox", "process", cwd=tmp_path, stdin=b"x = bytearray(1 << 30)")
    assert big.returncode == 137 and b"64 MiB" in big.stderr


def test_output_is_cut_at_16_mib_with_a_line_and_the_program_ends_well(tmp_path: Path) -> None:
    source = b"import os\nfor _ in range(20): os.write(1, b'x' * (1 << 20))\nraise SystemExit(4)"
    done = move37("-", "--sandbox", "process", cwd=tmp_path, stdin=source)
    assert done.returncode == 4 and len(done.stdout) == 16 << 20 and b"cut after 16 MiB" in done.stderr


def test_escape_sequences_are_neutralised_on_pipes_unless_raw(tmp_path: Path) -> None:
    source = b"import os; os.write(1, b'\\x1b[31m\\xff\\n')"
    assert move37("-", "--sandbox", "process", cwd=tmp_path, stdin=source).stdout == "␛[31m\ufffd\n".encode()
    assert move37("-", "--raw", "--sandbox", "process", cwd=tmp_path, stdin=source).stdout == b"\x1b[31m\xff\n"


def test_siblings_go_in_and_results_come_out(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.txt").write_text("seven")
    (tmp_path / "helper.py").write_text("def read(): return open('data/x.txt').read()")
    (tmp_path / "p.py").write_text(
        "import helper, os\nopen(os.environ['MOVE37_OUT'] + '/out.txt', 'w').write(helper.read())\n"
        "open('beside.txt', 'w').write('b')\nopen('data/x.txt', 'w')"
    )
    done = move37("p.py", "--in", "helper.py", "--in", "data", "--out", "results", "--sandbox", "process", cwd=tmp_path)
    assert done.returncode == 1 and b"Read-only" in done.stderr
    results = {path.name: path.read_text() for path in (tmp_path / "results").iterdir()}
    assert results == {"out.txt": "seven", "beside.txt": "b"}
    assert (tmp_path / "data" / "x.txt").read_text() == "seven"


def test_a_reader_that_goes_away_ends_the_program(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("while True: print('y')")
    command = f"{sys.executable} -m move37 exec p.py --sandbox process | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=False, timeout=300)
    assert (done.returncode, done.stdout, done.stderr) == (141, b"y\n", b"")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.py"], b"does not exist"),
        (["."], b"is a folder"),
        (["p.py", "--memory", "lots"], b"512m"),
        (["p.py", "--timeout", "0"], b"needs some time"),
        (["p.py", "--timeout", "9" * 400], b"at most a year"),
        (["p.py", "--timeout", "soon"], b"10m"),
        (["p.py", "--in", "nowhere"], b"does not exist"),
        (["p.py", "--net", "host"], b"none"),
        (["p.py", "--out", "p.py"], b"is a file"),
        (["p.py", "--out", "."], b"--force"),
        (["p.py", "--env", "novalue"], b"NAME=VALUE"),
        (["p.py", "--epochs", "3"], b"after --"),
    ],
)
def test_wrong_use_is_status_2_and_one_line(arguments: list[str], words: bytes, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("print(1)")
    done = move37(*arguments, cwd=tmp_path)
    assert done.returncode == 2 and words in done.stderr and not done.stdout
    assert done.stderr.count(b"\n") == 1


def test_a_fault_of_ours_is_125(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("print(1)")
    done = move37("p.py", "--gpu", "64", "--sandbox", "process", cwd=tmp_path)
    assert done.returncode == 125 and b"64 GPU" in done.stderr


def test_a_file_inside_a_given_folder_runs_at_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pack" / "__pycache__").mkdir(parents=True)
    (tmp_path / "pack" / "main.py").write_text("1")
    (tmp_path / "pack" / "__pycache__" / "x.pyc").write_text("1")
    (tmp_path / "pack" / "link").symlink_to("/etc/passwd")
    monkeypatch.chdir(tmp_path)
    assert gather_input("pack/main.py", ["pack"]) == ("pack/main.py", {"pack/main.py": b"1"})
    assert gather_input("pack/main.py", ["pack/"]) == ("main.py", {"main.py": b"1"})
    with pytest.raises(BadInput, match="called main"):
        (tmp_path / "main.py").write_text("2")
        gather_input("main.py", ["pack/"])


@pytest.mark.parametrize(
    "given", [["a/util.py", "b/util.py"], ["a/", "b/"], ["a/util.py", "c/"], ["c/", "a/util.py"], ["d/"]]
)
def test_two_files_of_one_name_are_told_before_anything_starts(
    given: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a/util.py", "b/util.py", "c/util.py/x", "d/main.py/x", "main.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(name)
    with pytest.raises(BadInput, match="rename one of them"):
        gather_input("main.py", given)
    assert gather_input("main.py", ["a/util.py", "a/", "a"])[1].keys() == {"main.py", "util.py", "a/util.py"}


def test_a_name_that_no_sandbox_takes_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("pack/two\nlines.txt", "pack/main.py", "bad\x1bname.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    with pytest.raises(BadInput, match="control characters"):
        gather_input("pack/main.py", ["pack"])
    with pytest.raises(BadInput, match="control characters"):
        gather_input("bad\x1bname.py", [])


@pytest.mark.parametrize(
    ("text", "size"), [("512m", 512 << 20), ("2g", 2 << 30), ("1.5G", 3 << 29), ("64MiB", 64 << 20)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "-1g", "1k", "2t", "nan", "9" * 400 + "g"])
def test_sizes_without_sense_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="512m or 2g"):
        parse_size(text)


def test_what_is_piped_in_is_what_the_program_reads(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("print('hello', input()); import sys; print(len(sys.stdin.read()))")
    done = move37("p.py", cwd=tmp_path, stdin=b"Ada\n" + b"x" * 100_000)
    assert (done.returncode, done.stdout) == (0, b"hello Ada\n100000\n")


def test_what_was_written_and_is_gone_is_named(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("open('weights.npy', 'wb').write(bytes(2048)); print('done')")
    done = move37("p.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"done\n")
    assert b"weights.npy, 2 KiB" in done.stderr and b"--out DIR" in done.stderr and done.stderr.count(b"\n") == 1


def test_results_never_overwrite_and_never_hide(tmp_path: Path) -> None:
    """A program that writes .git/config would run a command as whoever types `git status` next."""
    (tmp_path / "p.py").write_text(
        "import os; os.makedirs('.git'); open('.git/config', 'w').write('[core]'); open('ok.txt', 'w').write('1')\n"
        "open('run.sh', 'w').write('#!/bin/sh'); os.chmod('run.sh', 0o755); os.symlink('/etc/passwd', 'link')"
    )
    done = move37("p.py", "--out", "new", cwd=tmp_path)
    assert done.returncode == 0
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["ok.txt", "run.sh"]
    assert b".git/config (hidden: --hidden returns it)" in done.stderr and b"link" in done.stderr
    assert os.access(tmp_path / "new" / "run.sh", os.X_OK)
    again = move37("p.py", "--out", "new", cwd=tmp_path)
    assert again.returncode == 2 and b"not empty" in again.stderr
    assert move37("p.py", "--out", "new", "--force", "--hidden", cwd=tmp_path).returncode == 0
    assert (tmp_path / "new" / ".git" / "config").read_text() == "[core]"


@pytest.mark.parametrize("place", ["p.py/x", "nowhere", "/dev/null/x", "/proc/x", "n" * 300, "full"])
def test_a_place_that_cannot_take_results_is_told_before_anything_runs(place: str, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("print('ran')")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone" / "away")
    os.mkfifo(tmp_path / "full")
    done = move37("p.py", "--out", place, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"") and b"--out" in done.stderr, done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("said", ["", "4,2", "many", "-1", "\u0663"])
def test_whatever_a_user_says_of_threads_the_program_starts(said: str, tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("import os; print(ascii(os.environ['OMP_NUM_THREADS']))")
    done = move37("p.py", "--env", f"OMP_NUM_THREADS={said}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, ascii(said).encode() + b"\n"), done.stderr


def test_a_missing_module_is_explained_by_what_lies_beside_the_program(tmp_path: Path) -> None:
    (tmp_path / "util.py").write_text("x = 1")
    (tmp_path / "p.py").write_text("import util")
    done = move37("p.py", cwd=tmp_path)
    assert done.returncode == 1 and b"util.py lies beside p.py: give it along with --in util.py" in done.stderr
    (tmp_path / "q.py").write_text("import a_package_that_is_not_here")
    assert b"--pip a_package_that_is_not_here" in move37("q.py", cwd=tmp_path).stderr


def test_a_variable_is_passed_on_and_nothing_else_of_ours(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("import os; print(os.environ['GREETING'], 'HOME37' in os.environ)")
    done = move37("p.py", "--env", "GREETING=a=b", cwd=tmp_path)
    assert done.stdout == b"a=b False\n" and parse_env(["A="]) == {"A": ""}


def test_a_wheel_is_sent_along(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("import tomli_w; print(tomli_w.dumps({'a': 1}).strip())")
    assert move37("p.py", cwd=tmp_path).returncode == 1
    done = move37("p.py", "--pip", "tomli-w==1.2.0", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, b"a = 1\n")
    for name, words in (("no-such-package-anywhere-37", b"No matching"), ("../evil", b"name a package")):
        refused = move37("p.py", "--pip", name, cwd=tmp_path)
        assert refused.returncode in (2, 125) and words in refused.stderr


def test_a_figure_that_is_shown_is_a_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "p.py").write_text(
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()\nplt.plot([3]); plt.figure(); plt.show()\n"
    )
    done = move37("p.py", "--out", "figures", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == [f"figure-{n}.png" for n in (1, 2, 3)]
    assert (tmp_path / "figures" / "figure-1.png").read_bytes().startswith(b"\x89PNG")


def test_no_figure_takes_the_place_of_a_file_and_one_that_is_shown_alone_is_written(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "p.py").write_text(
        "import os\nopen(os.environ['MOVE37_OUT'] + '/figure-1.png', 'w').write('mine')\n"
        "from pylab import *\nf = figure(); f.show(); show()\n"
    )
    assert move37("p.py", "--out", "out", cwd=tmp_path).returncode == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"figure-{n}.png" for n in (1, 2, 3)]
    assert (tmp_path / "out" / "figure-1.png").read_text() == "mine"


ODD_STREAMS = {
    "closed input": ("{} p.py <&-", 0, b"1\n", b""),
    "closed input for the program": ("{} - <&-", 0, b"", b""),
    "a program from a pipe": ("cat p.py | {} /dev/stdin", 0, b"1\n", b""),
    "full output": ("{} p.py >/dev/full", 125, b"", b"output could not be written: No space left"),
    "closed output": ("{} p.py >&-", 0, b"", b""),
    "endless program": ("yes | {} -", 2, b"", b"has more than 64 MiB"),
    "a device as the program": ("{} /dev/null", 2, b"", b"neither a file nor a folder"),
    "a device as input": ("{} p.py --in /dev/zero", 2, b"", b"neither a file nor a folder"),
}


@pytest.mark.parametrize("kind", ODD_STREAMS)
def test_odd_streams_end_in_a_status_and_at_most_a_line(kind: str, tmp_path: Path) -> None:
    line, status, output, words = ODD_STREAMS[kind]
    (tmp_path / "p.py").write_text("print(1)")
    environment = os.environ | {"MOVE37_SANDBOX": "process", "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    command = line.format(f"{sys.executable} -m move37 exec")
    done = subprocess.run(
        ["sh", "-c", command], cwd=tmp_path, capture_output=True, env=environment, check=False, timeout=120
    )
    assert (done.returncode, done.stdout) == (status, output), done.stderr
    assert words in done.stderr and done.stderr.count(b"\n") == bool(words)


@pytest.mark.parametrize("name", [".git/config", "a/.hidden", ".x", "a/.b/c"])
def test_hidden_names(name: str) -> None:
    assert is_hidden(name) and withheld([name, "seen"], hidden=False).keys() == {name}


def test_a_folder_that_git_would_take_for_a_repository_stays_out() -> None:
    names = ["HEAD", "objects/x", "refs/x", "config", "plot.png"]
    assert withheld(names, hidden=False).keys() == {"HEAD", "config"} and withheld(names, hidden=True) == {}


def test_long_lists_are_told_by_their_beginning() -> None:
    many = {f"f{n}.txt": n for n in range(50)}
    assert "50 files" in gone(many) and "45 more" in gone(many) and gone({}) == ""
