"""`sam local`: runs the built functions in containers that reach the local world."""
