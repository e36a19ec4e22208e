"""llama.cpp's own server with a model of random weights, which it writes first: 140 KB, a token a byte.

Arguments: a folder; `embeddings` for a server of embeddings. Prints its address, and ends with its standard input.
"""

import os
import sys

import gguf
import numpy
import xllamacpp

width, heads, hidden, context = 32, 2, 64, 512


def write_model(path):
    random = numpy.random.default_rng(7)
    texts = [b"<unk>", b"<s>", b"</s>"] + [b"<0x%02X>" % byte for byte in range(256)]
    types = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL] + [gguf.TokenType.BYTE] * 256
    # Letters have tokens of their own, and so has a space.
    letters = [chr(code).encode() for code in range(33, 127)] + ["\u2581".encode()]
    texts += letters
    types += [gguf.TokenType.NORMAL] * len(letters)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(len(texts))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(texts)
    writer.add_token_scores([-float(at) for at in range(len(texts))])
    writer.add_token_types(types)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}")

    def add(name, *shape):
        writer.add_tensor(name, random.standard_normal(shape).astype(numpy.float32) * 0.05)

    ones = numpy.ones(width, numpy.float32)
    add("token_embd.weight", len(texts), width)
    add("output.weight", len(texts), width)
    writer.add_tensor("output_norm.weight", ones)
    writer.add_tensor("blk.0.attn_norm.weight", ones)
    writer.add_tensor("blk.0.ffn_norm.weight", ones)
    for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
        add(f"blk.0.{part}.weight", width, width)
    add("blk.0.ffn_gate.weight", hidden, width)
    add("blk.0.ffn_up.weight", hidden, width)
    add("blk.0.ffn_down.weight", width, hidden)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


path = os.path.join(sys.argv[1], "tiny.gguf")
write_model(path)
settings = xllamacpp.CommonParams()
settings.model.path = path
settings.hostnames = ["127.0.0.1"]
settings.port = 0
settings.n_ctx = context
settings.n_parallel = 1
settings.warmup = False
settings.cpuparams.n_threads = 1
settings.n_threads_http = 8
if sys.argv[2:] == ["embeddings"]:
    settings.embedding = True
    settings.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
server = xllamacpp.Server(settings)
print(server.listening_address, flush=True)
sys.stdin.read()
# Its threads are not asked: nothing of it is worth a tidy end.
os._exit(0)
