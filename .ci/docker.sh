#!/usr/bin/env bash
# Makes Docker usable on a fresh Debian machine, for CI and for whoever wants CI's result: packages, a daemon, our image.
# Idempotent: what is installed, running or built already is left alone. Run as root from anywhere.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${MOVE37_PYTHON:-.venv/bin/python}
log=${MOVE37_DOCKERD_LOG:-/var/log/move37-dockerd.log}

say() { printf 'docker.sh: %s\n' "$*"; }

install_packages() {
    local missing=()
    local command package
    while read -r command package; do
        command -v "$command" >/dev/null || missing+=("$package")
    done <<'WANTED'
dockerd docker.io
debootstrap debootstrap
crun crun
runsc runsc
iptables iptables
docker-compose docker-compose
WANTED
    ((${#missing[@]})) || return 0
    say "installing ${missing[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# A daemon that was killed leaves its pid files; a reused number would keep the next one from starting.
forget_dead_daemon() {
    local file
    for file in /var/run/docker.pid /var/run/docker/containerd/containerd.pid; do
        [[ -f $file ]] || continue
        grep -qsE 'dockerd|containerd' "/proc/$(<"$file")/comm" || rm -f "$file"
    done
}

start_daemon() {
    docker info >/dev/null 2>&1 && return 0
    say "starting dockerd, log in $log"
    forget_dead_daemon
    # crun refuses a hybrid cgroup layout: the daemon gets a mount namespace in which the second hierarchy is not there.
    # shellcheck disable=SC2016
    setsid unshare --mount sh -c '
        if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
        for descriptor in 3 4 5 6 7 8 9; do eval "exec $descriptor>&-"; done  # no lock of whoever called us stays held
        exec dockerd --config-file "$1"
    ' dockerd "$PWD/.ci/dockerd.json" >>"$log" 2>&1 </dev/null &
    local waited
    for waited in $(seq 120); do
        if docker info >/dev/null 2>&1; then
            return 0
        fi
        sleep 0.5
    done
    say "dockerd did not answer within a minute; the end of its log:"
    tail -n 30 "$log"
    return 1
}

install_packages
start_daemon
"$python" -m move37 sandbox build --base debootstrap --services
