"""The world out: how a run, a result and a problem look to people and programs."""
