"""What `leaderboard` finds: the contestants in their order."""
