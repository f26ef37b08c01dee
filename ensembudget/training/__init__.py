"""How members are trained: the loop, batches on tensors, schedules, random streams."""
