"""CIFAR-10, CIFAR-100 and Fashion-MNIST: what their images are, and the names and checksums of their files.

Sources: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images"; Xiao et al. 2017,
arXiv:1708.07747. The checksums of CIFAR are those that torchvision 0.29 compares. Those of Fashion-MNIST are
of the published files uncompressed, because one file can be compressed in many ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ImageSet:
    """One data set: what its images are, and what its official files are called.

    Attributes:
        name: as IMAGE_SETS and an ``.npz`` call it.
        title: as people call it.
        classes: how many.
        channels: how many.
        size: height and width, pixels.
        train: name of each official file of that part -> MD5 of its uncompressed content.
        test: likewise.
        folder: where torchvision keeps them, below the data directory.
        loader: torchvision's class, which can download them.
        url: the official archive; or, for loose idx files, the folder that they are downloaded from.
        megabytes: of what is downloaded.
        md5: of that archive; empty for loose files.
    """

    name: str
    title: str
    classes: int
    channels: int
    size: int
    train: Mapping[str, str]
    test: Mapping[str, str]
    folder: str
    loader: str
    url: str
    megabytes: int
    md5: str = ""

    @property
    def files(self) -> dict[str, str]:
        """Every official file -> its MD5."""
        return {**self.train, **self.test}

    @property
    def loose(self) -> bool:
        """Whether each file is downloaded by itself, gzipped, and may also lie in the data directory."""
        return self.url.endswith("/")

    @property
    def content(self) -> str:
        """By what one knows the data directory: a folder in it; for loose files, the first of them."""
        return f"{next(iter(self.train))}.gz" if self.loose else self.folder


IMAGE_SETS = {
    kind.name: kind
    for kind in (
        ImageSet(
            *("cifar10", "CIFAR-10", 10, 3, 32),
            train={
                "data_batch_1": "c99cafc152244af753f735de768cd75f",
                "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
                "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
                "data_batch_4": "634d18415352ddfa80567beed471001a",
                "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
            },
            test={"test_batch": "40351d587109b95175f43aff81a1287e"},
            folder="cifar-10-batches-py",
            loader="CIFAR10",
            url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            megabytes=170,
            md5="c58f30108f718f92721af3b95e74349a",
        ),
        ImageSet(
            *("cifar100", "CIFAR-100", 100, 3, 32),
            train={"train": "16019d7e3df5f24257cddd939b257f8d"},
            test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
            folder="cifar-100-python",
            loader="CIFAR100",
            url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
            megabytes=169,
            md5="eb9058c3a382ffc7106e4002c42a8d85",
        ),
        ImageSet(
            *("fashion-mnist", "Fashion-MNIST", 10, 1, 28),
            train={
                "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
                "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
            },
            test={
                "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
                "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
            },
            folder="FashionMNIST/raw",
            loader="FashionMNIST",
            url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            megabytes=31,
        ),
    )
}
