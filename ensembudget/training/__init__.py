"""How members are trained: the loop, schedules, histories, curvature."""
