"""``python3 -m assistant.tiny_model FILE``: write a tiny Llama with random weights, for tests and demonstrations.

Two layers, one token per byte, 0.5 MB: real inference in milliseconds, and text that is nonsense. The file is the
same, byte for byte, wherever it is made.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import gguf
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["write"]

_SEED = 20_24
_LAYERS, _WIDTH, _HEADS, _INNER = 2, 64, 4, 128
_CONTEXT_TOKENS = 131_072
_SPECIAL = (b"<unk>", b"<s>", b"</s>")
_BLANK = "▁".encode()  # this kind of tokenizer writes blanks so, which as bytes would be three tokens each
_VOCABULARY = len(_SPECIAL) + 256 + 1
_PRINTABLE = [*range(len(_SPECIAL) + 0x20, len(_SPECIAL) + 0x7F), _VOCABULARY - 1]
# Channel 0 carries a constant through all layers. Its weight in the output keeps everything but printable ASCII out of
# reach: bytes at random would not be UTF-8, and an end-of-text token at random would make lengths vary.
_CONSTANT, _BARRIER = 4.0, -40.0
_CHAT_TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: "


def write(path: Path) -> None:
    """Write the model as GGUF."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny-random")
    writer.add_description("Random weights: every answer is nonsense by design.")
    writer.add_context_length(_CONTEXT_TOKENS)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_INNER)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_tokenizer(writer)
    for name, values in _weights().items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: gguf.GGUFWriter) -> None:
    kinds = gguf.TokenType
    writer.add_vocab_size(_VOCABULARY)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([*_SPECIAL, *(f"<0x{byte:02X}>".encode() for byte in range(256)), _BLANK])
    writer.add_token_scores([0.0] * _VOCABULARY)
    writer.add_token_types([kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256, kinds.NORMAL])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(_CHAT_TEMPLATE)


def _weights() -> dict[str, NDArray[np.float32]]:
    random = np.random.default_rng(_SEED)

    def matrix(rows: int, columns: int) -> NDArray[np.float32]:
        return (random.standard_normal((rows, columns)) * 0.3).astype(np.float32)

    ones = np.ones(_WIDTH, np.float32)
    embedding, output = matrix(_VOCABULARY, _WIDTH), matrix(_VOCABULARY, _WIDTH)
    embedding[:, 0] = _CONSTANT
    output[:, 0] = _BARRIER
    output[_PRINTABLE, 0] = 0
    weights = {"token_embd.weight": embedding, "output.weight": output, "output_norm.weight": ones}
    for layer in range(_LAYERS):
        block = f"blk.{layer}."
        weights |= {block + "attn_norm.weight": ones, block + "ffn_norm.weight": ones}
        weights |= {f"{block}attn_{part}.weight": matrix(_WIDTH, _WIDTH) for part in ("q", "k", "v", "output")}
        weights |= {f"{block}ffn_{part}.weight": matrix(_INNER, _WIDTH) for part in ("gate", "up")}
        weights[block + "ffn_down.weight"] = matrix(_WIDTH, _INNER)
        # Layers must not write into the constant channel.
        weights[block + "attn_output.weight"][0] = 0
        weights[block + "ffn_down.weight"][0] = 0
    return weights


if __name__ == "__main__":
    write(Path(sys.argv[1]))
