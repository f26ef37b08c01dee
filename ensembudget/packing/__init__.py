"""Members side by side in one network: the network, its batches and random streams."""
