"""What runs inside the subject: the standard library and Django alone, under a name that no project has."""
