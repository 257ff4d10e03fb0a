"""Checkpoints: written, read, and turned back into models."""

from __future__ import annotations

from trials.checkpoints.files import load_checkpoint, save_checkpoint

__all__ = ["load_checkpoint", "save_checkpoint"]
