"""What communities and people teach: documents, answers of staff, and the search in them."""
