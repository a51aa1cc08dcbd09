"""What a container is made with, read from the request body: no daemon is needed for that."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from move37.sandbox.docker.confinement import (
    ZYGOTE_BYTES,
    ZYGOTE_PIDS,
    Shape,
    create_body,
    resources,
    shape_for,
)
from move37.sandbox.gpus import gpu_environment
from move37.sandbox.job import MIB, Limits

LIMITS = st.builds(
    Limits,
    memory_bytes=st.integers(64 * MIB, 64 * 1024 * MIB),
    pids=st.integers(1, 4096),
    disk_bytes=st.integers(MIB, 1024 * MIB),
    file_bytes=st.integers(MIB, 1024 * MIB),
    threads=st.integers(1, 64),
)


def body(limits: Limits = Limits(), **shape: Any) -> dict:
    return create_body(shape_for(limits, image="move37-sandbox:cpu", **shape), limits, owner="b/1/2/3")


@given(LIMITS)
def test_no_limits_open_a_way_out(limits: Limits):
    host = body(limits)["HostConfig"]
    assert not {"Binds", "Mounts", "VolumesFrom", "Devices", "ExtraHosts", "PortBindings", "Links"} & set(host)
    assert host["CapAdd"] == [
        "CHOWN",
        "KILL",
        "SETGID",
        "SETUID",
    ]  # of the supervisor, who gives jobs users of their own
    assert host["CapDrop"] == ["ALL"] and host["Privileged"] is False and host["ReadonlyRootfs"] is True
    assert host["NetworkMode"] == "none" and host["IpcMode"] == "private"
    assert not {"PidMode", "UTSMode", "UsernsMode", "CgroupnsMode"} & set(host)
    assert "no-new-privileges:true" in host["SecurityOpt"]


@given(LIMITS)
def test_memory_has_no_swap_beside_it(limits: Limits):
    given_ = resources(limits)
    assert given_["Memory"] == given_["MemorySwap"] == limits.memory_bytes + ZYGOTE_BYTES
    assert given_["PidsLimit"] == limits.pids + ZYGOTE_PIDS
    assert given_["CpuQuota"] == limits.threads * given_["CpuPeriod"]


@given(LIMITS)
def test_the_only_disk_is_memory_of_the_size_that_was_asked_for(limits: Limits):
    host = body(limits)["HostConfig"]
    assert list(host["Tmpfs"]) == ["/tmp"]
    options = host["Tmpfs"]["/tmp"].split(",")
    assert f"size={limits.disk_bytes}" in options and {"nosuid", "nodev"} <= set(options)
    fsize = next(limit for limit in host["Ulimits"] if limit["Name"] == "fsize")
    assert fsize["Hard"] == limits.disk_bytes  # the worker lowers it for each job


def test_nothing_inside_hears_a_network_or_a_terminal():
    made = body()
    assert made["HostConfig"]["NetworkMode"] == "none" and made["Tty"] is False


def test_the_container_ends_and_goes_when_we_do():
    made = body()
    assert made["StdinOnce"] and made["OpenStdin"] and made["HostConfig"]["AutoRemove"]
    assert made["HostConfig"]["Init"] is False  # an init in between would keep PID 1 from hearing it


def test_the_profile_travels_whole_in_the_request():
    (profile,) = [one for one in body()["HostConfig"]["SecurityOpt"] if one.startswith("seccomp=")]
    assert json.loads(profile.removeprefix("seccomp="))["defaultAction"] == "SCMP_ACT_ERRNO"


def test_a_job_without_gpus_gets_none_even_where_nvidia_is_the_default_runtime():
    made = body()
    assert made["HostConfig"]["DeviceRequests"] == [] and "NVIDIA_VISIBLE_DEVICES=void" in made["Env"]


def test_gpus_are_asked_for_by_uuid():
    (request,) = body(devices=("GPU-a", "MIG-b"))["HostConfig"]["DeviceRequests"]
    assert request["DeviceIDs"] == ["GPU-a", "MIG-b"] and "Count" not in request


def test_a_job_sees_its_leased_gpus_and_its_share_of_their_memory():
    given_ = gpu_environment(("GPU-a", "GPU-b"), 0.5)
    assert given_["CUDA_VISIBLE_DEVICES"] == "GPU-a,GPU-b"
    assert given_["PYTORCH_ALLOC_CONF"] == "per_process_memory_fraction:0.5"
    assert "PYTORCH_ALLOC_CONF" not in gpu_environment(("GPU-a",), 1.0)


def test_the_runtime_is_the_daemons_own_unless_it_is_named():
    assert "Runtime" not in body()["HostConfig"]
    assert body(runtime="runsc")["HostConfig"]["Runtime"] == "runsc"


def test_gvisor_containers_are_born_with_the_jobs_limits_because_it_cannot_change_them():
    small, large = Limits(memory_bytes=64 * MIB), Limits(memory_bytes=128 * MIB)
    assert shape_for(small, image="i") == shape_for(large, image="i")
    assert shape_for(small, image="i", runtime="runsc") != shape_for(large, image="i", runtime="runsc")


def test_a_shape_is_a_key():
    assert {Shape(image="i"): 1}[Shape(image="i")] == 1
