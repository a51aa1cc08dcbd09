"""A program in the warm interpreter behaves as under `python FILE`: what it prints, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from move37.sandbox.process.backend import ProcessSandbox
from tests.sandbox.jobs import program

pytestmark = pytest.mark.asyncio(loop_scope="session")

PROGRAMS = {
    "arguments": "import sys; print(sys.argv, __name__, __file__.endswith('/main.py'), __spec__, __package__)",
    "main module": "import __main__, sys; x = 1; print(__main__.x, sys.modules['__main__'].x)",
    "first on the path": "import sys, os; print(os.path.realpath(sys.path[0]) == os.path.realpath(os.getcwd()))",
    "sibling module": "import helper; print(helper.value)",
    "exit without a code": "import sys; sys.exit()",
    "exit with words": "import sys; sys.exit('bad luck')",
    "exit with an object": "import sys; sys.exit(['a', 1])",
    "exit negative": "import sys; sys.exit(-1)",
    "exit over 255": "import sys; sys.exit(259)",
    "exit huge": "import sys; sys.exit(10**30)",
    "exit with a bool": "import sys; sys.exit(True)",
    "raise in a call": "def f():\n    return 1 / 0\n\n\nprint('before')\nf()",
    "chained errors": "try:\n    {}['a']\nexcept KeyError as error:\n    raise ValueError('b') from error",
    "error group": "raise ExceptionGroup('many', [ValueError(1), TypeError(2)])",
    "syntax error": "print(1)\ndef f(:\n    pass",
    "own excepthook": "import sys\nsys.excepthook = lambda *a: print('mine', a[0].__name__)\n1 / 0",
    "signal": "import os; os.kill(os.getpid(), 15)",
    "abort": "import os; os.abort()",
    "segmentation fault": "import ctypes; ctypes.string_at(0)",
    "hard exit": "import os; print('lost?', flush=True); os._exit(9)",
    "keyboard interrupt": "raise KeyboardInterrupt",
    "at exit and threads": "import atexit, threading, time\natexit.register(print, 'bye')\n"
    "threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()\nprint('main')",
    "unflushed file": "f = open('o.txt', 'w'); f.write('text')\nimport atexit\n",
    "unfinished line": "import sys; sys.stdout.write('no newline')",
    "bytes": "import sys; sys.stdout.buffer.write(b'\\xff\\x00'); sys.stdout.flush()",
    "unicode": "print('ä ö ☃')",
    "closed stdout": "import sys; sys.stdout.close()",
    "input": "try:\n    input()\nexcept EOFError:\n    print('nothing to read')",
    "subprocess": "import subprocess, sys\n"
    "print(subprocess.run([sys.executable, '-c', 'print(5)'], capture_output=True).stdout)",
    "shell": "import os; print(os.system('exit 3') >> 8)",
    "asyncio": "import asyncio\n\n\nasync def main():\n"
    "    p = await asyncio.create_subprocess_exec('echo', 'x', stdout=-1)\n"
    "    print(await p.communicate())\n\n\nasyncio.run(main())",
    "finalizers": "import weakref\n\n\nclass A: pass\n\n\na = A(); weakref.finalize(a, print, 'finalized')",
    "destructor": "class A:\n    def __del__(self):\n        print('gone')\n\n\na = A()",
    "logging": "import logging; logging.basicConfig(format='%(message)s'); logging.warning('careful')",
    "warnings": "import warnings; warnings.warn('careful')",
    "pickle of own class": "import pickle\n\n\nclass A: pass\n\n\n"
    "print(type(pickle.loads(pickle.dumps(A()))).__module__)",
    "dataclass": "from __future__ import annotations\nimport dataclasses\n\n\n"
    "@dataclasses.dataclass\nclass A:\n    x: int\n\n\nprint(A(1))",
    "globals": "print(sorted(name for name in globals() if not name.startswith('__')))",
    "temporary files": "import tempfile, os\nwith tempfile.NamedTemporaryFile() as f: print(os.path.exists(f.name))",
    "numbers": "import numpy, scipy.linalg; print(scipy.linalg.det(numpy.eye(3)))",
}


@pytest.mark.parametrize("name", PROGRAMS)
async def test_it_prints_and_ends_as_under_python(name: str, sandbox: ProcessSandbox, tmp_path: Path) -> None:
    source = PROGRAMS[name]
    (tmp_path / "main.py").write_text(source)
    (tmp_path / "helper.py").write_text("value = 7")
    arguments = ["a", "-b", "--c=d"] if name == "arguments" else []
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    real = subprocess.run(
        [sys.executable, "main.py", *arguments],
        cwd=tmp_path,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env=environment,
        check=False,
        timeout=60,
    )
    job = program(source, *arguments, files={"helper.py": b"value = 7"}, collect=("./*",))
    ours = await sandbox.run(job)
    code = real.returncode if real.returncode >= 0 else 128 - real.returncode
    assert ours.exit_code == code
    assert ours.stdout == real.stdout
    assert ours.stderr.replace(b"/job/work", str(tmp_path).encode()) == real.stderr
    if (tmp_path / "o.txt").exists():
        assert ours.files["o.txt"] == (tmp_path / "o.txt").read_bytes()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
async def test_multiprocessing_works(method: str, sandbox: ProcessSandbox) -> None:
    source = (
        "import multiprocessing as m\n\n\ndef square(x):\n    return x * x\n\n\n"
        "if __name__ == '__main__':\n"
        f"    with m.get_context('{method}').Pool(2) as pool:\n        print(pool.map(square, [1, 2, 3]))"
    )
    outcome = await sandbox.run(program(source))
    assert outcome.stdout == b"[1, 4, 9]\n" and outcome.exit_code == 0


async def test_data_loaders_and_threads_of_torch_work(sandbox: ProcessSandbox) -> None:
    source = (
        "import torch\n\n\nif __name__ == '__main__':\n"
        "    data = torch.utils.data.TensorDataset(torch.arange(8))\n"
        "    loader = torch.utils.data.DataLoader(data, batch_size=4, num_workers=2)\n"
        "    print([batch[0].sum().item() for batch in loader])"
    )
    outcome = await sandbox.run(program(source))
    assert outcome.stdout == b"[6, 22]\n", outcome.stderr


async def test_variables_of_the_job_are_set_and_python_ones_start_a_cold_interpreter(sandbox: ProcessSandbox) -> None:
    source = "import os, sys; print(os.environ['MINE'], sys.flags.hash_randomization, 'torch' in sys.modules)"
    warm = await sandbox.run(program(source, env={"MINE": "x"}))
    cold = await sandbox.run(program(source, env={"MINE": "x", "PYTHONHASHSEED": "0"}))
    assert (warm.stdout, cold.stdout) == (b"x 1 True\n", b"x 0 False\n")
    card = await sandbox.run(program(source, env={"MINE": "x", "CUDA_VISIBLE_DEVICES": "GPU-1"}))
    assert card.stdout == b"x 1 False\n", "the warm one has counted no GPU, and never counts again"
