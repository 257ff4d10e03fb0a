"""The networks of the image tasks: published sizes, shapes, weights, and what training asks of them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet50 as torchvision_resnet50

from asha_core.errors import SettingError
from trials.models import MODELS, build
from trials.models.resnet import BasicBlock, CifarResNet, resnet20
from trials.models.small import fashion_cnn

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script:FutureWarning")  # PyTorch's own, in jvp

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "models.md"

Form = tuple[str, int, int, int, dict[str, Any]]
# name, classes, channels, size, settings: each network in each of its forms, on images that cost little
FORMS: dict[str, Form] = {
    "small-cnn": ("small-cnn", 10, 1, 28, {}),
    "mlp": ("mlp", 10, 1, 28, {}),
    "small-cnn, odd": ("small-cnn", 10, 3, 19, {}),
    "resnet20": ("resnet20", 10, 3, 32, {}),
    "resnet20, grey": ("resnet20", 10, 1, 28, {}),
    "resnet20, odd": ("resnet20", 10, 3, 9, {"shortcut": "identity"}),
    "resnet20, projection": ("resnet20", 10, 3, 32, {"shortcut": "projection"}),
    "resnet20, projection, odd": ("resnet20", 10, 3, 9, {"shortcut": "projection"}),
    "resnet32": ("resnet32", 10, 3, 16, {}),
    "resnet44": ("resnet44", 10, 3, 16, {}),
    "resnet56": ("resnet56", 100, 3, 16, {}),
    "resnet110": ("resnet110", 10, 3, 8, {}),
    "resnet50, small": ("resnet50", 10, 3, 16, {}),
    "resnet50, large, grey": ("resnet50", 7, 1, 65, {}),
    "vit-tiny": ("vit-tiny", 10, 3, 16, {}),
    "vit-tiny, grey": ("vit-tiny", 10, 1, 28, {}),
    "vit-small": ("vit-small", 10, 3, 80, {}),
}

# of the same code as others, on another number of blocks or channels
ALIKE = (
    *("resnet32", "resnet44", "resnet56", "resnet20, grey", "resnet20, projection", "vit-tiny, grey"),
    *("vit-small", "resnet50, large, grey"),
)


def fresh(form: Form, device: str = "cpu") -> nn.Module:
    name, classes, channels, size, settings = form
    with torch.device(device):
        return build(name, classes=classes, channels=channels, size=size, **settings)


@dataclass
class Made:
    """A network, and two images with their classes. No weight is 0, so that every one has a gradient."""

    form: Form
    model: nn.Module
    images: Tensor
    targets: Tensor

    @classmethod
    def of(cls, form: Form) -> Made:
        torch.manual_seed(0)
        model = fresh(form)
        with torch.no_grad():
            for parameter in model.parameters():
                if not parameter.any():
                    parameter.normal_(std=0.02)
        return cls(form, model, torch.randn(2, form[2], form[3], form[3]), torch.randint(form[1], (2,)))

    def twin(self) -> nn.Module:
        """A network of the same form, with nothing in it yet but NaN, in eval mode."""
        other = fresh(self.form, "meta").to_empty(device="cpu").eval()
        with torch.no_grad():
            for each in (*other.parameters(), *other.buffers()):
                each.fill_(torch.nan if each.is_floating_point() else -1)
        return other


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(form, id=name, marks=[pytest.mark.slow] if name in ALIKE else [])
        for name, form in FORMS.items()
    ],
)
def made(request: pytest.FixtureRequest) -> Made:
    """One for all tests of a form: they leave its weights as they are."""
    return Made.of(request.param)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@cache
def on_meta(name: str, classes: int, channels: int, size: int, **settings: Any) -> tuple[int, int]:
    """(parameters, multiply-adds of one image), without a weight in memory."""
    with torch.device("meta"):
        model = build(name, classes=classes, channels=channels, size=size, **settings)
        image = torch.zeros(1, channels, size, size)
    with FlopCounterMode(display=False) as counter:
        model(image)
    return count(model), counter.get_total_flops() // 2


# -- sizes -----------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("resnet20", 0.27),
        ("resnet110", 1.7),
        *(
            pytest.param(*size, marks=pytest.mark.slow)
            for size in (("resnet32", 0.46), ("resnet44", 0.66), ("resnet56", 0.85))
        ),
    ],
)
def test_cifar_resnets_have_the_papers_sizes(name: str, millions: float) -> None:
    """He et al. 2016, arXiv:1512.03385, table 6; the layers are those that the name says."""
    parameters, _ = on_meta(name, 10, 3, 32)
    digits = len(str(millions).partition(".")[2])
    assert round(parameters / 1e6, digits) == millions
    with torch.device("meta"):
        model = build(name, classes=10, channels=3, size=32)
    layers = [each for each in model.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    assert len(layers) == int(name.removeprefix("resnet"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "size", "parameters", "billions"),
    [
        ("resnet50", 224, 25_557_032, 4.09),  # torchvision's documentation of ResNet50_Weights.IMAGENET1K_V1
        ("vit-small", 224, 22_050_664, 4.6),  # DeiT-S: n_parameters in its authors' training logs, and timm
    ],
)
def test_imagenet_networks_have_the_published_sizes(
    name: str, size: int, parameters: int, billions: float
) -> None:
    counted, multiply_adds = on_meta(name, 1000, 3, size)
    assert counted == parameters
    assert round(multiply_adds / 1e9, len(str(billions).partition(".")[2])) == billions


@pytest.mark.long
def test_the_small_form_of_resnet50_differs_from_torchvisions_in_its_ends_alone() -> None:
    large = 25_557_032 - 3 * 64 * 49 - (2048 + 1) * 1000
    assert on_meta("resnet50", 10, 3, 32)[0] == large + 3 * 64 * 9 + (2048 + 1) * 10
    assert on_meta("resnet50", 10, 3, 64)[0] == on_meta("resnet50", 10, 3, 32)[0]
    assert on_meta("resnet50", 10, 3, 65)[0] == large + 3 * 64 * 49 + (2048 + 1) * 10


def test_the_small_form_of_resnet50_keeps_the_resolution_up_to_its_second_stage() -> None:
    with torch.device("meta"):
        model = build("resnet50", classes=10, channels=3, size=32)
        shapes: dict[str, tuple[int, ...]] = {}
        for stage in range(1, 5):
            name = f"layer{stage}"
            model.get_submodule(name).register_forward_hook(
                lambda _module, _inputs, out, name=name: shapes.update({name: tuple(out.shape[1:])})
            )
        model(torch.zeros(2, 3, 32, 32))
    assert shapes == {
        "layer1": (256, 32, 32),
        "layer2": (512, 16, 16),
        "layer3": (1024, 8, 8),
        "layer4": (2048, 4, 4),
    }


def test_vit_tiny_is_counted_by_hand() -> None:
    width, mlp, layers, tokens, patch = 192, 768, 12, 65, 3 * 4 * 4
    attention = 4 * (width + 1) * width  # queries, keys, values, output
    block = attention + (width + 1) * mlp + (mlp + 1) * width + 2 * 2 * width  # and two layer norms
    ends = (patch + 1) * width + width + tokens * width + 2 * width + (width + 1) * 10
    parameters, multiply_adds = on_meta("vit-tiny", 10, 3, 32)
    assert parameters == layers * block + ends == 5_362_762
    products = tokens * (4 * width * width + 2 * width * mlp) + 2 * tokens * tokens * width
    assert multiply_adds == layers * products + 64 * patch * width + width * 10


def test_the_small_cnn_is_small() -> None:
    assert count(fashion_cnn()) < 100_000


# -- the page --------------------------------------------------------------------------------------


def rows(heading: str) -> list[list[str]]:
    section = PAGE.read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines[2:]]


@pytest.mark.parametrize("row", rows("Cost"), ids=lambda row: " ".join(row[:4]))
def test_the_pages_costs_are_the_networks_own(row: list[str]) -> None:
    name, shape, classes, settings, parameters, multiply_adds = (cell.strip("`") for cell in row)
    channels, size = (int(each) for each in shape.split(" x "))
    chosen = dict(each.split("=") for each in settings.split())
    counted = on_meta(name, int(classes), channels, size, **chosen)
    assert counted == (int(parameters.replace(",", "")), int(multiply_adds.replace(",", "")))


def test_the_page_has_every_network() -> None:
    costs = [row[0].strip("`") for row in rows("Cost")]
    assert set(costs) == set(MODELS)
    published = "\n".join(row[0] for row in rows("Published accuracy"))
    listed = re.findall(r"^\| (`.*?) \|", PAGE.read_text().partition("## Cost")[0], re.MULTILINE)
    for name in MODELS:
        assert f"`{name}`" in published
        assert any(f"`{name}`" in names for names in listed)


@pytest.mark.parametrize("name", ["resnet20", "resnet32"])
def test_the_pages_cost_of_projections_is_right(name: str) -> None:
    plain, projecting = on_meta(name, 10, 3, 32), on_meta(name, 10, 3, 32, shortcut="projection")
    more = [b - a for a, b in zip(plain, projecting, strict=True)]
    assert f"add {more[0]:,} parameters and {more[1]:,} multiply-adds (at 32 pixels)" in PAGE.read_text()


def test_the_pages_count_of_the_digits_networks_is_right() -> None:
    from trials.models.small import mlp, small_cnn

    assert f"`cnn` ({count(small_cnn()):,} parameters) and `mlp` ({count(mlp()):,})" in PAGE.read_text()


# -- shortcuts and weights -------------------------------------------------------------------------


def residual(block: BasicBlock, x: Tensor) -> Tensor:
    """What the block adds to its shortcut."""
    return block.bn2(block.conv2(functional.relu(block.bn1(block.conv1(x)))))


def test_option_a_takes_every_second_pixel_and_zeros_for_new_channels() -> None:
    torch.manual_seed(0)
    block = BasicBlock(4, 8, 2).eval()
    x = torch.randn(2, 4, 6, 6)
    shortcut = torch.zeros(2, 8, 3, 3)
    for channel in range(4):
        for i in range(3):
            for j in range(3):
                shortcut[:, channel + 2, i, j] = x[:, channel, 2 * i, 2 * j]
    assert torch.equal(block(x), functional.relu(shortcut + residual(block, x)))


def test_a_projection_is_a_1x1_convolution_with_stride_and_batch_norm() -> None:
    torch.manual_seed(0)
    block = BasicBlock(4, 8, 2, "projection").eval()
    assert block.projection is not None
    convolution, norm = block.projection
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 4, 6, 6)
    mixed = torch.einsum("oi,bihw->bohw", convolution.weight[:, :, 0, 0], x[:, :, ::2, ::2])
    mean, deviation = norm.running_mean[:, None, None], (norm.running_var[:, None, None] + norm.eps).sqrt()
    expected = functional.relu((mixed - mean) / deviation + residual(block, x))
    assert block(x).shape == (2, 8, 3, 3)
    assert torch.allclose(block(x), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["resnet20", "resnet32", "resnet110"])
def test_projections_are_two_whatever_the_depth(name: str) -> None:
    with torch.device("meta"):
        plain = build(name, classes=10, channels=3, size=32)
        model = build(name, classes=10, channels=3, size=32, shortcut="projection")
    projections = {key: p.shape for key, p in model.named_parameters() if ".projection." in key}
    assert sorted(shape for shape in projections.values() if len(shape) == 4) == [
        (32, 16, 1, 1),
        (64, 32, 1, 1),
    ]
    assert count(model) - count(plain) == 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert not [key for key in plain.state_dict() if "projection" in key]


def test_identity_shortcuts_draw_weights_layer_by_layer_and_nothing_else() -> None:
    """The order of the draws is part of what a seed means: earlier runs would not be repeated otherwise."""
    torch.manual_seed(5)
    model = resnet20()
    torch.manual_seed(5)
    widths = [(3, 16)] + 6 * [(16, 16)] + [(16, 32)] + 5 * [(32, 32)] + [(32, 64)] + 5 * [(64, 64)]
    layers: list[nn.Conv2d | nn.Linear] = [nn.Conv2d(*width, 3, bias=False) for width in widths]
    layers.append(nn.Linear(64, 10))
    for layer in layers:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    own = [each for each in model.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    assert len(own) == len(layers)
    for mine, theirs in zip(own, layers, strict=True):
        assert torch.equal(mine.weight, theirs.weight)
    torch.manual_seed(5)
    again = build("resnet20", classes=10, channels=3, size=32, shortcut="identity")
    assert all(map(torch.equal, model.state_dict().values(), again.state_dict().values()))


def test_weights_for_imagenet_are_torchvisions() -> None:
    torch.manual_seed(1)
    ours = build("resnet50", classes=20, channels=3, size=224)
    torch.manual_seed(1)
    theirs = torchvision_resnet50(weights=None, num_classes=20)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))


@pytest.mark.parametrize(
    ("name", "channels", "size", "mode"),
    [
        ("small-cnn", 1, 28, "fan_in"),
        ("resnet56", 3, 32, "fan_in"),
        ("resnet50", 3, 32, "fan_out"),
        ("resnet50", 1, 224, "fan_out"),
    ],
)
def test_convolutions_are_he_normal(name: str, channels: int, size: int, mode: str) -> None:
    torch.manual_seed(0)
    model = build(name, classes=10, channels=channels, size=size)
    convolutions = [each for each in model.modules() if isinstance(each, nn.Conv2d)]
    for each in convolutions:
        fan = (each.in_channels if mode == "fan_in" else each.out_channels) * each.kernel_size[0] ** 2
        n = each.weight.numel()
        ratio = each.weight.std().item() / (2 / fan) ** 0.5
        assert abs(ratio - 1) < 5 / (2 * n) ** 0.5  # 5 standard errors of a normal's deviation
    assert max(each.weight.abs().max() / each.weight.std() for each in convolutions) > 3.5  # no bound: normal


@pytest.mark.parametrize(("name", "heads"), [("vit-tiny", 3), ("vit-small", 6)])
def test_transformers_have_deits_heads(name: str, heads: int) -> None:
    """Touvron et al. 2021, arXiv:2012.12877, table 1. The number of weights does not depend on it."""
    with torch.device("meta"):
        model = build(name, classes=10, channels=3, size=32)
    layers = [each for each in model.modules() if isinstance(each, nn.MultiheadAttention)]
    assert [each.num_heads for each in layers] == [heads] * 12


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transformers_patches_are_drawn_alike_for_any_channels(channels: int) -> None:
    torch.manual_seed(0)
    stem = build("vit-tiny", classes=10, channels=channels, size=32).get_submodule("conv_proj")
    assert isinstance(stem, nn.Conv2d)
    assert stem.weight.std().item() == pytest.approx((channels * 4 * 4) ** -0.5, rel=0.1)
    assert stem.bias is not None
    assert not stem.bias.any()


def test_a_transformers_first_gradient_is_its_last_layers_alone() -> None:
    torch.manual_seed(0)
    model = build("vit-tiny", classes=10, channels=3, size=16)
    loss = functional.cross_entropy(model(torch.randn(2, 3, 16, 16)), torch.tensor([1, 2]))
    assert loss.item() == pytest.approx(torch.tensor(10.0).log().item())
    loss.backward()  # type: ignore[no-untyped-call]
    moved = [name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()]
    assert moved == ["heads.head.weight", "heads.head.bias"]


# -- what training and warm starts do with them ----------------------------------------------------


def test_every_network_is_tried() -> None:
    assert {form[0] for form in FORMS.values()} == set(MODELS)


@pytest.mark.long
def test_a_network_trains(made: Made) -> None:
    model = made.model.train()
    outputs = model(made.images)
    assert outputs.shape == (2, made.form[1])
    model.zero_grad()
    functional.cross_entropy(outputs, made.targets).backward()  # type: ignore[no-untyped-call]
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not dead


@pytest.mark.long
def test_a_networks_state_goes_round(made: Made) -> None:
    model, other = made.model.eval(), made.twin()
    with torch.no_grad():
        assert other(made.images).isnan().all()
        other.load_state_dict(model.state_dict())
        assert torch.equal(other(made.images), model(made.images))


def test_a_network_takes_channels_last(made: Made) -> None:
    model, last = made.model.eval(), made.images.contiguous(memory_format=torch.channels_last)
    other = made.twin()
    other.load_state_dict(model.state_dict())
    other.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.no_grad():
        plain = model(made.images)
        for each in (model, other):
            assert torch.allclose(each(last), plain, rtol=1e-3, atol=1e-4)


def test_a_network_runs_under_autocast(made: Made) -> None:
    model = made.model.train()
    model.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = model(made.images.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(outputs, made.targets)
    assert outputs.dtype == torch.bfloat16
    loss.backward()
    for parameter in model.parameters():
        assert parameter.dtype == torch.float32
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


@pytest.mark.long
def test_functional_call_takes_the_weights_it_is_given(made: Made) -> None:
    other = made.twin()
    with torch.no_grad():
        given = functional_call(other, made.model.eval().state_dict(), (made.images,))
        assert torch.allclose(given, made.model(made.images), rtol=1e-3, atol=1e-4)
        assert other(made.images).isnan().all()  # its own are as they were


@pytest.mark.parametrize("name", ["small-cnn", "resnet20, odd", "resnet20, projection, odd", "vit-tiny"])
def test_second_derivatives_forward_and_backward_agree(name: str) -> None:
    """The slope of the squared gradient, by two backward passes, and of the loss, by a forward one."""
    chosen = Made.of(FORMS[name])
    model, images, targets = chosen.model, chosen.images, chosen.targets
    weights = dict(model.named_parameters())
    buffers = {key: value.clone() for key, value in model.named_buffers()}
    direction = {key: torch.randn_like(value) for key, value in weights.items()}

    def loss(theta: dict[str, Tensor]) -> Tensor:
        outputs = functional_call(model, {**theta, **{k: v.clone() for k, v in buffers.items()}}, (images,))
        return functional.cross_entropy(outputs, targets)

    with sdpa_kernel(SDPBackend.MATH):
        first = torch.autograd.grad(loss(weights), list(weights.values()), create_graph=True)
        second = torch.autograd.grad(sum((each**2).sum() for each in first), list(weights.values()))
        _, slope = jvp(loss, (weights,), (direction,))
    along = sum((g * d).sum() for g, d in zip(first, direction.values(), strict=True))
    assert torch.allclose(slope, along, rtol=1e-3, atol=1e-3)
    assert all(each.isfinite().all() for each in second)
    assert sum(int(each.any()) for each in second) > len(second) / 2


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.processes
def test_an_unknown_network_is_refused_without_torch() -> None:
    program = (
        "import sys\n"
        "from asha_core.errors import SettingError\n"
        "from trials.models import build\n"
        "try:\n    build('resnet51', classes=10, channels=3, size=32)\n"
        "except SettingError as error:\n    print(error)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    refusal, loaded = done.stdout.splitlines()
    assert "model is 'resnet51'" in refusal
    assert loaded == "False"


def test_an_unknown_network_names_the_nearest_and_all() -> None:
    with pytest.raises(SettingError, match=r'did you mean "vit-tiny"\? known: mlp, resnet110, .*vit-tiny$'):
        build("vit_tiny", classes=10, channels=3, size=32)
    with pytest.raises(SettingError, match="model is 50; known"):
        build(50, classes=10, channels=3, size=32)  # type: ignore[arg-type]  # what a YAML file may hold


def shaped(**changed: Any) -> Callable[[str], nn.Module]:
    return lambda name: build(name, **{"classes": 10, "channels": 3, "size": 32, **changed})


@pytest.mark.parametrize(
    ("name", "changed", "message"),
    [
        ("resnet20", {"size": 7}, "resnet20 takes no images of 7 pixels a side: they must have 8 or more"),
        ("resnet50", {"size": 7}, "resnet50 takes no images of 7 .*8 or more"),
        ("small-cnn", {"size": 8}, "small-cnn takes no images of 8 .*16 or more"),
        ("vit-tiny", {"size": 30}, "vit-tiny takes no images of 30 .*multiple of 4 up to 64"),
        ("vit-small", {"size": 68}, "vit-small takes no images of 68 .*larger one of 16"),
        ("resnet20", {"size": 0}, "size of model resnet20 is 0: it must be an integer of at least 1"),
        ("resnet20", {"channels": True}, "channels of model resnet20 is True"),
        ("vit-tiny", {"classes": 10.5}, r"classes of model vit-tiny is 10\.5"),
        ("resnet20", {"shortcut": "project"}, "shortcut is 'project'; did you mean \"projection\""),
        ("resnet20", {"shortcut": None}, "shortcut is None"),
        ("resnet20", {"shortcuts": "identity"}, "no setting 'shortcuts'; did you mean \"shortcut\""),
        ("resnet50", {"shortcut": "identity"}, "resnet50 has no setting 'shortcut': it takes none"),
    ],
)
def test_what_a_network_cannot_take_is_refused(name: str, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        shaped(**changed)(name)


def test_a_class_refuses_a_shortcut_itself() -> None:
    with pytest.raises(SettingError, match="known: identity, projection"):
        CifarResNet(shortcut="none")
