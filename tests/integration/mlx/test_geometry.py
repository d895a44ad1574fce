"""What is read off a loaded model's caches, and what is refused when it is loaded."""

from importlib import import_module

import pytest

from agent_memory.adapters.mlx import geometry  # before MLX itself
from agent_memory.domain.errors import Misconfigured
from agent_memory.domain.kv.spec import LayerKind

mx, read_layers, caches = geometry.mx, geometry.read_layers, import_module("mlx_lm.models.cache")


class Layers:
    """As little of a model as it takes: its caches, and what reading does to them."""

    def __init__(self, caches, read):
        self._caches, self._read = caches, read

    def make_cache(self):
        return self._caches()

    def __call__(self, tokens, cache):
        for one in cache:
            self._read(tokens, one)
        return tokens


def attend(tokens, cache):
    keys = mx.zeros((1, 2, tokens.shape[1], 64))
    cache.update_and_fetch(keys, keys)


def test_a_layer_with_attention_and_a_state_is_two_of_ours(load):
    spec = load("falcon_h1").runtime.spec
    assert [layer.kind for layer in spec.layers] == [LayerKind.RECURRENT, LayerKind.FULL] * 4


def test_states_are_kept_in_the_type_that_the_model_keeps_them_in(load):
    states = [layer.state for layer in load("qwen3_next").runtime.spec.layers if layer.state]
    assert [array.dtype for array in states[0]] == ["F32", "F32"]
    assert [array.shape for array in states[0]] == [(3, 256), (4, 32, 32)]


def test_a_state_that_grows_is_refused():
    def read(tokens, cache):
        more = mx.zeros((1, tokens.shape[1]))
        cache[0] = more if cache[0] is None else mx.concatenate([cache[0], more], axis=1)

    with pytest.raises(Misconfigured, match=r"cache 0 .* ArraysCache that changes"):
        read_layers(Layers(lambda: [caches.ArraysCache(1)], read))


def test_a_state_of_token_ids_is_refused():
    def read(tokens, cache):
        cache[0] = tokens[:, -1:]

    with pytest.raises(Misconfigured, match=r"layer 0 .* ArraysCache of mlx"):
        read_layers(Layers(lambda: [caches.ArraysCache(1)], read))


@pytest.mark.parametrize("name", ["ChunkedKVCache", "ConcatenateKVCache"])
def test_another_kind_of_cache_is_refused_by_its_name(name):
    def make():
        kind = getattr(caches, name)
        return [caches.KVCache(), kind(64) if name == "ChunkedKVCache" else kind()]

    with pytest.raises(Misconfigured, match=rf"layer 1 .* {name}"):
        read_layers(Layers(make, attend))
