"""What happens and when: the stages, the pipeline that links them, and the command line."""
