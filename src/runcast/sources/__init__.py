"""Sources: what produces output. Meets readers in the log and nowhere else."""
