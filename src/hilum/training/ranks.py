"""The processes that train together: one, or as many as `torchrun` started.

`torchrun --nproc_per_node N` starts N processes, ranks, on a node; each has the whole network and
a share of every batch. hilum starts none itself. The ranks meet through what torchrun tells them,
average their gradients (torch's DistributedDataParallel, over nccl on GPUs and gloo on CPUs), and
stay equal. Only rank 0 writes.

Batch norm: on GPUs its statistics are those of the global batch. torch has no such batch norm for
a CPU, so there every rank normalizes by its own share, and the running statistics are rank 0's.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store, get_node_local_rank
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from hilum.model.classifier import Classifier

__all__ = ["ALONE", "Ranks", "joined"]


@dataclass(frozen=True, eq=False)
class Ranks:
    """Which of how many processes this one is.

    Attributes:
        rank: 0 is the one that writes and speaks.
        size: of all nodes together.
        local: number on this node, which is the number of its GPU.

    >>> ALONE.main, ALONE.share
    (True, (0, 1))
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def main(self) -> bool:
        """Whether this is the rank that writes files and messages."""
        return self.rank == 0

    @property
    def share(self) -> tuple[int, int]:
        """(rank, size): which slice of a batch is this rank's."""
        return self.rank, self.size

    def wrap(self, network: nn.Module) -> nn.Module:
        """Wrap the network so that `backward` averages the gradients over all ranks."""
        if self.size == 1:
            return network
        gc.collect()  # an earlier phase's wrapper would go on averaging what is frozen now
        on_gpu = next(network.parameters()).is_cuda
        return DistributedDataParallel(network, device_ids=[self.local] if on_gpu else None)

    def synchronized(self, network: Classifier) -> Classifier:
        """Return the network with batch norm over the global batch on GPUs; on CPUs unchanged."""
        if self.size == 1 or not next(network.parameters()).is_cuda:
            return network
        from timm.layers.norm_act import convert_sync_batchnorm

        return cast(Classifier, convert_sync_batchnorm(network))

    def total(self, values: Tensor) -> Tensor:
        """Sum over all ranks, in place; every rank gets the same bits."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def agreed(self, value: float | None) -> float | None:
        """Return rank 0's value, for decisions that must be equal on all ranks."""
        if self.size == 1:
            return value
        message = torch.tensor([math.nan if value is None else value], dtype=torch.float64)
        dist.broadcast(message, src=0)
        return None if math.isnan(message[0]) else float(message[0])

    def same_statistics(self, network: nn.Module) -> None:
        """Give every rank rank 0's batch-norm statistics."""
        if self.size > 1:
            for buffer in network.buffers():
                dist.broadcast(buffer, src=0)


ALONE = Ranks()
"""A single process."""


@contextmanager
def joined() -> Generator[Ranks]:
    """Join the other ranks, where torchrun started some; leave them at the end.

    An error ends all ranks, and one of them says it: the first that meets it. The others end with
    `SystemExit`.

    >>> with joined() as ranks:
    ...     ranks.size
    1
    """
    if not dist.is_torchelastic_launched():
        yield ALONE
        return
    store, rank, size = next(iter(rendezvous("env://")))
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    try:
        yield Ranks(rank, size, get_node_local_rank())
    except BaseException:
        # the process group is left as it is: the other ranks may be waiting in it
        if not _first_to_fail(PrefixStore("hilum", store)):
            raise SystemExit(1) from None
        raise
    dist.destroy_process_group()


def _first_to_fail(store: Store) -> bool:
    """Return whether no other rank has reported a failure yet."""
    try:
        return store.add("failed", 1) == 1
    except RuntimeError:  # the node that keeps the store is gone: it has failed before
        return False
