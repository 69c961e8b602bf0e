"""What is live answers: over HTTP, on a page, and to servers that speak the Open Inference Protocol."""
