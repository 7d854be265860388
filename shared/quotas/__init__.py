"""How much one owner may do in a minute or a day, so that one does not stop the many."""
