"""Sound: the mel scale, playback, resampling, and the player that makes it heard."""
