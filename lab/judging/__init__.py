"""The engine of the gates, outside the sandbox: run the job, read its reports, judge. The gates are in `lab/gates`."""
