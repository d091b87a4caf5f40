"""What happens when somebody does something on the page."""
