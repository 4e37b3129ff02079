# tests/engine/vision/golden_files.py
# SPDX-License-Identifier: MIT
#
# What make_model wrote, as float32, and a language model of it as transformers names it.
import gguf
import numpy
import torch
import transformers


class File:
    """A GGUF file: keys as Python values, tensors as float32."""

    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.keys = {name: field.contents() for name, field in reader.fields.items()}
        self.tensors = {
            tensor.name: torch.from_numpy(
                numpy.array(
                    gguf.quants.dequantize(tensor.data, tensor.tensor_type),
                    dtype=numpy.float32,
                )
            )
            for tensor in reader.tensors
        }

    def vision(self, key):
        return self.keys["clip.vision." + key]


def unpermute(weight, heads):
    """llama's order of rows, pairs side by side, to that of two halves."""
    shape = weight.shape
    return (
        weight.reshape(heads, shape[0] // heads // 2, 2, *shape[1:])
        .swapaxes(1, 2)
        .reshape(shape)
    )


def rows_of(features):
    """All pictures' or tiles' embeddings, one below the other."""
    return torch.cat([part.reshape(-1, part.shape[-1]) for part in features])


def load(module, weights, may_lack=()):
    """Loads all weights; what the module has beyond them must be in may_lack."""
    missing, unexpected = module.load_state_dict(weights, strict=False)
    missing = [name for name in missing if not any(part in name for part in may_lack)]
    if missing or unexpected:
        raise SystemExit(f"missing {missing}, unexpected {unexpected}")
    return module.eval()


LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
GEMMA_NAMES = LAYER_NAMES | {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
LFM_NAMES = LAYER_NAMES | {
    "attn_norm": "operator_norm",
    "attn_output": "self_attn.out_proj",
    "attn_q_norm": "self_attn.q_layernorm",
    "attn_k_norm": "self_attn.k_layernorm",
    "ffn_norm": "ffn_norm",
    "ffn_gate": "feed_forward.w1",
    "ffn_up": "feed_forward.w3",
    "ffn_down": "feed_forward.w2",
    "shortconv.in_proj": "conv.in_proj",
    "shortconv.out_proj": "conv.out_proj",
    "shortconv.conv": "conv.conv",
}


class Language:
    """A language model's configuration and weights, as transformers names them."""

    def __init__(self, file):
        self.file = file
        self.architecture = file.keys["general.architecture"]
        self.tokens = file.keys["tokenizer.ggml.tokens"]

    def key(self, name, default=None):
        return self.file.keys.get(f"{self.architecture}.{name}", default)

    def token(self, text):
        return self.tokens.index(text)

    def config(self):
        heads = self.key("attention.head_count")
        width = self.key("embedding_length")
        kv_heads = self.key("attention.head_count_kv", heads)
        rope = {"rope_type": "default", "rope_theta": self.key("rope.freq_base", 10000.0)}
        if self.key("rope.dimension_sections") is not None:
            rope["mrope_section"] = list(self.key("rope.dimension_sections"))[:3]
        result = {
            "vocab_size": len(self.tokens),
            "hidden_size": width,
            "intermediate_size": self.key("feed_forward_length"),
            "num_hidden_layers": self.key("block_count"),
            "num_attention_heads": heads if isinstance(heads, int) else max(heads),
            "num_key_value_heads": (
                kv_heads if isinstance(kv_heads, int) else max(kv_heads)
            ),
            "rms_norm_eps": self.key("attention.layer_norm_rms_epsilon"),
            "max_position_embeddings": self.key("context_length"),
            "rope_parameters": rope,
            "tie_word_embeddings": "output.weight" not in self.file.tensors,
            "bos_token_id": None,
            "eos_token_id": None,
            "pad_token_id": None,
        }
        head = self.key("attention.key_length", width // result["num_attention_heads"])
        if self.architecture in ("llama", "qwen3", "qwen3vl", "gemma3"):
            result["head_dim"] = head
        return getattr(self, "config_" + self.architecture)(result, head)

    def config_llama(self, config, _):
        return transformers.MistralConfig(**config, sliding_window=None)

    def config_qwen2(self, config, _):
        return transformers.Qwen2Config(**config)

    def config_qwen3(self, config, _):
        return transformers.Qwen3Config(**config)

    def config_qwen2vl(self, config, _):
        return config

    def config_qwen3vl(self, config, _):
        config["rope_parameters"]["mrope_interleaved"] = True
        return config

    def config_gemma3(self, config, head):
        theta = config.pop("rope_parameters")["rope_theta"]
        kinds = {
            "full_attention": {"rope_type": "default", "rope_theta": theta},
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
        }
        layers = range(config["num_hidden_layers"])
        return transformers.Gemma3TextConfig(
            **config,
            rope_parameters=kinds,
            query_pre_attn_scalar=head,
            sliding_window=self.key("attention.sliding_window"),
            layer_types=[
                "full_attention" if (i + 1) % 6 == 0 else "sliding_attention"
                for i in layers
            ],
        )

    def config_lfm2(self, config, _):
        config["norm_eps"] = config.pop("rms_norm_eps")
        kv_heads = self.key("attention.head_count_kv")
        return transformers.Lfm2Config(
            **config,
            conv_L_cache=self.key("shortconv.l_cache"),
            conv_bias=False,
            block_auto_adjust_ff_dim=False,
            layer_types=["full_attention" if n > 0 else "conv" for n in kv_heads],
        )

    def layer_weight(self, part, value):
        """A weight of a layer, converted back."""
        if self.architecture == "llama" and part.startswith(("attn_q.", "attn_k.")):
            count = "head_count" if part.startswith("attn_q.") else "head_count_kv"
            value = unpermute(value, self.key("attention." + count))
        if self.architecture == "gemma3" and "norm" in part:
            value = value - 1
        if part == "shortconv.conv.weight":
            value = value.unsqueeze(1)
        return value

    def weights(self, prefix):
        names = {"gemma3": GEMMA_NAMES, "lfm2": LFM_NAMES}.get(
            self.architecture, LAYER_NAMES
        )
        lfm = self.architecture == "lfm2"
        tensors = self.file.tensors
        result = {prefix + "embed_tokens.weight": tensors["token_embd.weight"]}
        result["lm_head.weight"] = tensors.get(
            "output.weight", tensors["token_embd.weight"]
        )
        for name, value in tensors.items():
            if name.startswith("blk."):
                _, layer, part = name.split(".", 2)
                base, end = part.rsplit(".", 1)
                target = f"{prefix}layers.{layer}.{names[base]}.{end}"
                result[target] = self.layer_weight(part, value)
        final = (
            "token_embd_norm.weight"
            if "token_embd_norm.weight" in tensors
            else "output_norm.weight"
        )
        result[prefix + ("embedding_norm.weight" if lfm else "norm.weight")] = (
            self.layer_weight("output_norm.weight", tensors[final])
        )
        return result
