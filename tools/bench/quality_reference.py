"""What answers are measured against: transformers in float32, on a Hugging Face folder or on the
dequantised weights of a GGUF file."""

import pathlib

import gguf
import numpy as np
import torch
import transformers


def tokenizer(path):
    path = pathlib.Path(path)
    return transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)


def _llama_config(fields):
    value = lambda name: fields["llama." + name].contents()
    return transformers.LlamaConfig(
        vocab_size=value("vocab_size"),
        hidden_size=value("embedding_length"),
        intermediate_size=value("feed_forward_length"),
        num_hidden_layers=value("block_count"),
        num_attention_heads=value("attention.head_count"),
        num_key_value_heads=value("attention.head_count_kv"),
        max_position_embeddings=value("context_length"),
        rms_norm_eps=value("attention.layer_norm_rms_epsilon"),
        rope_parameters=dict(rope_type="default", rope_theta=value("rope.freq_base")),
    )


def _half_split(rows, heads):
    """Rows of q and k: GGUF stores each head in pairs (0, d/2), (1, d/2 + 1), ...; here halves."""
    out, cols = rows.shape
    return rows.reshape(heads, out // heads // 2, 2, cols).swapaxes(1, 2).reshape(out, cols)


NAMES = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
TOP = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def token_ids(path, text, count):
    """The first `count` tokens of a text; random ones when the folder has no tokenizer."""
    if path.is_dir() and not (path / "tokenizer.json").exists():
        vocabulary = transformers.AutoConfig.from_pretrained(path).vocab_size
        return np.random.default_rng(0).integers(0, vocabulary, count).tolist()
    encode = transformers.AutoTokenizer.from_pretrained(path) if path.is_dir() else tokenizer(path)
    return encode(text.read_text()[: count * 8], add_special_tokens=False)["input_ids"][:count]


def load(path, dtype=torch.float32):
    """The model of a folder or GGUF file."""
    if path.is_dir():
        return transformers.AutoModelForCausalLM.from_pretrained(path, dtype=dtype).eval()
    model = load_gguf(path)
    rotary = model.model.rotary_emb
    frequencies = rotary.inv_freq.clone()
    model.to(dtype)
    rotary.inv_freq = frequencies  # float in every type, as from_pretrained leaves them
    return model


def load_gguf(path):
    """A LlamaForCausalLM in float32."""
    reader = gguf.GGUFReader(path)
    if reader.fields["general.architecture"].contents() != "llama":
        raise SystemExit(f"{path}: only GGUF files of the llama architecture can be compared")
    config = _llama_config(reader.fields)
    heads = dict(attn_q=config.num_attention_heads, attn_k=config.num_key_value_heads)
    state = {}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        name = TOP.get(tensor.name)
        if name is None:
            _, layer, part, _ = tensor.name.split(".")
            if part in heads:
                values = _half_split(values, heads[part])
            name = f"model.layers.{layer}.{NAMES[part]}.weight"
        state[name] = torch.from_numpy(np.ascontiguousarray(values))
    config.tie_word_embeddings = "lm_head.weight" not in state
    if config.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model = transformers.LlamaForCausalLM(config).float().eval()
    model.load_state_dict(state, strict=True)
    return model


def peer(path, kind):
    """The model in bfloat16, or in float32 with its layers' matrices rounded to a GGUF type."""
    if kind == "bf16":
        return load(path, torch.bfloat16)
    type_ = gguf.GGMLQuantizationType[kind]
    model = load(path)
    for name, weight in model.named_parameters():
        if weight.dim() == 2 and ".layers." in name:
            packed = gguf.quants.quantize(weight.detach().numpy(), type_)
            weight.data = torch.from_numpy(gguf.quants.dequantize(packed, type_))
    return model


def rescale(model):
    """The same function by other weights: norms multiplied into the matrices behind them, and the
    channels between v and o, up and down scaled by 0.8 to 1.25 and back."""
    generator = torch.Generator().manual_seed(1)
    head_dim = model.config.hidden_size // model.config.num_attention_heads
    groups = model.config.num_attention_heads // model.config.num_key_value_heads
    factors = lambda n: 1.25 ** (2 * torch.rand(n, generator=generator) - 1)
    for layer in model.model.layers:
        attention, mlp = layer.self_attn, layer.mlp
        for norm, behind in ((layer.input_layernorm, (attention.q_proj, attention.k_proj,
                                                      attention.v_proj)),
                             (layer.post_attention_layernorm, (mlp.gate_proj, mlp.up_proj))):
            for matrix in behind:
                matrix.weight.data *= norm.weight.data
            norm.weight.data.fill_(1)
        by_channel = factors(attention.v_proj.weight.shape[0])
        attention.v_proj.weight.data *= by_channel[:, None]
        heads = by_channel.view(-1, 1, head_dim).expand(-1, groups, -1)
        attention.o_proj.weight.data /= heads.reshape(-1)
        by_channel = factors(mlp.up_proj.weight.shape[0])
        mlp.up_proj.weight.data *= by_channel[:, None]
        mlp.down_proj.weight.data /= by_channel
    return model


def bf16_folder(file, folder, rescaled):
    """A folder with the weights of a GGUF file in bfloat16 and its tokenizer, made when missing."""
    if not (folder / "tokenizer.json").exists():
        model = load_gguf(file)
        (rescale(model) if rescaled else model).to(torch.bfloat16).save_pretrained(folder)
        tokenizer(file).save_pretrained(folder)  # last: its file says that all is there
    return folder
