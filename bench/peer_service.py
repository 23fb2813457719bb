"""The usual service around a torch network, which `bench serve` measures hilum's against.

    python -m bench.peer_service PORT

FastAPI, uvicorn, Pillow, torchvision's DenseNet-121 in float32: bytes of a film in, 14 scores out.
It writes nothing to a disk, decodes in its own process, and draws no map. Weights are drawn: they
cost what trained ones cost.
"""

from __future__ import annotations

import io
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Annotated

import httpx
import torch
import uvicorn
from fastapi import Body, FastAPI
from PIL import Image
from torch import Tensor
from torchvision import transforms
from torchvision.models import densenet121

__all__ = ["application", "peer_served"]

SIDE, FINDINGS = 224, 14
_TO_START_S = 300.0


def application() -> FastAPI:
    """Return the service: one route, which scores what is posted to it."""
    network = densenet121(num_classes=FINDINGS).eval()
    change: Callable[[Image.Image], Tensor] = transforms.Compose(
        [
            transforms.Resize((SIDE, SIDE)),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    app = FastAPI()

    def predict(
        film: Annotated[bytes, Body(media_type="application/octet-stream")],
    ) -> dict[str, list[float]]:
        image = change(Image.open(io.BytesIO(film)).convert("RGB"))
        with torch.no_grad():
            return {"scores": torch.sigmoid(network(image[None]))[0].tolist()}

    app.post("/predict")(predict)
    return app


@contextmanager
def peer_served() -> Generator[httpx.Client]:
    """Start the service in a process of its own, and yield a client of it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "bench.peer_service", str(port)])
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            wait_for(client, process)
            yield client
    finally:
        process.terminate()
        process.wait()


def wait_for(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    """Wait until the service answers."""
    until = time.monotonic() + _TO_START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            client.get("/openapi.json").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.2)
        else:
            return
    sys.exit("the peer's service did not start")


if __name__ == "__main__":
    uvicorn.run(application(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
