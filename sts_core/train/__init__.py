"""Training, one readable file per stage; every stage resumes from its last checkpoint."""
