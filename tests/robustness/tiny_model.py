"""A checkpoint of a few thousand weights with a byte-level vocabulary, drawn from a fixed seed: it
loads in milliseconds, writes noise, and writes the same noise every time. Standard library only."""

import json
import pathlib
import random
import struct

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<tool_call>",
           "</tool_call>")
VOCABULARY = 256 + len(SPECIAL)
CONTEXT = 8192
HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD, INNER = 64, 2, 4, 2, 16, 96

TEMPLATE = """{%- if tools %}<|im_start|>system
Call a tool as <tool_call>{"name": ..., "arguments": ...}</tool_call>:
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% endif %}{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content or '' }}{% for call in message.tool_calls or [] %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def byte_names():
    """How byte-level vocabularies write each byte."""
    names, spare = {}, 256
    for byte in range(256):
        plain = 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or byte >= 0xAE
        names[byte] = chr(byte if plain else spare)
        spare += not plain
    return names


def tokenizer():
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
             "use_regex": False}
    added = [{"id": 256 + i, "content": text, "single_word": False, "lstrip": False,
              "rstrip": False, "normalized": False, "special": "|" in text}
             for i, text in enumerate(SPECIAL)]
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
             "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
             "vocab": {name: byte for byte, name in byte_names().items()}, "merges": []}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": None, "pre_tokenizer": level, "post_processor": None, "decoder": level,
            "model": model}


def config():
    return {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
            "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
            "num_key_value_heads": KV_HEADS, "head_dim": HEAD, "intermediate_size": INNER,
            "hidden_act": "silu", "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-5,
            "rope_theta": 10000.0, "tie_word_embeddings": False, "vocab_size": VOCABULARY,
            "bos_token_id": 256, "eos_token_id": 258, "torch_dtype": "bfloat16"}


def shapes():
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        yield at + "input_layernorm.weight", (HIDDEN,)
        yield at + "post_attention_layernorm.weight", (HIDDEN,)
        yield at + "self_attn.q_proj.weight", (HEADS * HEAD, HIDDEN)
        yield at + "self_attn.k_proj.weight", (KV_HEADS * HEAD, HIDDEN)
        yield at + "self_attn.v_proj.weight", (KV_HEADS * HEAD, HIDDEN)
        yield at + "self_attn.o_proj.weight", (HIDDEN, HEADS * HEAD)
        yield at + "mlp.gate_proj.weight", (INNER, HIDDEN)
        yield at + "mlp.up_proj.weight", (INNER, HIDDEN)
        yield at + "mlp.down_proj.weight", (HIDDEN, INNER)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (VOCABULARY, HIDDEN)


def bfloat16(number):
    return struct.pack("<f", number)[2:]


def weights(seed):
    draw = random.Random(seed)
    header, data = {}, bytearray()
    for name, shape in shapes():
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        begin = len(data)
        for _ in range(count):
            data += bfloat16(draw.gauss(0, 0.2) if len(shape) == 2 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(data)


def write(folder, template=TEMPLATE, seed=1):
    """Writes the checkpoint; `template` may be bytes, or None for none."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": SPECIAL[0],
                "eos_token": SPECIAL[2], "pad_token": SPECIAL[0]}
    for name, content in (("config.json", config()), ("tokenizer.json", tokenizer()),
                          ("tokenizer_config.json", settings)):
        (folder / name).write_text(json.dumps(content))
    (folder / "model.safetensors").write_bytes(weights(seed))
    if template is not None:
        data = template if isinstance(template, bytes) else template.encode()
        (folder / "chat_template.jinja").write_bytes(data)
    return folder
