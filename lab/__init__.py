"""The science: tasks, gates, probes, training, statistics, archive. Lazy: part of it travels into the sandbox."""
