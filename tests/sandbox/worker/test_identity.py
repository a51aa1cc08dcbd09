"""Users of jobs: valid where they are used, never one that somebody else is, and others for each supervisor."""

from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from move37.sandbox.worker.identity import LAST, SUPERVISOR, job_users

WHOLE = "         0          0 4294967295\n"


@given(st.integers(0, 2**48), st.integers(0, 2**48))
def test_two_supervisors_hardly_ever_share_a_user(one: int, other: int) -> None:
    first, second = (next(iter(job_users(WHOLE, seed) or ())) for seed in (one, other))
    assert 1 << 20 <= first <= LAST
    assert first != second or one % (LAST - (1 << 20) - (1 << 16)) == other % (LAST - (1 << 20) - (1 << 16))


@given(st.integers(0, 2**48), st.sampled_from([65536, 100_000, 2000, 1 << 21]))
def test_users_are_within_what_the_namespace_has(seed: int, length: int) -> None:
    users = list(islice(job_users(f"0 100000 {length}\n", seed) or (), 3000))
    assert users and all(1000 <= user < length and user != SUPERVISOR for user in users)
    assert len(set(users[:500])) == 500


def test_a_namespace_of_one_user_has_none_for_jobs() -> None:
    assert job_users("65534 1000 1\n", 1) is None
