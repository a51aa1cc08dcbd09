"""Whatever the user's umask is, a job reads its files, and changes and returns them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from move37.sandbox.process.backend import ProcessSandbox
from move37.sandbox.process.zygote_process import ZygoteSettings
from tests.sandbox.jobs import program

SOURCE = "print(open('deep/er/in.txt').read())\nopen('deep/er/out.txt', 'w').write('made')"


@pytest.fixture(params=[0o022, 0o027, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("namespaces", [True, False])
async def test_a_job_reads_and_writes_its_files(namespaces: bool) -> None:
    files = {"deep/er/in.txt": b"sent"}
    async with ProcessSandbox(1, settings=ZygoteSettings(warm=False, namespaces=namespaces)) as sandbox:
        outcome = await sandbox.run(program(SOURCE, files=files, writable=True, collect=("./*",)))
        alone = await sandbox.run(program("print(open('deep/er/in.txt').read())", files=files))
    assert outcome.stdout == alone.stdout == b"sent\n", (outcome, alone)
    assert outcome.files["deep/er/out.txt"] == b"made"
