"""A PyTorch module on its own device. PyTorch is not imported: who has a module has done that."""

import contextlib
import sys
import threading
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np


def is_torch_module(x: Any) -> bool:
    """Whether ``x`` is a ``torch.nn.Module``."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.nn.Module)


class TorchModule:
    """To be called, and differentiated, by :class:`jaxbio.api.host.Hosted`.

    Images go in as ``[N, 3, S, S]``; outputs ``[N, C, H, W]`` come out as ``[N, H, W, C]``, others
    as they are. The module is in evaluation mode during a call, and then as it was.
    """

    def __init__(self, module: Any):
        self._torch: Any = sys.modules["torch"]
        self._module = module
        self._one = threading.Lock()  # hooks and mode are the module's, not the call's
        first = next((p for p in module.parameters() if p.is_floating_point()), None)
        self._device = self._torch.device("cpu") if first is None else first.device
        self._dtype = self._torch.float32 if first is None else first.dtype

    @property
    def names(self) -> list[str]:
        """Of all submodules, with dots between, as in a state dict."""
        return [name for name, _ in self._module.named_modules() if name]

    def variables(self) -> dict[str, np.ndarray]:
        """Parameters and buffers, float32 where they are floating point, for a digest."""
        return {name: _array(x) for name, x in self._module.state_dict().items() if _is_tensor(x)}

    def __call__(self, images: np.ndarray, layers: Collection[str]) -> tuple[Any, dict[str, Any]]:
        """The module's output and the last outputs of submodules, as arrays, channels last."""
        kept: dict[str, Any] = {}

        def keep(name: str) -> Any:
            def hook(module: Any, arguments: Any, output: Any) -> None:
                first = output[0] if isinstance(output, tuple | list) and output else output
                if _is_tensor(first):
                    kept[name] = _last(_array(first))  # at once: what follows may work in place

            return hook

        with self._evaluating(), self._torch.no_grad():
            handles = [
                module.register_forward_hook(keep(name))
                for name, module in self._module.named_modules()
                if name and name in layers
            ]
            try:
                output = self._module(self._tensor(images))
            finally:
                for handle in handles:
                    handle.remove()
        return _arrays(output), kept

    def gradient(self, images: np.ndarray, by_logits: np.ndarray) -> np.ndarray:
        """The gradient of ``sum(logits * by_logits)`` by the images, ``[N, S, S, 3]``."""
        with self._evaluating(), self._torch.enable_grad():
            tensor = self._tensor(images).requires_grad_()
            output = self._module(tensor)
            while not _is_tensor(output):
                output = output["logits"] if isinstance(output, Mapping) else output[0]
            slope = self._torch.from_numpy(np.array(by_logits)).to(output)
            (found,) = self._torch.autograd.grad(output, tensor, slope)
        return _last(_array(found))

    def _tensor(self, images: np.ndarray) -> Any:
        first = np.array(images.transpose(0, 3, 1, 2), np.float32, order="C")
        return self._torch.from_numpy(first).to(self._device, self._dtype)

    @contextlib.contextmanager
    def _evaluating(self) -> Iterator[None]:
        with self._one:
            trained = [module for module in self._module.modules() if module.training]
            self._module.eval()
            try:
                yield
            finally:
                for module in trained:
                    module.training = True


def _is_tensor(x: Any) -> bool:
    return isinstance(x, sys.modules["torch"].Tensor)


def _array(tensor: Any) -> np.ndarray:
    """A copy, float32 where it is floating point."""
    tensor = tensor.detach().cpu()
    return np.array((tensor.float() if tensor.is_floating_point() else tensor).numpy())


def _last(x: np.ndarray) -> np.ndarray:
    """Channels last, of maps."""
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


def _arrays(output: Any) -> Any:
    """The output with arrays in place of tensors."""
    if _is_tensor(output):
        return _last(_array(output))
    if isinstance(output, Mapping):
        return {str(name): _arrays(value) for name, value in output.items()}
    if isinstance(output, tuple | list):
        return tuple(_arrays(part) for part in output)
    return output
