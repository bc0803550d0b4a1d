"""Is this robot the one that its bridge file and checkpoint describe?"""
