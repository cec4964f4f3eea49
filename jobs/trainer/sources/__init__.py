"""Record sources: databases of samples, their shares among ranks, and batches of them."""
