"""What models may have done for them: tools, and the loop that runs them."""
