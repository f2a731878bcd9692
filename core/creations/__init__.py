"""What is made for people besides text: asked for in a turn, made by a job, shown wherever the turn is."""
