"""The models of the oracle, one row each: a tiny random checkpoint of a family, with some knobs.

A new family is one more row. `config` is what its transformers configuration differs in from BASE.
"""

from dataclasses import dataclass, field

BASE = dict(
    vocab_size=160,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=1024,
    rms_norm_eps=1e-5,
    tie_word_embeddings=False,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=None,
)


@dataclass
class Row:
    name: str  # folder under tests/golden
    architecture: str  # class of transformers
    config: dict = field(default_factory=dict)
    dtype: str = "bfloat16"  # of the stored tensors
    shards: int = 1
    # Logits are stored for positions of a longer text too, so that attention over more than one
    # chunk of keys is seen.
    long_positions: int = 0
    # Feed the text token by token: what transformers computes depends on how the text is cut.
    token_by_token: bool = False


def rope(kind, **more):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=10000.0, **more))


ROWS = [
    Row(
        "llama",
        "LlamaForCausalLM",
        rope("default") | dict(hidden_size=32, intermediate_size=64),
        dtype="float32",
        long_positions=640,
    ),
    Row(
        "llama_biases",
        "LlamaForCausalLM",
        dict(attention_bias=True, mlp_bias=True, num_key_value_heads=4),
        dtype="float16",
    ),
    Row("llama_linear", "LlamaForCausalLM", rope("linear", factor=4.0)),
    Row(
        "llama_dynamic",
        "LlamaForCausalLM",
        rope("dynamic", factor=2.0) | dict(max_position_embeddings=32),
        token_by_token=True,
    ),
    Row(
        "llama_llama3",
        "LlamaForCausalLM",
        rope(
            "llama3",
            factor=8.0,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=64,
        ),
    ),
    Row(
        "llama_yarn",
        "LlamaForCausalLM",
        rope("yarn", factor=4.0, original_max_position_embeddings=16)
        | dict(max_position_embeddings=64),
    ),
    Row("mistral", "MistralForCausalLM", dict(sliding_window=24, head_dim=24), long_positions=640),
    Row(
        "qwen2",
        "Qwen2ForCausalLM",
        dict(use_sliding_window=True, sliding_window=16, max_window_layers=1, num_hidden_layers=3),
        shards=2,
    ),
    Row("qwen2_tied", "Qwen2ForCausalLM", dict(tie_word_embeddings=True, num_key_value_heads=1)),
    Row(
        "qwen3", "Qwen3ForCausalLM", dict(head_dim=32, num_attention_heads=6, num_key_value_heads=3)
    ),
    Row(
        "qwen3_tied",
        "Qwen3ForCausalLM",
        dict(head_dim=8, tie_word_embeddings=True, attention_bias=True),
    ),
]

# RoPE parameters whose frequencies alone are compared:
# (name, rotary dimension, context, parameters).
ROPES = [
    ("default", 64, 8192, dict(rope_type="default", rope_theta=100000.0)),
    ("linear", 128, 8192, dict(rope_type="linear", rope_theta=10000.0, factor=2.5)),
    ("dynamic", 64, 2048, dict(rope_type="dynamic", rope_theta=10000.0, factor=4.0)),
    (
        "llama3",
        128,
        131072,
        dict(
            rope_type="llama3",
            rope_theta=500000.0,
            factor=8.0,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=8192,
        ),
    ),
    (
        "yarn",
        128,
        131072,
        dict(
            rope_type="yarn",
            rope_theta=1000000.0,
            factor=4.0,
            original_max_position_embeddings=32768,
        ),
    ),
    (
        "yarn_whole",
        64,
        131072,
        dict(
            rope_type="yarn",
            rope_theta=150000.0,
            factor=32.0,
            beta_fast=32.0,
            beta_slow=1.0,
            truncate=False,
            original_max_position_embeddings=4096,
        ),
    ),
    (
        "yarn_mscale",
        64,
        163840,
        dict(
            rope_type="yarn",
            rope_theta=10000.0,
            factor=40.0,
            mscale=1.0,
            mscale_all_dim=0.707,
            original_max_position_embeddings=4096,
        ),
    ),
    (
        "yarn_factor",
        64,
        65536,
        dict(
            rope_type="yarn",
            rope_theta=10000.0,
            factor=2.0,
            attention_factor=1.25,
            original_max_position_embeddings=32768,
        ),
    ),
]
