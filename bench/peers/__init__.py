"""What is run beside ours to compare with."""
