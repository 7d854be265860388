"""One history of the schema for every service; the newest revision is what the models say."""
