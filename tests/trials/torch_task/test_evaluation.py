"""How many samples are measured at once."""

import torch

from trials.data.batches import Batches
from trials.torch_task.acceleration import heldout_batch


def test_a_cpu_measures_as_many_small_samples_at_once_as_make_one_batch_of_images() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert heldout_batch(1024, cpu, 3 * 32 * 32) == 128
    assert heldout_batch(1024, cpu, 14) == 1024
    assert heldout_batch(1024, cpu, 10**9) == 1
    assert heldout_batch(1024, gpu, 3 * 32 * 32) == 1024


def test_a_sample_has_the_numbers_of_its_largest_tensor() -> None:
    rows = Batches((torch.zeros(5, 2), torch.zeros(5, 3, 4), torch.zeros(5)), "cpu")
    assert rows.numbers == 12
