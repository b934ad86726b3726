"""What several tests share. Fakes that users need too live in `runcast.testing`, not here."""
