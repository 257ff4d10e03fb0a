"""RandAugment with a continuous magnitude: its operations are torchvision's, its draws are as promised."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor
from torchvision.transforms.autoaugment import RandAugment, _apply_op
from torchvision.transforms.functional import InterpolationMode

from tests.trials.data.augmenting import cifar_augment, one_operation, patches, seeded
from trials.data import rand_augment as module
from trials.data.augmentation import random_crop_flip
from trials.data.rand_augment import OPERATIONS, apply_operations, rand_augment

# PyTorch 2.15 warns of its own code when a process first uses forward mode
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:FutureWarning")

TORCHVISION = {
    "identity": "Identity",
    "rotate": "Rotate",
    "shear-x": "ShearX",
    "shear-y": "ShearY",
    "translate-x": "TranslateX",
    "translate-y": "TranslateY",
    "brightness": "Brightness",
    "saturation": "Color",
    "contrast": "Contrast",
    "sharpness": "Sharpness",
}


def maximum(name: str, height: int, width: int) -> float:
    """Torchvision's, at the last bin of its table."""
    table: dict[str, tuple[Tensor, bool]] = RandAugment()._augmentation_space(31, (height, width))
    magnitudes = table[TORCHVISION[name]][0]
    return float(magnitudes[-1]) if magnitudes.ndim else 0.0


@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 40)])
@pytest.mark.parametrize("share", [0.1, 0.37, 1.0, -0.1, -0.37, -1.0])
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_is_torchvisions(name: str, share: float, height: int, width: int) -> None:
    images = patches(6, height, width)
    most = maximum(name, height, width)
    amount = share * most
    if name.startswith("translate"):
        amount = int(amount)  # torchvision moves by whole pixels alone
    strength = amount / most if most else share
    theirs = _apply_op(images / 255, TORCHVISION[name], amount, InterpolationMode.BILINEAR, fill=None) * 255
    ours = one_operation(name, images, strength)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-3)  # of 255; the table's maxima are float32
    in_single = one_operation(name, images.float(), strength)
    assert torch.allclose(in_single.double(), theirs, rtol=0, atol=1e-2)  # of 255
    if name != "identity":
        assert (ours - images).abs().mean() > 0.1


def test_grey_images_have_no_saturation_and_others_than_grey_and_colour_are_refused() -> None:
    grey = patches(4)[:, :1]
    assert torch.equal(one_operation("saturation", grey, 1.0), grey)
    contrast = _apply_op(grey / 255, "Contrast", 0.9, InterpolationMode.BILINEAR, fill=None) * 255
    assert torch.allclose(one_operation("contrast", grey, 1.0), contrast, atol=1e-9)
    with pytest.raises(ValueError, match="2 channels"):
        rand_augment(patches(4)[:, :2], 0.5, torch.Generator())


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("name", OPERATIONS)
def test_tiny_images_and_empty_batches_pass(name: str, size: int) -> None:
    images = patches(3)[:, :, :size, :size]
    assert one_operation(name, images, 0.7).shape == images.shape
    assert one_operation(name, images[:0], 0.7).shape == (0, 3, size, size)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nothing_changes_at_zero_bit_for_bit(dtype: torch.dtype) -> None:
    images = patches(64, dtype=dtype)
    assert torch.equal(seeded(images, 0.0), images)
    assert torch.equal(seeded(images, torch.tensor(0.0)), images)
    assert torch.equal(seeded(images, torch.tensor(0.0, requires_grad=True)), images)
    value, _ = torch.func.jvp(lambda m: seeded(images, m), (torch.tensor(0.0),), (torch.tensor(1.0),))
    assert torch.equal(value, images)
    for name in OPERATIONS:
        assert torch.equal(one_operation(name, images, 0.0), images)


def test_a_tensor_gives_what_the_number_gives() -> None:
    images = patches(32, dtype=torch.float32)
    for magnitude in (0.25, 1.0):  # the same in both precisions
        assert torch.equal(seeded(images, magnitude), seeded(images, torch.tensor(magnitude)))
        assert seeded(images, torch.tensor(magnitude, dtype=torch.float64)).dtype == torch.float32


def test_draws_do_not_depend_on_the_magnitude() -> None:
    images = patches(200, dtype=torch.float32)
    states, untouched = [], []
    for magnitude in (0.0, 0.3, 1.0, torch.tensor(0.0), torch.tensor(0.3)):
        generator = torch.Generator().manual_seed(3)
        out = rand_augment(images, magnitude, generator)
        states.append(generator.get_state())
        untouched.append([torch.equal(a, b) for a, b in zip(out, images, strict=True)])
    assert all(torch.equal(state, states[0]) for state in states)
    assert untouched[0] == [True] * 200
    assert untouched[1] == untouched[2] == untouched[4]  # those that drew "identity" twice
    assert 0 < sum(untouched[1]) < 20


def test_operations_and_signs_are_drawn_uniformly(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[Tensor, Tensor]] = []

    def record(images: Tensor, kinds: Tensor, strengths: Tensor) -> Tensor:
        drawn.append((kinds, strengths))
        return images

    monkeypatch.setattr(module, "apply_operations", record)
    rand_augment(torch.zeros(40_000, 1, 1, 1), 0.25, torch.Generator().manual_seed(0))
    (first, signs), (second, others) = drawn
    assert torch.cat([signs, others]).unique().tolist() == [-0.25, 0.25]
    # 400 cells: the first operation and its sign, the second and its
    cells = ((first * 10 + second) * 2 + (signs > 0)) * 2 + (others > 0)
    assert chisquare(torch.bincount(cells, minlength=400).numpy()).pvalue > 1e-3
    drawn.clear()
    rand_augment(torch.zeros(5, 1, 1, 1), 0.25, torch.Generator(), operations=3)
    assert len(drawn) == 3


def test_images_of_a_batch_do_not_touch_each_other() -> None:
    images = patches(16)
    others = images.flip(3)
    others[5] = images[5]
    assert torch.equal(seeded(others, 0.6)[5], seeded(images, 0.6)[5])
    kinds = torch.arange(16) % len(OPERATIONS)
    strengths = torch.linspace(-1, 1, 16, dtype=torch.float64)
    together = apply_operations(images, kinds, strengths)
    for index in range(16):
        one = slice(index, index + 1)
        alone = apply_operations(images[one], kinds[one], strengths[one])
        assert torch.allclose(together[one], alone, rtol=0, atol=1e-9)


def test_integers_are_refused() -> None:
    with pytest.raises(TypeError, match=r"not torch\.uint8: use images\.float\(\)"):
        rand_augment(patches(2, dtype=torch.uint8), 0.5, torch.Generator())


def test_cifar_crops_flips_and_augments_bytes() -> None:
    images = patches(12, dtype=torch.uint8)
    cropped = random_crop_flip(images, 4, torch.Generator().manual_seed(1))
    assert torch.equal(cifar_augment(images, 0.0), cropped.float())
    out = cifar_augment(images, 0.8)
    assert out.dtype == torch.float32
    assert 0 <= out.min() <= out.max() <= 255


def test_on_a_gpu_and_on_a_cpu_the_same_is_done() -> None:
    """A GPU has every operation done to all images, and each image keeps its own: values and derivatives."""
    images = patches(60)
    kinds = torch.arange(60) % len(OPERATIONS)
    group = torch.stack([kinds >= first for first in module._FIRST]).sum(0)

    def both(strength: torch.Tensor) -> list[torch.Tensor]:
        strengths = torch.linspace(-1, 1, 60, dtype=torch.float64) * strength
        ways = (module._sorted, module._masked)
        return [way(images, kinds, strengths, group) for way in ways]

    strength = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    apart, together = both(strength)
    assert torch.allclose(apart, together, rtol=0, atol=1e-9)
    slopes = [
        torch.autograd.grad(way.pow(2).mean(), strength, retain_graph=True)[0] for way in (apart, together)
    ]
    assert slopes[0] != 0
    assert torch.allclose(*slopes, rtol=1e-9)
