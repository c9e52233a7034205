"""`agnoloss.torch.all_reduce`: two ranks have the loss and gradient of the whole batch."""

import subprocess
import sys

RANKS = """
import os, socket, sys
import agnoloss

imported = "torch" in sys.modules
all_reduce = agnoloss.torch.all_reduce
assert "torch" in sys.modules

import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

LOSSES = (
    (agnoloss.cross_entropy_loss, {"ignore_index": 0}),
    (agnoloss.dice_loss, {"classes": "present"}),
    (agnoloss.dice_cross_entropy_loss, {"class_weights": "balanced"}),
)

def run(rank, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=2)
    torch.manual_seed(0)
    logits = torch.randn(4, 3, 10, dtype=torch.float64)
    labels = torch.randint(0, 3, (4, 10))
    mine = slice(3 * rank, 3 + rank)  # three images on one rank, one on the other
    for loss, options in LOSSES:
        whole = logits.clone().requires_grad_()
        expected = loss(whole, labels, **options)
        expected.backward()
        part = logits[mine].clone().requires_grad_()
        value = loss(part, labels[mine], all_reduce=all_reduce, **options)
        value.backward()
        torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
        torch.testing.assert_close(part.grad, 2 * whole.grad[mine], rtol=1e-10, atol=1e-15)
    dist.destroy_process_group()

if __name__ == "__main__":
    assert not imported, "not before it is asked for"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(run, args=(port,), nprocs=2)
    print("both ranks agree with the whole batch")
"""


def test_two_ranks_equal_the_whole_batch(tmp_path):
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "both ranks agree" in done.stdout
