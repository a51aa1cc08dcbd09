"""Linear layer and cross-entropy in one."""
