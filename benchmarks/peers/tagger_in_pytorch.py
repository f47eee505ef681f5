"""The tagger of race-taggers.sh in PyTorch: trained word vectors, one bidirectional LSTM, softmax.

Usage: python tagger_in_pytorch.py TRAIN DEV [--threads N] [--epochs N]

Reads word-tab-tag files. Prints words per second of training (forward, backward, clipping, AdamW; the median epoch)
and of inference (arg-max tags of the dev part in batches sorted by length; the best batch size of five), and the dev
accuracy, which shows that it is the same network.
"""
import argparse, random, statistics, time
import torch
from torch.nn.utils.rnn import pack_sequence

parser = argparse.ArgumentParser()
parser.add_argument("train")
parser.add_argument("dev")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--epochs", type=int, default=4)
options = parser.parse_args()
torch.set_num_threads(options.threads)
torch.manual_seed(1)
random.seed(1)


def read(path):
    texts, words, tags = [], [], []
    for line in open(path, encoding="utf-8"):
        columns = line.rstrip("\n").split("\t")
        if len(columns) > 1:
            words.append(columns[0].lower())
            tags.append(columns[1])
        elif words and not line.strip():
            texts.append((words, tags))
            words, tags = [], []
    return texts + ([(words, tags)] if words else [])


train, dev = read(options.train), read(options.dev)
counts = {}
for words, _ in train:
    for word in words:
        counts[word] = counts.get(word, 0) + 1
vocabulary = {word: i + 1 for i, word in enumerate(w for w, n in counts.items() if n >= 2)}
labels = {tag: i for i, tag in enumerate(sorted({tag for _, tags in train for tag in tags}))}


def numbered(texts):
    return [
        (torch.tensor([vocabulary.get(w, 0) for w in words]), torch.tensor([labels.get(t, 0) for t in tags]))
        for words, tags in texts
    ]


class Tagger(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.vectors = torch.nn.Embedding(len(vocabulary) + 1, 100)
        self.lstm = torch.nn.LSTM(100, 128, bidirectional=True)
        self.head = torch.nn.Linear(256, len(labels))
        self.dropout = torch.nn.Dropout(0.3)

    def forward(self, words):
        packed = pack_sequence(words)  # longest first: no padding is computed
        inputs = self.dropout(self.vectors(packed.data))
        states, _ = self.lstm(packed._replace(data=inputs))
        return self.head(self.dropout(states.data))


def batches(texts, size):
    ordered = sorted(texts, key=lambda text: -len(text[0]))
    return [ordered[i : i + size] for i in range(0, len(ordered), size)]


train, dev = numbered(train), numbered(dev)
model = Tagger()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
speeds = []
for _ in range(options.epochs):
    model.train()
    shuffled = batches(train, 32)
    random.shuffle(shuffled)
    began = time.perf_counter()
    for batch in shuffled:
        expected = pack_sequence([tags for _, tags in batch]).data
        loss = torch.nn.functional.cross_entropy(model([words for words, _ in batch]), expected)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5)
        optimizer.step()
    speeds.append(sum(len(words) for words, _ in train) / (time.perf_counter() - began))
model.eval()
total = sum(len(words) for words, _ in dev)
fastest, right = 0, 0
with torch.inference_mode():
    for size in (8, 16, 32, 64, 128):
        times = []
        for _ in range(9):
            right, began = 0, time.perf_counter()
            for batch in batches(dev, size):
                found = model([words for words, _ in batch]).argmax(1)
                right += (found == pack_sequence([tags for _, tags in batch]).data).sum().item()
            times.append(time.perf_counter() - began)
        fastest = max(fastest, total / statistics.median(times))
print(
    f"torch {torch.__version__}, {options.threads} thread(s): training {statistics.median(speeds):,.0f} words/s, "
    f"inference {fastest:,.0f} words/s, dev accuracy {right / total:.4f}"
)
