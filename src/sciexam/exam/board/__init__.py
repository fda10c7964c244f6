"""Leaderboards: how one is planned, what it is counted from, what stands in it besides, and whether it is complete."""
