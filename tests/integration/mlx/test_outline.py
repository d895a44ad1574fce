"""A model's geometry from its config.json alone, on the configs of models that anybody can look up."""

import json

import pytest

from agent_memory.adapters.mlx.loading import load_model
from agent_memory.adapters.mlx.outline import find_config, read_outline, weight_bytes
from agent_memory.domain.errors import Misconfigured
from agent_memory.domain.kv.capacity import grouped
from agent_memory.domain.kv.precision import Precision
from agent_memory.domain.kv.spec import CacheSpec

pytestmark = pytest.mark.integration

GEMMA_3_12B = {
    "model_type": "gemma3",
    "vocab_size": 262208,
    "text_config": {
        "model_type": "gemma3_text",
        "hidden_size": 3840,
        "intermediate_size": 15360,
        "num_hidden_layers": 48,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 256,
        "sliding_window": 1024,
        "query_pre_attn_scalar": 256,
    },
}
DEEPSEEK_CODER_V2_LITE = {
    "model_type": "deepseek_v2",
    "vocab_size": 102400,
    "hidden_size": 2048,
    "intermediate_size": 10944,
    "moe_intermediate_size": 1408,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "n_shared_experts": 2,
    "n_routed_experts": 64,
    "num_experts_per_tok": 6,
    "first_k_dense_replace": 1,
    "q_lora_rank": None,
    "kv_lora_rank": 512,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "rope_scaling": {"type": "yarn", "factor": 40, "original_max_position_embeddings": 4096, "mscale_all_dim": 0.707},
}
LLAMA_3_1_8B = {
    "model_type": "llama",
    "vocab_size": 128256,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
}
QWEN3_8B = LLAMA_3_1_8B | {
    "model_type": "qwen3",
    "vocab_size": 151936,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "head_dim": 128,
    "max_position_embeddings": 40960,
    "rope_theta": 1e6,
}
GPT_OSS_20B = {
    "model_type": "gpt_oss",
    "vocab_size": 201088,
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "num_hidden_layers": 24,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "sliding_window": 128,
    "num_local_experts": 32,
    "num_experts_per_tok": 4,
    "rope_theta": 150000,
    "layer_types": ["sliding_attention", "full_attention"] * 12,
}
SMOLLM2_1_7B = LLAMA_3_1_8B | {
    "vocab_size": 49152,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 24,
    "num_key_value_heads": 32,
    "tie_word_embeddings": True,
}
SMOLLM2_135M = SMOLLM2_1_7B | {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
}


def of_config(folder, config):
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return read_outline(folder)


@pytest.mark.parametrize(
    ("config", "kinds", "lasting", "local"),
    [
        # bytes of a token in 16 bits: 2 x layers x heads x (key + value)
        (GEMMA_3_12B, [(8, "full", 0), (40, "window", 1024)], 2 * 8 * 8 * 512, 2 * 40 * 8 * 512),
        (DEEPSEEK_CODER_V2_LITE, [(27, "full", 0)], 2 * 27 * 16 * 320, 0),
        (LLAMA_3_1_8B, [(32, "full", 0)], 2 * 32 * 8 * 256, 0),
        (QWEN3_8B, [(36, "full", 0)], 2 * 36 * 8 * 256, 0),
        (GPT_OSS_20B, [(12, "full", 0), (12, "window", 128)], 2 * 12 * 8 * 128, 2 * 12 * 8 * 128),
        (SMOLLM2_1_7B, [(24, "full", 0)], 2 * 24 * 32 * 128, 0),
        (SMOLLM2_135M, [(30, "full", 0)], 2 * 30 * 3 * 128, 0),
    ],
    ids=["gemma-3-12b", "deepseek-coder-v2-lite", "llama-3.1-8b", "qwen3-8b", "gpt-oss-20b", "smollm2-1.7b", "135m"],
)
def test_the_geometry_of_known_models(tmp_path, config, kinds, lasting, local):
    layers = of_config(tmp_path, config)
    assert [(group.count, group.layer.kind.value, group.layer.window) for group in grouped(layers)] == kinds
    spec = CacheSpec(layers, Precision(16))
    assert (spec.lasting_bytes(1), spec.local_bytes(1)) == (lasting, local)


@pytest.mark.parametrize("kind", ["llama", "gemma3_text"])
def test_without_weights_it_is_what_it_is_with_them(folders, tmp_path, kind):
    loaded = load_model(folders[kind], Precision(4), tmp_path)
    assert read_outline(folders[kind]) == loaded.runtime.spec.layers


def test_the_weights_are_counted_where_they_are(folders, tmp_path):
    assert weight_bytes(folders["llama"]) == (folders["llama"] / "model.safetensors").stat().st_size
    assert weight_bytes(tmp_path) == 0


def test_what_is_not_on_this_machine_is_not_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert find_config("nobody/has-this") is None
    assert find_config(str(tmp_path)) is None
    assert find_config("not a name") is None


@pytest.mark.parametrize("config", [{"model_type": "unheard_of"}, {"model_type": "llama"}, {}])
def test_a_config_of_no_model_is_told(tmp_path, config):
    with pytest.raises(Misconfigured, match=r"model: .*config.json describes none that can be built: "):
        of_config(tmp_path, config)
