"""Small model folders with random weights, made on the spot: one of each attention kind, and a tokenizer."""

import json
from importlib import import_module
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# As Qwen3's: tools in the system prompt, calls and their answers between marks, thoughts of earlier turns left out.
THINKING = """\
{%- if tools %}<|im_start|>system
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<tool_call> </tool_call><|im_end|>
{% endif %}
{%- set last = namespace(user=0) %}
{%- for m in messages %}{% if m.role == 'user' %}{% set last.user = loop.index0 %}{% endif %}{% endfor %}
{%- for m in messages %}
{%- if m.role == 'tool' %}<|im_start|>user
<tool_response>
{{ m.content }}
</tool_response><|im_end|>
{% else %}<|im_start|>{{ m.role }}
{% if m.reasoning_content and loop.index0 > last.user %}<think>
{{ m.reasoning_content.strip('\\n') }}
</think>

{% endif %}{{ m.content }}
{%- for tool_call in m.tool_calls %}
{%- if (loop.first and m.content) or not loop.first %}{{ '\\n' }}{% endif %}
{%- set tool_call = tool_call.function %}<tool_call>
{"name": "{{ tool_call.name }}", "arguments": {{ tool_call.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}{% endif %}"""
MARKERS = ("<think>", "</think>", "<tool_call>", "</tool_call>")
_SMALL = {
    "hidden_size": 128,
    "num_hidden_layers": 4,
    "intermediate_size": 256,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "rms_norm_eps": 1e-5,
    "vocab_size": 264,
    "max_position_embeddings": 32768,
}
_LATENT = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 64,
    "q_lora_rank": 64,
    "qk_rope_head_dim": 32,
    "qk_nope_head_dim": 64,
    "v_head_dim": 64,
    "n_routed_experts": 4,
    "n_shared_experts": 1,
    "num_experts_per_tok": 2,
    "first_k_dense_replace": 1,
    "moe_intermediate_size": 64,
}
CONFIGS = {
    "llama": _SMALL | {"model_type": "llama", "rope_theta": 10000.0, "tie_word_embeddings": False},
    "qwen3": _SMALL | {"model_type": "qwen3", "rope_theta": 1e6, "tie_word_embeddings": False},
    "gemma3_text": _SMALL
    | {"model_type": "gemma3_text", "sliding_window": 96, "sliding_window_pattern": 2, "query_pre_attn_scalar": 64},
    # gated delta in three layers of four, full attention in the fourth
    "qwen3_next": _SMALL
    | {
        "model_type": "qwen3_next",
        "linear_num_value_heads": 4,
        "linear_num_key_heads": 2,
        "linear_key_head_dim": 32,
        "linear_value_head_dim": 32,
        "linear_conv_kernel_dim": 4,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "decoder_sparse_step": 1,
        "shared_expert_intermediate_size": 128,
        "mlp_only_layers": [],
        "moe_intermediate_size": 64,
        "rope_theta": 1e6,
        "partial_rotary_factor": 0.25,
    },
    "mamba2": _SMALL
    | {
        "model_type": "mamba2",
        "num_heads": 4,
        "intermediate_size": 256,
        "state_size": 32,
        "layer_norm_epsilon": 1e-5,
        "conv_kernel": 4,
        "n_groups": 1,
        "use_bias": False,
        "use_conv_bias": True,
        "tie_word_embeddings": False,
        "time_step_limit": (0.0, 1000.0),
        "time_step_rank": "auto",
    },
    # both in each layer, side by side
    "falcon_h1": _SMALL
    | {
        "model_type": "falcon_h1",
        "mamba_d_ssm": 256,
        "mamba_d_head": 64,
        "mamba_n_heads": 4,
        "mamba_d_state": 32,
        "tie_word_embeddings": False,
    },
    # recurrent and windowed layers
    "recurrent_gemma": _SMALL
    | {
        "model_type": "recurrent_gemma",
        "attention_bias": False,
        "conv1d_width": 4,
        "logits_soft_cap": 30.0,
        "rope_theta": 10000.0,
        "attention_window_size": 96,
        "num_key_value_heads": 1,
        "block_types": ["recurrent", "recurrent", "attention"],
    },
    # a window wider than a block, so that a restored prefix needs the local parts of several
    "gemma3_wide": _SMALL
    | {"model_type": "gemma3_text", "sliding_window": 600, "sliding_window_pattern": 3, "query_pre_attn_scalar": 64},
    # latent attention that is expanded before it is cached: as many heads as queries have, keys of 96 and values of 64
    "deepseek_v2": _SMALL
    | _LATENT
    | {"model_type": "deepseek_v2", "rope_scaling": {"type": "yarn", "factor": 1.0, "mscale_all_dim": 0}},
    # latent attention that caches the latent: one head of 64 numbers for the "keys", 32 for the "values"
    "deepseek_v3": _SMALL | _LATENT | {"model_type": "deepseek_v3"},
    # the same, with a second cache in each layer, from which the tokens to attend to are chosen
    "deepseek_v32": _SMALL
    | _LATENT
    | {
        "model_type": "deepseek_v32",
        "index_head_dim": 64,
        "index_n_heads": 4,
        "index_topk": 128,
    },
    # later layers share what earlier ones have cached; heads of windowed and of full layers differ in size
    "gemma4_text": _SMALL
    | {
        "model_type": "gemma4_text",
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "sliding_window": 96,
        "num_kv_shared_layers": 2,
        "global_head_dim": 128,
        "vocab_size_per_layer_input": 264,
        "hidden_size_per_layer_input": 32,
    },
    # windows and sinks
    "gpt_oss": _SMALL
    | {
        "model_type": "gpt_oss",
        "num_attention_heads": 8,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "intermediate_size": 128,
        "sliding_window": 96,
        "rope_theta": 10000.0,
        "rope_scaling": {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 4096},
    },
}


def make_model(folder: Path, kind: str, *, seed: int = 0, dtype: str = "float32", **sizes: int) -> Path:
    """Write a model folder that mlx-lm loads. Weights are large enough that its answers vary."""
    from agent_memory.adapters.mlx import loading  # before MLX itself: it loads a fast BLAS, where there is one

    mx, tree_flatten, get_classes = loading.mx, loading.tree_flatten, import_module("mlx_lm.utils")._get_classes
    folder.mkdir(parents=True, exist_ok=True)
    config = CONFIGS[kind] | {"eos_token_id": 257} | sizes
    (folder / "config.json").write_text(json.dumps(config))
    model_class, args_class = get_classes(config)
    mx.random.seed(seed)
    model = model_class(args_class.from_dict(config))
    weights = {
        name: (array if "norm" in name else mx.random.normal(array.shape) * 0.08).astype(getattr(mx, dtype))
        for name, array in tree_flatten(model.parameters())
    }
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    _write_tokenizer(folder)
    return folder


def make_thinking_model(folder: Path) -> Path:
    """A llama that thinks, with a template that knows tools."""
    make_model(folder, "llama", vocab_size=272)
    tokens = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokens.add_tokens([AddedToken(marker, special=False) for marker in MARKERS])
    tokens.save(str(folder / "tokenizer.json"))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": THINKING}))
    return folder


def _write_tokenizer(folder: Path) -> None:
    """One token a byte, so that every text is possible and random weights say random bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: i for i, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "chat_template": CHATML}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
