"""One array library each: how a loss runs on it, with and without gradient, compiled, and to its end."""

import os
from typing import NamedTuple

from .memory import peak_of

THREADS = 2


class Plain(NamedTuple):
    """A call with a gradient of its own, ``value_and_grad(z, y)``, for libraries that have none."""

    value: object
    value_and_grad: object


def value_of(call):
    """What computes the value alone."""
    return call.value if isinstance(call, Plain) else call


class Numpy:
    """NumPy, as it comes; gradients are agnoloss's own or written by hand."""

    def __init__(self, device):
        import numpy

        self.module = numpy

    def array(self, array):
        return self.module.asarray(array)

    def forward(self, call, z, y, compiled=False):
        value = value_of(call)
        return lambda: value(z, y)

    def both(self, call, z, y, compiled=False):
        from agnoloss import value_and_grad

        function = call.value_and_grad if isinstance(call, Plain) else value_and_grad(call)
        return lambda: function(z, y)

    def floor(self, z):
        return lambda: z.copy()

    def to_numpy(self, array):
        return array

    def wait(self, result):
        """Return when `result` is computed."""

    def forget(self):
        """Drop what was compiled, where that is limited."""

    def peak(self, run):
        """Bytes that a run needs beside what there is before it."""
        return peak_of(run)


class Cupy(Numpy):
    """CuPy."""

    def __init__(self, device):
        import cupy

        self.module = cupy

    def to_numpy(self, array):
        return self.module.asnumpy(array)

    def wait(self, result):
        self.module.cuda.get_current_stream().synchronize()

    def peak(self, run):
        # The pool keeps what it ever took from the device: its growth is the peak, or a little more.
        pool = self.module.get_default_memory_pool()
        pool.free_all_blocks()
        before = pool.total_bytes()
        self.wait(run())
        return pool.total_bytes() - before


class Torch:
    """PyTorch with autograd, on two threads."""

    def __init__(self, device):
        import torch

        torch.set_num_threads(THREADS)
        self.torch, self.device = torch, device

    def array(self, array):
        return self.torch.from_numpy(array).to(self.device)

    def forward(self, call, z, y, compiled=False):
        call = self.torch.compile(value_of(call)) if compiled else value_of(call)

        def run():
            with self.torch.no_grad():
                return call(z, y)

        return run

    def both(self, call, z, y, compiled=False):
        call = self.torch.compile(value_of(call)) if compiled else value_of(call)
        leaf = z.detach().requires_grad_()

        def run():
            value = call(leaf, y)
            value.backward()
            gradient, leaf.grad = leaf.grad, None  # else it would lie in memory as the next call begins
            return value.detach(), gradient

        return run

    def floor(self, z):
        if self.device != "cpu":
            return z.clone
        # NumPy's copy takes less time than torch's: its memory comes in larger pages.
        view = z.numpy()
        return lambda: view.copy()

    def to_numpy(self, array):
        return array.cpu().numpy()

    def wait(self, result):
        if self.device != "cpu":
            self.torch.cuda.synchronize()

    def forget(self):
        # Dynamo compiles the same code eight times, then no more: and calls of agnoloss share theirs.
        self.torch._dynamo.reset()

    def peak(self, run):
        if self.device == "cpu":
            return peak_of(run)
        cuda = self.torch.cuda
        cuda.empty_cache()
        cuda.reset_peak_memory_stats()
        before = cuda.memory_allocated()
        self.wait(run())
        return cuda.max_memory_allocated() - before


class Jax:
    """JAX, jitted or not."""

    def __init__(self, device):
        os.environ.setdefault("JAX_PLATFORMS", device)
        import jax

        self.jax = jax

    def array(self, array):
        return self.jax.numpy.asarray(array)

    def forward(self, call, z, y, compiled=False):
        function = self.jax.jit(value_of(call)) if compiled else value_of(call)
        return lambda: function(z, y)

    def both(self, call, z, y, compiled=False):
        function = self.jax.value_and_grad(value_of(call))
        function = self.jax.jit(function) if compiled else function
        return lambda: function(z, y)

    def floor(self, z):
        return z.copy

    def to_numpy(self, array):
        import numpy

        return numpy.asarray(array)

    def wait(self, result):
        self.jax.block_until_ready(result)

    def forget(self):
        self.jax.clear_caches()

    def peak(self, run):
        if self.jax.default_backend() == "cpu":
            return peak_of(lambda: self.jax.block_until_ready(run()))
        (device,) = self.jax.local_devices()[:1]
        before = device.memory_stats()["bytes_in_use"]
        self.wait(run())
        return device.memory_stats()["peak_bytes_in_use"] - before


LIBRARIES = {"torch": Torch, "numpy": Numpy, "jax": Jax, "cupy": Cupy}
