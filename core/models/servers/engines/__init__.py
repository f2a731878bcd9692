"""What the servers run: one engine in each file. Each imports its libraries when it is opened, in the child alone."""
