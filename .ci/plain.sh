#!/usr/bin/env bash
# What a user gets: the wheel in an environment without extras, beside foreign packages with the names of our folders.
# Every public name imports there, and a campaign runs. Usage: bash .ci/plain.sh [FOLDER]  (default: a temporary one)
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
folder=${1:-$(mktemp -d)}
python=${MOVE37_PYTHON:-.venv/bin/python}
say() { printf 'plain.sh: %s\n' "$*"; }

[ -x "$folder/env/bin/python" ] || "$python" -m venv "$folder/env"
pip() { "$folder/env/bin/python" -m pip --disable-pip-version-check -q "$@"; }
torch=$(sed -n 's/^torch==//p' requirements.lock)
say "torch $torch and the wheel, without extras"
pip install -c requirements.lock setuptools wheel
"$folder/env/bin/python" -c 'import torch' 2>/dev/null || pip install --only-binary :all: "torch==$torch+cpu" 2>/dev/null ||
    pip install --only-binary :all: --extra-index-url https://download.pytorch.org/whl/cpu "torch==$torch+cpu"
pip install --force-reinstall --no-deps .
pip install -c requirements.lock .

say "foreign packages called like our folders"
mkdir -p "$folder/foreign"
names="agents app lab memory sandbox kernels benchmarks"
for name in $names; do
    mkdir -p "$folder/foreign/$name"
    echo 'FOREIGN = True' > "$folder/foreign/$name/__init__.py"
done
printf '[project]\nname = "foreign"\nversion = "1"\n[tool.setuptools]\npackages = [%s]\n' \
    "$(printf '"%s", ' $names)" > "$folder/foreign/pyproject.toml"
pip install --force-reinstall --no-deps --no-build-isolation "$folder/foreign"

cd "$folder"
say "every public name"
env/bin/python "$root/.ci/public_names.py" $names
say "the command"
env/bin/move37 --version
rm -rf home
env/bin/move37 --home home run --task "program:$root/lab/tasks/examples/circles" --budget 1 --sandbox process --max-time 5m > run.txt 2>&1 ||
    { tail -n 20 run.txt; exit 1; }
env/bin/move37 --home home list --json | env/bin/python -c \
    'import json, sys; rows = json.load(sys.stdin); assert any(r["role"] == "candidate" for r in rows), rows'
say "a program that imports what is installed beside us"
printf 'import numpy, torch\nprint(int(torch.ones(3).sum()) + int(numpy.ones(4).sum()))\n' > program.py
[ "$(env/bin/move37 --home home exec --sandbox process program.py)" = 7 ] || { say "exec finds no torch or numpy"; exit 1; }
say "done"
