"""One module for the page of each command that leaves a folder: its story, and the values its template shows."""
