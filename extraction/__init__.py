"""From a user's own copy of the Moments in Time videos to an embedding config of a hub package."""
