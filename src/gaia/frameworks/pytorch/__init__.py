"""PyTorch, with torchvision's models."""
