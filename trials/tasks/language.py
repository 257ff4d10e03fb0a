"""A Transformer language model on any text: WikiText-103, WikiText-2, or files of your own.

The model guesses each token from those before it; its score is the perplexity, exp of the mean cross-entropy
of a token in nats. Source of the corpora: Merity et al. 2017, "Pointer Sentinel Mixture Models",
arXiv:1609.07843. Of the network: ``trials.models.transformer``. Of the optimiser: Loshchilov and Hutter 2019,
arXiv:1711.05101.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from asha_core.arguments import integer, one_of, true_or_false
from asha_core.errors import SettingError, TaskError
from asha_core.runtime.storage.paths import user_path
from asha_core.runtime.units import counted
from asha_core.space import Configuration, Float, SearchSpace
from trials.task import TestScore
from trials.torch_task.options import check_speed
from trials.torch_task.torch_task import TorchTask

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from trials.data.batches import Source

SPACE = SearchSpace(
    {
        "lr": Float(3e-4, 3e-2, log=True),
        "weight_decay": Float(1e-3, 0.5, log=True),
        "beta1": Float(0.8, 0.98),
        "one_minus_beta2": Float(1e-3, 0.1, log=True),
        # in steps, so that warm starts leave it alone: by its rate a drawn mask has no derivative
        "dropout": Float(0.0, 0.2, step=0.01),
        "label_smoothing": Float(0.0, 0.1),
    }
)
_LARGEST = 700.0  # nats; exp of more is no float
_SCORES = 2**22  # about so many outputs at once in a validation, 16 MiB


@dataclass(frozen=True, slots=True)
class Size:
    """A network, and the options that go with it where they are not given; as of ``Language``."""

    layers: int
    width: int
    heads: int
    context: int
    batch_size: int
    tokens_per_unit: int
    warmup_steps: int


MODELS = {
    "tiny": Size(4, 64, 4, 64, 8, 2**16, 50),
    "small": Size(6, 384, 6, 256, 32, 2**22, 500),
    "base": Size(12, 512, 8, 256, 32, 2**22, 500),
}


class Language(TorchTask):
    """Next-token prediction with a decoder-only Transformer and AdamW.

    Args:
        model: "tiny" (0.2 million parameters with bytes; for CPUs), "small" or "base" (17 and 46 million with
            16,000 byte pairs), which the next four may change.
        layers: blocks of attention and MLP.
        width: of a token; a multiple of ``heads``.
        heads: of attention.
        context: tokens in a window, which is one sample: what comes before it is not seen.
        data_dir: a folder of texts, or a text file: see ``trials.data.text_files``. None: the English
            documentation that comes with Python, about 700 kB.
        tokenizer: "bytes", or "bpe": byte pairs, learned from the training text.
        vocabulary: of byte pairs: how many tokens there are; 257 to 65,536.
        tokens_per_unit: training tokens in a unit of resource; what is over a whole mini-batch is left out.
        validation_tokens: of the validation text, from its beginning, that a validation takes; None: half as
            many as a unit has. The test text is taken whole.
        batch_size: windows a step.
        warmup_steps: in which the learning rate rises to its peak; 0: none. Then it falls on a cosine.
        compile, precision, deterministic: see ``TorchTask``.

    Weight decay is for matrices and tables of embeddings; biases and norms have none. The gradient is clipped
    to norm 1.
    """

    space = SPACE
    metric = "perplexity"
    mode = "min"
    unit = "unit"
    max_resource = 27
    max_grad_norm = 1.0

    def __init__(
        self,
        model: str = "tiny",
        data_dir: str | None = None,
        tokenizer: str = "bytes",
        vocabulary: int = 16_000,
        tokens_per_unit: int | None = None,
        validation_tokens: int | None = None,
        batch_size: int | None = None,
        context: int | None = None,
        layers: int | None = None,
        width: int | None = None,
        heads: int | None = None,
        warmup_steps: int | None = None,
        compile: str = "",
        precision: str = "auto",
        deterministic: bool = False,
    ) -> None:
        from trials.data.tokens import BYTES, TOKENIZERS

        size = MODELS[one_of("language model", model, MODELS)]

        def setting(name: str, value: int | None, least: int = 1) -> int:
            return integer(name, getattr(size, name) if value is None else value, least)

        self.data_dir = None if data_dir is None else user_path(data_dir, "data_dir")
        self.tokenizer = one_of("tokenizer", tokenizer, TOKENIZERS)
        if vocabulary != 16_000 and self.tokenizer == "bytes":
            raise SettingError(
                f"vocabulary is {vocabulary}, and tokens are bytes, of which there are {BYTES}: give "
                "tokenizer=bpe with it"
            )
        # not 256: byte pairs are single bytes and at least one pair
        self.vocabulary = integer("vocabulary", vocabulary, BYTES + 1, 2**16)
        self.context, self.layers = setting("context", context), setting("layers", layers)
        self.width, self.heads = setting("width", width), setting("heads", heads)
        if self.width % self.heads:
            raise SettingError(
                f"width is {self.width}, and heads {self.heads}: it must be a multiple of heads"
            )
        self.batch_size = setting("batch_size", batch_size)
        self.tokens_per_unit = setting("tokens_per_unit", tokens_per_unit)
        self._outputs = BYTES if self.tokenizer == "bytes" else self.vocabulary
        self.eval_batch_size = max(self.batch_size, _SCORES // (self._outputs * self.context))
        least = self.batch_size * self.context
        if self.tokens_per_unit < least:
            raise SettingError(
                f"tokens_per_unit is {self.tokens_per_unit}: a unit must have at least one mini-batch, "
                f"{self.batch_size} windows of {self.context} tokens, which are {least}"
            )
        self.samples_per_unit = self.tokens_per_unit // self.context
        wanted = (
            max(self.tokens_per_unit // 2, self.context) if validation_tokens is None else validation_tokens
        )
        self.validation_tokens = integer("validation_tokens", wanted, self.context)
        self.warmup_steps = setting("warmup_steps", warmup_steps, 0)
        check_speed(compile, precision)
        self.compile, self.precision = compile, precision
        self.deterministic = true_or_false("deterministic", deterministic)
        self._tokens: dict[str, Any] | None = None

    def plan_notes(self) -> list[str]:
        """Which text it is, where none was named."""
        if self.data_dir is not None:
            return []
        return [
            "language: no --data-dir, so the text is the English documentation that comes with Python "
            "(pydoc_data.topics)"
        ]

    def prepare(self) -> None:
        """Read the text, encode it if that was not done before, and check that there is enough."""
        for part, tokens in self._read().items():
            if len(tokens) <= self.context:
                where = "Python's documentation" if self.data_dir is None else self.data_dir
                raise TaskError(
                    f"language: the {part} text of {where} has {counted(len(tokens), 'token')}, and "
                    f"context is {self.context}: it must have at least one more; "
                    "take more text, or a shorter context"
                )
        self._tokens = None

    def model(self, config: Configuration) -> nn.Module:
        """The network, freshly initialised."""
        from trials.models.transformer import Shape, Transformer

        return Transformer(
            Shape(self._outputs, self.context, self.layers, self.width, self.heads, config["dropout"])
        )

    def data(self) -> tuple[Source, Source]:
        """(N, context) windows, and of each position the token that follows."""
        tokens = self._read()
        return self._windows(tokens["training"]), self._windows(
            tokens["validation"][: self.validation_tokens + 1]
        )

    def test_data(self) -> Source:
        """The same of the whole test text."""
        return self._windows(self._read()["test"])

    def _read(self) -> dict[str, Any]:
        from trials.data.tokens import read_tokens

        if self._tokens is None:
            self._tokens = read_tokens(self.data_dir, self.tokenizer, self.vocabulary)
        return self._tokens

    def _windows(self, tokens: Any) -> tuple[Tensor, Tensor]:
        """Two views of the same memory, one token apart; the last window that is not full is left out."""
        import torch

        line = torch.from_numpy(tokens)
        used = (len(line) - 1) // self.context * self.context
        return line[:used].view(-1, self.context), line[1 : used + 1].view(-1, self.context)

    def normalize(self, inputs: Tensor) -> Tensor:
        """(B, T) of any integers -> int32."""
        return inputs.int()

    def criterion(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean cross-entropy of a token, nats: (B, T, V) scores and (B, T) tokens."""
        return _cross_entropy(outputs, targets, 0.0)

    def loss(self, outputs: Tensor, targets: Tensor, config: Configuration) -> Tensor:
        """The same with ``label_smoothing``."""
        return _cross_entropy(outputs, targets, config["label_smoothing"])

    def score_from(self, sums: Any, loss: float) -> float:
        """The perplexity of a token."""
        return math.inf if loss > _LARGEST else math.exp(loss)

    def measure_test(self, model: nn.Module, config: Configuration, device: str) -> TestScore:
        """As in a validation, on the whole test text."""
        found = super().measure_test(model, config, device)
        return replace(found, count=found.count * self.context, what="token")

    def param_groups(self, model: nn.Module, config: Configuration) -> list[dict[str, Any]]:
        """Matrices and tables, which decay; and biases and norms, which do not."""
        from trials.models.transformer import decayed

        matrices, others = decayed(model)
        return [
            {"params": matrices, "weight_decay": config["weight_decay"]},
            {"params": others, "weight_decay": 0.0},
        ]

    def optimizer(self, parameters: Any, config: Configuration) -> torch.optim.Optimizer:
        """AdamW."""
        import torch

        betas = (config["beta1"], 1.0 - config["one_minus_beta2"])
        return torch.optim.AdamW(parameters, lr=config["lr"], betas=betas)

    def lr_lambda(self, step: int, progress: float, config: Configuration) -> float:
        """A linear warm-up, and the cosine."""
        return min(1.0, (step + 1) / max(self.warmup_steps, 1)) * self.schedule(progress)

    def __getstate__(self) -> dict[str, Any]:
        """Pickled without the text."""
        return {**super().__getstate__(), "_tokens": None}


def _cross_entropy(outputs: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    from torch.nn.functional import cross_entropy

    return cross_entropy(outputs.flatten(0, 1), targets.flatten().long(), label_smoothing=smoothing)
