"""The plain way: torchvision's ImageFolder and DataLoader, photos decoded at each epoch.

`python benchmarks/plain_pytorch.py FOLDER SIZE BATCH EPOCHS`, FOLDER with train/<class> and validation/<class>
"""

import json
import os
import sys
import time

import torch
import torchvision
from torch.utils.data import DataLoader
from torchvision import transforms


def main(folder: str, size: int, batch: int, epochs: int) -> None:
    scale = [transforms.Resize((size, size)), transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.25] * 3)]
    train = torchvision.datasets.ImageFolder(
        f"{folder}/train", transforms.Compose([transforms.RandomHorizontalFlip(), *scale])
    )
    validation = torchvision.datasets.ImageFolder(f"{folder}/validation", transforms.Compose(scale))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    workers = os.cpu_count() or 1
    train_loader = DataLoader(train, batch, shuffle=True, num_workers=workers)
    validation_loader = DataLoader(validation, batch, num_workers=workers)
    network = torchvision.models.resnet18(num_classes=len(train.classes)).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    seconds = []
    for _ in range(epochs):
        start = time.perf_counter()
        network.train()
        for photos, truth in train_loader:
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(photos.to(device)), truth.to(device)).backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            for photos, _ in validation_loader:
                network(photos.to(device))
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"prepare": 0.0, "epochs": seconds, "photos": len(train)}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
