"""A metric whose name says the opposite of its mode: a search for the worst is a search lost."""

from __future__ import annotations

import re

# words of names, in small letters
_LOWER = re.compile(
    "loss(es)?|err(or)?s?|perplexity|ppl|r?m[sa]e|mape|rmsl?e|rmsd|nll|log_?loss|(cross)?entropy|deviance|regret|"
    "wer|cer|fid|brier|ece|bpc|bpb|latency"
)
_HIGHER = re.compile(
    "acc(uracy)?|auc|auroc|auprc|f1|recall|precision|bleu|rouge|rewards?|returns?|r2|m?iou|dice|psnr|ssim|"
    "throughput|top1|top5"
)
_NEGATED = re.compile("neg(ated|ative)?|minus|inver(se|ted)")
_WORD = re.compile("[A-Z]?[a-z]+[0-9]*|[A-Z]+(?![a-z])[0-9]*")


def mode_warning(metric: str, mode: str) -> str:
    """A warning if better values of a metric would be worse ones by its name; else nothing."""
    words = [word.lower() for word in _WORD.findall(metric)]
    lower, higher = any(map(_LOWER.fullmatch, words)), any(map(_HIGHER.fullmatch, words))
    if lower == higher or any(map(_NEGATED.fullmatch, words)) or metric.lstrip().startswith("-"):
        return ""
    if (mode == "max") == higher:
        return ""
    better, other = ("higher", "min") if mode == "max" else ("lower", "max")
    return (
        f"warning: the search takes {better} values of {metric} for better, and its name says the opposite; "
        f'if that is not meant, give mode="{other}" (to the scheduler, or to a task of your own)'
    )
