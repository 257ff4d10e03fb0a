"""A language model of characters as a task: an LSTM, and a small transformer.

    python examples/tasks/language_model.py                     # an LSTM, on a text that is made up here
    python examples/tasks/language_model.py --text book.txt     # on a text of yours

What a recurrent network and a transformer need of ``TorchTask``: batches that are dictionaries, a network
that returns more than its outputs, a loss with places that do not count, clipped gradients; and for the
transformer the gradients of several batches a step, an average of the weights, a warm-up, and no weight decay
on biases.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from asha_core import ASHA, Choice, Float, SearchSpace, tune
from trials import TorchTask

LETTERS = 128  # ASCII
UNKNOWN = -100  # a target that does not count


def made_up(words: int) -> str:
    """A text with something to learn: words of a made-up language, in a made-up order."""
    generator = torch.Generator().manual_seed(0)
    known = ["lo", "mira", "tens", "ask", "veri", "ogu"]
    word, found = 0, []
    for step in torch.randint(0, 2, (words,), generator=generator).tolist():
        word = (2 * word + step + 1) % len(known)
        found.append(known[word])
    return " ".join(found)


class Recurrent(nn.Module):
    """An LSTM; it returns its hidden state beside the scores of the next letter."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.embed = nn.Embedding(LETTERS, width)
        self.cell = nn.LSTM(width, width, batch_first=True)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, LETTERS))

    def forward(self, letters):  # (N, L) -> (N, L, LETTERS)
        outputs, hidden = self.cell(self.embed(letters))
        return self.head(outputs), hidden


class LSTM(TorchTask):
    """Perplexity of the next letter, the lower the better."""

    space = SearchSpace(
        {
            "lr": Float(1e-3, 1e-1, log=True),
            "dropout": Float(0.0, 0.5),
            "width": Choice([16, 32]),
            "batch_size": Choice([16, 64]),  # of training, and of the warm start
        }
    )
    metric, mode = "perplexity", "min"
    max_resource = 9
    max_grad_norm = 0.5  # what keeps a recurrent network's gradients from exploding

    def __init__(self, text: str = "", length: int = 24) -> None:
        self.text, self.length = text, length

    def model(self, config):
        return Recurrent(config["width"], config["dropout"])

    def data(self):
        text = Path(self.text).read_text() if self.text else made_up(800)
        codes = torch.tensor([min(ord(letter), LETTERS - 1) for letter in text])
        rows = codes[: len(codes) // self.length * self.length].view(-1, self.length)
        labels = rows.roll(-1, 1)
        labels[:, -1] = UNKNOWN  # the letter after the row's last one is not in it
        cut = len(rows) * 9 // 10
        return (
            {"letters": rows[:cut], "labels": labels[:cut]},
            {"letters": rows[cut:], "labels": labels[cut:]},
        )

    def optimizer(self, parameters, config):
        return torch.optim.AdamW(parameters, lr=config["lr"])

    # the loss, said once: training, validation and the warm start take it
    def criterion(self, outputs, targets):
        scores, _ = outputs
        return cross_entropy(scores.flatten(0, 1), targets.flatten(), ignore_index=UNKNOWN)

    def batch_weight(self, targets):
        return (targets != UNKNOWN).sum()  # the criterion is a mean over so many letters

    def score_from(self, sums, loss):
        return math.exp(loss)


class Attention(nn.Module):
    """Two layers of a decoder-only transformer."""

    def __init__(self, width: int, dropout: float, length: int) -> None:
        super().__init__()
        self.embed, self.places = nn.Embedding(LETTERS, width), nn.Embedding(length, width)
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, LETTERS)

    def forward(self, letters):
        length = letters.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length, device=letters.device)
        x = self.embed(letters) + self.places.weight[:length]
        return self.head(self.layers(x, mask=mask, is_causal=True)), None


class Transformer(LSTM):
    """The same text, loss and metric, and what transformers are trained with."""

    gradient_accumulation_steps = 2  # a step of the optimiser sees two batches
    ema_decay = 0.99  # the average of the weights is what is validated and kept

    def model(self, config):
        return Attention(config["width"], config["dropout"], self.length)

    def param_groups(self, model, config):
        decayed = [p for p in model.parameters() if p.ndim > 1]
        others = [p for p in model.parameters() if p.ndim <= 1]  # biases and layer norms
        return [{"params": decayed}, {"params": others, "weight_decay": 0.0}]

    def lr_lambda(self, step, progress, config):
        return min(1.0, (step + 1) / 10) * self.schedule(progress)  # a warm-up, then the cosine


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", default="", help="a file; without it a text is made up")
    parser.add_argument("--network", default="lstm", choices=["lstm", "transformer"])
    parser.add_argument("--trials", type=int, default=9)
    parser.add_argument("--gpus", default="inline")
    parser.add_argument("--results-dir", default=None)
    options = parser.parse_args()
    task = (LSTM if options.network == "lstm" else Transformer)(text=options.text)
    scheduler = ASHA(task.space, max_resource=9, max_trials=options.trials, mode="min")
    result = tune(
        task,
        scheduler,
        variation="ohgw-1step",
        gpus=options.gpus,
        results_dir=options.results_dir,
    )
    print(f"perplexity {result.best_value:.3f} with {dict(result.best_configuration)}")


if __name__ == "__main__":
    main()
