"""The usual script for one film: `python cold_script.py WEIGHTS FILM`. bench.coldstart times it."""

import sys

import torch
from PIL import Image
from torchvision import transforms
from torchvision.models import densenet121

network = densenet121(num_classes=14)
network.load_state_dict(torch.load(sys.argv[1], weights_only=True))
network.eval()
change = transforms.Compose(
    [
        transforms.Resize((224, 224)),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
)
with torch.no_grad():
    image = change(Image.open(sys.argv[2]).convert("RGB"))
    print(torch.sigmoid(network(image[None]))[0].tolist())
