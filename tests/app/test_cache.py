"""The response cache never exceeds its bounds and never serves what is too old."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assistant.cache import ENTRY_OVERHEAD_BYTES, ResponseCache

_KEYS = st.sampled_from([bytes([letter]) * 32 for letter in range(8)])
_STEPS = st.one_of(
    st.tuples(st.just("put"), _KEYS, st.binary(max_size=2000)),
    st.tuples(st.just("get"), _KEYS, st.just(b"")),
    st.tuples(st.just("wait"), st.just(b""), st.integers(0, 15).map(lambda seconds: b"x" * seconds)),
)


@given(steps=st.lists(_STEPS, max_size=60), entries=st.integers(0, 5), size_bytes=st.integers(0, 8000))
def test_bounds_hold_after_every_step_and_answers_are_the_last_ones_put(
    steps: list[tuple[str, bytes, bytes]], entries: int, size_bytes: int
) -> None:
    now = 0.0
    cache = ResponseCache(entries=entries, size_bytes=size_bytes, ttl_seconds=10, clock=lambda: now)
    last: dict[bytes, tuple[float, bytes]] = {}
    for kind, key, value in steps:
        if kind == "wait":
            now += len(value)
        elif kind == "put":
            cache.put(key, value)
            last[key] = (now, value)
        else:
            found = cache.get(key)
            if found is not None:
                stored, body = last[key]
                assert found == body
                assert now - stored < 10
        assert len(cache) <= entries
        assert len(cache) * ENTRY_OVERHEAD_BYTES <= cache.used_bytes <= max(size_bytes, 0)


def test_what_fits_is_found_and_the_least_recently_used_goes_first() -> None:
    cache = ResponseCache(entries=2, size_bytes=10_000, ttl_seconds=10)
    cache.put(b"a", b"1")
    cache.put(b"b", b"2")
    assert cache.get(b"a") == b"1"
    cache.put(b"c", b"3")
    assert (cache.get(b"a"), cache.get(b"b"), cache.get(b"c")) == (b"1", None, b"3")


def test_a_body_larger_than_the_cache_does_not_empty_it() -> None:
    cache = ResponseCache(entries=2, size_bytes=1000, ttl_seconds=10)
    cache.put(b"a", b"1")
    cache.put(b"b", b"x" * 1000)
    assert (cache.get(b"a"), cache.get(b"b")) == (b"1", None)
