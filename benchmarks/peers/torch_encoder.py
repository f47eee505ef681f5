"""Computes vectors with PyTorch and transformers for the race: one JSON request a line, one JSON answer a line.

    python torch_encoder.py MODEL_DIRECTORY fp32|bf16|cuda-bf16 THREADS

Texts are sorted by length and computed in batches of one size, padded to the longest of their batch or, on a GPU, also
packed one after the other for flash attention over variable lengths; `prepare` tries the sizes, on a GPU also
torch.compile, and keeps the fastest.
"""

import json
import sys
import time

import torch
import transformers
from transformers import AutoModel, AutoTokenizer

SIZES = (1, 2, 4, 8, 16, 32)
DEVICE_SIZES = (16, 64, 256, 1024)
TRIES = 2


def varlen(module, query, key, value, attention_mask, scaling=None, cu_seq_lens_q=None, max_length_q=None, **others):
    """Attention within each text of a packed batch; query, key, value (1, heads, tokens, size)."""
    from torch.nn.attention.varlen import varlen_attn

    query, key, value = (each[0].transpose(0, 1) for each in (query, key, value))
    context = varlen_attn(
        query, key, value, cu_seq_lens_q, cu_seq_lens_q, max_length_q, max_length_q, scale=scaling
    )
    return context[None], None


class Encoder:
    def __init__(self, directory, precision, threads):
        torch.set_num_threads(threads)
        self.device = "cuda" if precision.startswith("cuda-") else "cpu"
        kind = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision.split("-")[-1]]
        self.tokenizer = AutoTokenizer.from_pretrained(directory)
        model = AutoModel.from_pretrained(directory, dtype=kind, attn_implementation="sdpa", add_pooling_layer=False)
        self.plain = model.eval().to(self.device)
        self.models = {"eager": self.plain}
        if self.device == "cuda":
            self.models["compiled"] = torch.compile(self.plain, dynamic=True)
            transformers.AttentionInterface.register("varlen", varlen)
            packed = AutoModel.from_pretrained(directory, dtype=kind, attn_implementation="varlen", add_pooling_layer=False)
            packed = packed.eval().to(self.device)
            self.models["packed"] = packed
            self.models["packed compiled"] = torch.compile(packed, dynamic=True)
        self.kind = "eager"
        where = torch.cuda.get_device_name() if self.device == "cuda" else f"{threads} thread" + ("s" if threads > 1 else "")
        self.name = f"torch {torch.__version__} {precision}, {where}"
        self.size = 8
        self.tuned = {}

    def setting(self):
        return f"{self.name}, {self.kind}, batches of {self.size}"

    def compute(self, texts, ids):
        if texts is not None:
            ids = self.tokenizer(texts)["input_ids"]
        order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
        rows = []
        model = self.models[self.kind]
        with torch.inference_mode():
            for first in range(0, len(order), self.size):
                batch = order[first : first + self.size]
                pooled = self.packed if self.kind.startswith("packed") else self.padded
                rows.append(torch.nn.functional.normalize(pooled(model, [ids[i] for i in batch])))
            # One copy for all: a copy waits for the device.
            rows = torch.cat(rows).cpu()
        vectors = [None] * len(ids)
        for i, vector in zip(order, rows):
            vectors[i] = vector
        return vectors

    def padded(self, model, ids):
        longest = len(ids[0])
        words = torch.tensor([each + [0] * (longest - len(each)) for each in ids])
        lengths = torch.tensor([len(each) for each in ids])
        real = torch.arange(longest)[None, :] < lengths[:, None]
        # Without padding no mask is given: the attention without one is faster.
        mask = None if bool(real.all()) else real.long().to(self.device, non_blocking=True)
        real = real.to(self.device, non_blocking=True)
        words = words.to(self.device, non_blocking=True)
        hidden = model(input_ids=words, attention_mask=mask).last_hidden_state
        return (hidden * real[:, :, None]).sum(1).float()

    def packed(self, model, ids):
        lengths = torch.tensor([len(each) for each in ids])
        ends = lengths.cumsum(0)
        words = torch.tensor([word for each in ids for word in each]).to(self.device, non_blocking=True)
        texts = torch.repeat_interleave(torch.arange(len(ids)), lengths)
        positions = torch.arange(int(ends[-1])) - (ends - lengths)[texts]
        starts = torch.nn.functional.pad(ends, (1, 0)).int()
        hidden = model(
            input_ids=words[None],
            position_ids=positions[None].to(self.device, non_blocking=True),
            cu_seq_lens_q=starts.to(self.device, non_blocking=True),
            max_length_q=len(ids[0]),
        ).last_hidden_state[0]
        sums = torch.zeros(len(ids), hidden.shape[1], device=self.device)
        return sums.index_add_(0, texts.to(self.device, non_blocking=True), hidden.float())

    def prepare(self, request):
        self.ids = request["ids"]
        self.texts = request["texts"] if request["from_strings"] else None
        lengths = tuple(map(len, self.ids))
        if lengths not in self.tuned:
            self.tuned[lengths] = self.fastest(len(self.ids))
        self.kind, self.size = self.tuned[lengths]

    def fastest(self, texts):
        sizes = [1] if texts == 1 else DEVICE_SIZES if self.device == "cuda" else SIZES
        times = {}
        for kind in self.models:
            try:
                for size in list(sizes) * TRIES:
                    self.kind, self.size = kind, size
                    began = time.perf_counter()
                    self.compute(None, self.ids)
                    spent = time.perf_counter() - began
                    times[kind, size] = min(times.get((kind, size), float("inf")), spent)
            except Exception as e:
                print(f"torch, {kind}: {e}", file=sys.stderr)
        return min(times, key=times.get)

    def answer(self, request):
        match request["do"]:
            case "prepare":
                self.prepare(request)
                return {"setting": self.setting()}
            case "run":
                self.vectors = self.compute(self.texts, self.ids)
                return {}
            case "vectors":
                return {"vectors": [vector.tolist() for vector in self.vectors]}


transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
encoder = Encoder(sys.argv[1], sys.argv[2], int(sys.argv[3]))
print(json.dumps({"setting": encoder.setting()}), flush=True)
for line in sys.stdin:
    print(json.dumps(encoder.answer(json.loads(line))), flush=True)
