"""A Hugging Face Trainer: which of two people wrote a line? A tiny transformer from scratch, no download."""

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments, set_seed

LENGTH = 16


class Lines(torch.utils.data.Dataset):
    """Lines of letters: the second writer likes the later half of the alphabet."""

    def __init__(self, count, seed):
        generator = np.random.default_rng(seed)
        self.labels = generator.integers(0, 2, count)
        shift = 3 * self.labels[:, None]
        self.lines = 1 + generator.integers(0, 22, (count, LENGTH)) + shift

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, row):
        line = torch.as_tensor(self.lines[row])
        return {"input_ids": line, "labels": int(self.labels[row])}


def accuracy(evaluated):
    scores, labels = evaluated
    return {"accuracy": float((scores.argmax(1) == labels).mean())}


def train(lr=1e-3, weight_decay=0.01, epochs=3):
    set_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    model = BertForSequenceClassification(BertConfig(vocab_size=26, max_position_embeddings=LENGTH, **size))
    arguments = TrainingArguments(
        output_dir="out",
        num_train_epochs=epochs,
        learning_rate=lr,
        weight_decay=weight_decay,
        per_device_train_batch_size=32,
        eval_strategy="epoch",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=Lines(640, 1),
        eval_dataset=Lines(320, 2),
        compute_metrics=accuracy,
    )
    trainer.train()
    print(trainer.evaluate()["eval_accuracy"])


if __name__ == "__main__":
    train()
