"""RMSNorm with a gate, and l2norm."""
