"""The proxy before the engine: what `confinement` writes passes, whatever is less confined does not."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from move37.sandbox.docker.confinement import create_body, resources, shape_for
from move37.sandbox.job import MIB, Limits
from move37.sandbox.proxy.http import head_for
from move37.sandbox.proxy.rules import EngineRequest, judge

NAME = "move37-worker-0123456789abcdef"
OF_OWNER = "%7B%22label%22%3A+%5B%22move37.owner%3Db%2F1%2F2%2F3%22%5D%7D"
LIMITS = st.builds(
    Limits,
    memory_bytes=st.integers(MIB, 2**36),
    pids=st.integers(1, 4096),
    disk_bytes=st.integers(1, 2**36),
    threads=st.integers(1, 256),
)


def body(limits: Limits = Limits(), **shape: Any) -> dict[str, Any]:
    return create_body(shape_for(limits, image="sha256:" + "a" * 64, **shape), limits, owner="boot/1/2/3")


def create(made: object, name: str = NAME) -> EngineRequest:
    text = made if isinstance(made, bytes) else json.dumps(made).encode()
    return EngineRequest(method="POST", target=f"/v1.41/containers/create?name={name}", body=text)


@given(LIMITS, st.sampled_from(["", "crun", "runsc"]), st.sampled_from([(), ("GPU-1a",), ("MIG-a", "MIG-b")]))
def test_whatever_create_body_makes_passes(limits: Limits, runtime: str, devices: tuple[str, ...]):
    made = body(limits, runtime=runtime, devices=devices)
    verdict = judge(create(made))
    assert verdict.allowed and json.loads(verdict.body) == made


def weaker(path: str, value: object) -> dict[str, Any]:
    made = copy.deepcopy(body())
    *folders, last = path.split(".")
    place = made
    for folder in folders:
        place = place[folder]
    place[last] = value
    return made


@pytest.mark.parametrize(
    "path, value",
    [
        ("User", "1000:1000"),
        ("HostConfig.OomScoreAdj", -1000),
        ("HostConfig.NetworkMode", "bridge"),
        ("Image", "alpine"),
        ("Entrypoint", ["sh"]),
        ("Cmd", ["x"]),
        ("Volumes", {"/x": {}}),
        ("NetworkDisabled", False),
        ("Env", ["LD_PRELOAD=/tmp/x.so"]),
        ("HostConfig.Privileged", True),
        ("HostConfig.Binds", ["/:/host"]),
        ("HostConfig.binds", ["/:/host"]),  # Go reads keys in any case
        ("hostconfig", {"Privileged": True}),
        ("HostConfig.Mounts", [{"Type": "bind", "Source": "/", "Target": "/host"}]),
        ("HostConfig.CapAdd", ["SYS_ADMIN"]),
        ("HostConfig.CapDrop", []),
        ("HostConfig.SecurityOpt", ["seccomp=unconfined"]),
        ("HostConfig.NetworkMode", "host"),
        ("HostConfig.PidMode", "host"),
        ("HostConfig.IpcMode", "host"),
        ("HostConfig.UsernsMode", "host"),
        ("HostConfig.ReadonlyRootfs", False),
        ("HostConfig.MaskedPaths", []),
        ("HostConfig.Devices", [{"PathOnHost": "/dev/sda"}]),
        ("HostConfig.DeviceRequests", [{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}]),
        ("HostConfig.Runtime", "/bin/evil"),
        ("HostConfig.Memory", 0),
        ("HostConfig.MemorySwap", -1),
        ("HostConfig.PidsLimit", -1),
        ("HostConfig.CpuQuota", 0),
        ("HostConfig.Tmpfs", {"/tmp": "rw,exec,suid,size=1"}),
        ("HostConfig.Tmpfs", {"/tmp": "size=1", "/etc": ""}),
        ("HostConfig.Ulimits", []),
        ("HostConfig.AutoRemove", False),
        ("HostConfig.RestartPolicy", {"Name": "always"}),
        ("HostConfig.LogConfig", {"Type": "syslog"}),
        ("Labels", {}),
    ],
)
def test_a_container_that_is_less_confined_is_refused(path: str, value: object):
    assert not judge(create(weaker(path, value))).allowed


MOST = {"memory_bytes": 2**36, "pids": 4096, "threads": 256, "disk_bytes": 2**36}


@pytest.mark.parametrize("field, value", MOST.items())
def test_no_container_gets_more_than_the_bounds(field: str, value: int):
    assert not judge(create(body(Limits(**{field: value + 1})))).allowed
    assert judge(create(body(Limits(**{field: value})))).allowed


def test_json_that_nests_too_deeply_is_refused():
    assert not judge(create(b"[" * 100_000)).allowed


def test_a_key_given_twice_means_what_we_send_on():
    text = json.dumps(body())
    twice = text[:-1] + ', "HostConfig": ' + json.dumps(body()["HostConfig"]) + "}"
    verdict = judge(create(twice.encode()))
    assert verdict.allowed and json.loads(verdict.body) == body() and (verdict.body).count(b"HostConfig") == 1


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_other_json_is_refused_and_never_breaks_the_proxy(made: object):
    assert not judge(create(made)).allowed


@pytest.mark.parametrize("name", ["", "other", NAME + "x", NAME.upper(), NAME + "&name=other", f"{NAME}%2f.."])
def test_a_container_with_another_name_is_refused(name: str):
    assert not judge(create(body(), name=name)).allowed


@pytest.mark.parametrize(
    "method, target",
    [
        ("GET", "/_ping"),
        ("GET", "/version"),
        ("GET", "/v1.41/info"),
        ("GET", "/v1.41/images/move37-sandbox:cpu/json"),
        ("POST", f"/v1.41/containers/{NAME}/start"),
        ("POST", f"/v1.41/containers/{NAME}/attach?stdin=1&stdout=1&stderr=1&stream=1"),
        (
            "GET",
            "/v1.41/containers/json?limit=-1&all=1&size=0&trunc_cmd=1&filters=%7B%22label%22%3A+%5B%22move37.owner%3Db%2F1%2F2%2F3%22%5D%7D",
        ),
        ("GET", f"/v1.41/events?since=1&until=2&filters=%7B%22container%22%3A+%5B%22{NAME}%22%5D%7D"),
        ("DELETE", f"/v1.41/containers/{NAME}?v=True&link=False&force=True"),
        ("DELETE", f"/v1.41/containers/{NAME}?v=1&force=1"),
        ("GET", "/v1.41/containers/json?all=1&filters=%7B%22label%22%3A%5B%22move37.sandbox%22%5D%7D"),
    ],
)
def test_what_the_sandbox_needs_passes(method: str, target: str):
    assert judge(EngineRequest(method=method, target=target)).allowed


@pytest.mark.parametrize(
    "method, target",
    [
        ("POST", f"/v1.41/containers/{NAME}/exec"),
        ("POST", "/v1.41/exec/abc/start"),
        ("POST", "/v1.41/build"),
        ("POST", "/v1.41/images/create?fromImage=alpine"),
        ("POST", "/v1.41/images/load"),
        ("POST", "/v1.41/volumes/create"),
        ("POST", "/v1.41/networks/create"),
        ("POST", "/v1.41/swarm/init"),
        ("POST", "/v1.41/plugins/pull"),
        ("GET", "/v1.41/containers/json"),
        ("GET", "/v1.41/containers/json?filters={}"),
        ("GET", '/v1.41/containers/json?filters={"label":["move37.sandbox"],"label":["x"]}'),
        ("GET", '/v1.41/containers/json?filters={"label":["other"]}'),
        ("GET", "/v1.41/events"),
        ("GET", f"/v1.41/containers/{NAME}/logs"),
        ("GET", f"/v1.41/containers/{NAME}/archive?path=/"),
        ("PUT", f"/v1.41/containers/{NAME}/archive?path=/"),
        ("GET", f"/v1.41/containers/{NAME}/export"),
        ("POST", f"/v1.41/containers/{NAME}/rename?name=x"),
        ("POST", f"/v1.41/commit?container={NAME}"),
        ("GET", "/v1.41/containers/postgres/json"),
        ("DELETE", "/v1.41/containers/postgres?force=1"),
        ("POST", "/v1.41/containers/postgres/attach"),
        ("DELETE", "/v1.41/images/move37-sandbox:cpu"),
        ("GET", f"/v1.41/containers/{NAME}/../postgres/json"),
        ("GET", f"/v1.41/containers/{NAME}%2f..%2fpostgres/json"),
        ("GET", f"/v1.24/containers/{NAME}/json"),
        ("GET", "http://other/version"),
        ("GET", f"/v1.99/containers/{NAME}/json"),
        ("POST", f"/v1.41/containers/{NAME}/attach?%zz"),
        ("POST", f"/v1.41/containers/{NAME}/attach?stdin=1&stdin=0"),
        ("POST", f"/v1.41/containers/{NAME}/attach?detachKeys=x"),
        ("POST", f"/v1.41/containers/{NAME}/start?checkpoint=x"),
        ("GET", f"/v1.41/events?since=1&until=&filters=%7B%22container%22%3A%5B%22{NAME}%22%5D%7D"),
        ("GET", f"/v1.41/events?since=1&filters=%7B%22container%22%3A%5B%22{NAME}%22%5D%7D"),
        ("GET", f"/containers/{NAME}/json#x"),
        ("GET", f"/containers/{NAME}%00/json"),
        ("GET", f"/containers/{NAME};/json"),
        ("CONNECT", "/version"),
    ],
)
def test_everything_else_is_refused(method: str, target: str):
    assert not judge(EngineRequest(method=method, target=target)).allowed


def test_a_start_carries_no_body_of_its_own():
    request = EngineRequest(method="POST", target=f"/containers/{NAME}/start", body=b'{"Binds": ["/:/x"]}')
    verdict = judge(request)
    assert verdict.allowed and head_for(request, verdict).endswith(b"content-length: 0\r\n\r\n")


@given(LIMITS)
def test_limits_can_be_changed_and_never_lifted(limits: Limits):
    def update(made: dict[str, Any]) -> bool:
        target = f"/v1.41/containers/{NAME}/update"
        return judge(EngineRequest(method="POST", target=target, body=json.dumps(made).encode())).allowed

    made = resources(limits)
    assert update(made)
    without: list[dict[str, Any]] = [
        {"Memory": 0}, {"MemorySwap": -1}, {"PidsLimit": 0}, {"CpuQuota": -1}, {"Devices": []}
    ]  # fmt: skip
    for lifted in without:
        assert not update(made | lifted)
